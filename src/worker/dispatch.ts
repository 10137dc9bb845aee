// Gives one exchange to the app, and answers for the app when its code throws.

import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Exchange } from '../http/exchange.ts';
import { nodeHttpOptions, serveNodeHttp } from '../nodehttp/adapter.ts';
import type { Log } from '../telemetry/log.ts';
import { tidyError } from './boot-error.ts';

type Listener = (request: IncomingMessage, response: ServerResponse) => unknown;

export interface Dispatch {
  /** Every exchange of a worker goes there. */
  readonly handle: (exchange: Exchange) => void;
  /** The app, with the same care, for a request of Node's own server. */
  readonly answer: Listener;
}

export function createDispatch(server: Server, log: Log): Dispatch {
  const options = nodeHttpOptions(server);
  // The 'request' listeners change rarely (Next.js and socket.io exchange them at start), and
  // listeners() copies: looked up again only after a change.
  let listener: Listener | null = null;
  const forget = (event: string | symbol): void => {
    if (event === 'request') listener = null;
  };
  server.on('newListener', forget);
  server.on('removeListener', forget);
  const run: Listener = (request, response) => {
    listener ??= requestListener(server);
    try {
      const result = listener(request, response);
      if (isPromise(result)) {
        result.then(
          () => noteCut(request, response, log),
          (error: unknown) => answerFor(error, request, response, log),
        );
      }
    } catch (error) {
      answerFor(error, request, response, log);
    }
  };
  return { handle: (exchange) => serveNodeHttp(exchange, run, options), answer: run };
}

/** A single listener is called directly: emit() drops the promise of an async handler, whose
 *  rejection would then end the process. */
function requestListener(server: Server): Listener {
  const listeners = server.rawListeners('request') as Listener[];
  const [only] = listeners;
  if (listeners.length === 1 && only !== undefined) {
    // Not only.bind(): that of an Express app adds a route for the method BIND.
    return (request, response) => Reflect.apply(only, server, [request, response]);
  }
  if (listeners.length > 1) return (request, response) => server.emit('request', request, response);
  return () => {
    throw new Error('the app has a server, but nothing listens to its "request" event');
  };
}

function isPromise(value: unknown): value is Promise<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function';
}

/** The app threw: 500 as under Gunicorn, where Node would end the process and every other request
 *  in it. A response that has begun is cut, so that nobody takes it for whole. */
function answerFor(
  error: unknown,
  request: IncomingMessage,
  response: ServerResponse,
  log: Log,
): void {
  const facts = { ...about(request), err: tidyError(error) };
  // The client left, and what the app was doing for it failed of that: no fault of the app.
  if (response.destroyed && !response.writableFinished) {
    log.debug('the app failed after the client had left', facts);
    return;
  }
  log.error('the app threw while it handled a request', facts);
  if (response.writableEnded) return;
  if (response.headersSent) {
    response.destroy();
    return;
  }
  for (const name of response.getHeaderNames()) response.removeHeader(name);
  // The reason phrase of what it was going to be is not that of an error.
  response.writeHead(500, 'Internal Server Error', { 'Content-Type': 'text/plain; charset=utf-8' });
  response.end('Internal Server Error\n');
}

/** A fetch handler's body stream that fails is cut by the adapter without a word. */
function noteCut(request: IncomingMessage, response: ServerResponse, log: Log): void {
  const { errored } = response;
  if (errored === null || errored === undefined) return;
  log.error('the response was cut', { ...about(request), err: tidyError(errored) });
}

/** Without the query, which may hold secrets. */
function about(request: IncomingMessage): object {
  const path = request.url?.split('?', 1)[0];
  return { method: request.method, path, id: request.headers['x-request-id'] };
}
