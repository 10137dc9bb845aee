// Serves web-standard fetch handlers, (Request) => Response, over Node's request and response,
// through srvx. Why srvx, and why its classes are made global: docs/decisions.md.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ServerRequest } from 'srvx';
import { FastResponse, patchGlobalRequest, toNodeHandler } from 'srvx/node';

/** The second argument is what @hono/node-server gives its apps, which they know as `c.env`. */
export interface FetchEnv {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
}

export type FetchHandler = (request: Request, env: FetchEnv) => Response | Promise<Response>;

/** A (req, res) listener; its promise rejects with the handler's error. */
export function fetchListener(
  handler: FetchHandler,
): (request: IncomingMessage, response: ServerResponse) => unknown {
  installFastClasses();
  return toNodeHandler((request: ServerRequest) => {
    const node = request.runtime?.node;
    const env = { incoming: node?.req, outgoing: node?.res } as FetchEnv;
    const response = handler(request, env);
    return isPromise(response) ? response.then(checked) : checked(response);
  }) as (request: IncomingMessage, response: ServerResponse) => unknown;
}

function isPromise(value: unknown): value is Promise<Response> {
  return typeof (value as { then?: unknown } | null)?.then === 'function';
}

/** Without this an app that forgot its `return` would answer 500 and nobody would be told why. */
function checked(response: Response): Response {
  if (typeof response?.status === 'number' && typeof response.headers === 'object') return response;
  throw new TypeError(`the fetch handler returned ${String(response)} instead of a Response`);
}

/** A native Response costs some 75 µs a request, srvx's some 5; a native Request can't be made from
 *  srvx's unless its constructor knows it (Hono's mount and body-limit do that). */
function installFastClasses(): void {
  globalThis.Response = FastResponse as unknown as typeof Response;
  patchGlobalRequest();
}
