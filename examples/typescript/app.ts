// A TypeScript app on Portico, run as it is: no build step. A factory that makes a fetch handler.
// Start: node dist/main.js --workers 2 examples/typescript/app.ts

import { lines, page } from '../page.js';

interface Greeting {
  readonly hello: string;
  readonly ip: string | null;
  readonly pid: number;
}

type Route = (request: Request, url: URL) => Response | Promise<Response>;

const routes: Record<string, Route> = {
  'GET /': () =>
    new Response(page('TypeScript'), { headers: { 'Content-Type': 'text/html; charset=utf-8' } }),
  'GET /api/hello': (request, url) => {
    const greeting: Greeting = {
      hello: url.searchParams.get('name') ?? 'world',
      ip: request.headers.get('x-forwarded-for'),
      pid: process.pid,
    };
    return Response.json(greeting);
  },
  'POST /api/echo': async (request) => {
    const form = new URLSearchParams(await request.text());
    return Response.json({ echo: Object.fromEntries(form) }, { status: 201 });
  },
  'GET /api/stream': () => {
    const headers = { 'Content-Type': 'text/plain; charset=utf-8' };
    const source: AsyncGenerator<string> = lines();
    const encoder = new TextEncoder();
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        const { done, value } = await source.next();
        if (done) controller.close();
        else controller.enqueue(encoder.encode(value));
      },
    });
    return new Response(body, { headers });
  },
  'GET /error': () => {
    throw new Error('an error on purpose');
  },
};

/** Called once in each worker; what takes time at start (a database) is awaited here. */
export default async function createApp(): Promise<{
  fetch(request: Request): Response | Promise<Response>;
}> {
  return {
    fetch(request) {
      const url = new URL(request.url);
      const route = routes[`${request.method} ${url.pathname}`];
      return route?.(request, url) ?? Response.json({ error: 'Not found.' }, { status: 404 });
    },
  };
}
