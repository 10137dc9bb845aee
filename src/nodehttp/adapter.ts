// Turns an Exchange into a genuine http.IncomingMessage and http.ServerResponse: for the app in a
// worker, and for serve-static in the edge. What an app sees is in docs/app-environment.md.

import type http from 'node:http';
import type { Exchange } from '../http/exchange.ts';
import { expressClasses } from './express.ts';
import { NodeExchange } from './node-exchange.ts';
import { classesOf, missingInternals } from './node-internals.ts';
import type { NodeHttpOptions, RequestListener } from './pair.ts';
import { faultsOfNode } from './self-check.ts';

export type { NodeHttpOptions, RequestListener } from './pair.ts';

export interface NodeHttp {
  readonly request: http.IncomingMessage;
  readonly response: http.ServerResponse;
}

/** Reads from `server` what it says about the requests it takes, when its 'request' listener is in
 *  place. Made once, used for each request. */
export function nodeHttpOptions(server: http.Server | null = null): NodeHttpOptions {
  const [Request, Response] = (server && expressClasses(server)) ?? classesOf(server);
  return { server, Request, Response };
}

const plainOptions = nodeHttpOptions();

// Once, when loaded: a Node whose http has changed is refused by name, before it serves anyone.
const missing = missingInternals();
const faults = missing.length > 0 ? [`it lacks ${missing.join(', ')}`] : faultsOfNode(plainOptions);
if (faults.length > 0)
  throw new Error(
    `Cannot run on Node ${process.version}, whose http module is not as expected: ${faults.join('; ')}`,
  );

/** Attaches to the exchange and hands its request to `listener`, in an async context of its own.
 *  With a 'checkContinue' listener on the server and a client that waits for 100 (Continue), that
 *  listener is called instead, as node:http does. What `listener` throws goes to the process as
 *  an uncaught exception, never to the caller. */
export function serveNodeHttp(
  exchange: Exchange,
  listener: RequestListener,
  options: NodeHttpOptions = plainOptions,
): void {
  new NodeExchange(exchange, options).serve(listener);
}

/** The pair alone, attached to the exchange; the caller calls the app. */
export function toNodeHttp(exchange: Exchange, options: NodeHttpOptions = plainOptions): NodeHttp {
  const node = new NodeExchange(exchange, options);
  node.open();
  return { request: node.request, response: node.response };
}
