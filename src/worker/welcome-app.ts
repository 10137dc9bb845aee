// The app of a start with files to serve and no app: a page at "/" that says so, and how to go on.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { readOwnFile } from '../executable/own-file.ts';

const page =
  readOwnFile('static/welcome.html') ??
  '<!doctype html><title>Portico is running</title><h1>Portico is running</h1>\n';

export function welcome(request: IncomingMessage, response: ServerResponse): void {
  const path = request.url?.split('?', 1)[0];
  response.statusCode = path === '/' ? 200 : 404;
  response.setHeader('Content-Type', path === '/' ? 'text/html; charset=utf-8' : 'text/plain');
  response.setHeader('Cache-Control', 'no-store');
  response.end(path === '/' ? page : 'Nothing is here.\n');
}
