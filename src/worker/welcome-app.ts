// The app of a start with files to serve and no app: a page at "/" that says so, and how to go on.

import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';

const page = readPage();

export default function welcome(request: IncomingMessage, response: ServerResponse): void {
  const path = request.url?.split('?', 1)[0];
  response.statusCode = path === '/' ? 200 : 404;
  response.setHeader('Content-Type', path === '/' ? 'text/html; charset=utf-8' : 'text/plain');
  response.setHeader('Cache-Control', 'no-store');
  response.end(path === '/' ? page : 'Nothing is here.\n');
}

function readPage(): Buffer | string {
  // From dist/worker/, or from build/src/worker/ in tests.
  for (const up of ['../../static/', '../../../static/']) {
    try {
      return readFileSync(new URL(`${up}welcome.html`, import.meta.url));
    } catch {
      // Not there: try the next.
    }
  }
  return '<!doctype html><title>Portico is running</title><h1>Portico is running</h1>\n';
}
