// Makes requests and responses for an Express app with the app's own prototypes from the start.
//
// Express gives each of them its prototype by Object.setPrototypeOf(). V8 before 13 (Node 20 and
// 22) then makes a new hidden class for every property that is added after it, for every request
// anew, and no inline cache ever hits: some 90 µs a request for an empty route, some 15 µs where the
// prototype is the right one already and setPrototypeOf() has nothing to do.

import http from 'node:http';
import type { RequestClass, ResponseClass } from './node-internals.ts';

/** Classes for the Express app that is the server's listener, or null where there is none. */
export function expressClasses(server: http.Server): [RequestClass, ResponseClass] | null {
  const listeners = server.listeners('request');
  const app = listeners.length === 1 ? (listeners[0] as unknown as ExpressApp) : null;
  if (
    app === null ||
    !inherits(app.request, http.IncomingMessage.prototype) ||
    !inherits(app.response, http.ServerResponse.prototype)
  )
    return null;
  const Request = derive(http.IncomingMessage, app.request) as RequestClass;
  const Response = derive(http.ServerResponse, app.response) as ResponseClass;
  try {
    // An app may have put accessors on its prototypes that Node's constructors trip over.
    const request = new Request({ readableHighWaterMark: 1 } as never);
    new Response(request, { highWaterMark: 1, rejectNonStandardBodyWrites: false });
  } catch {
    return null;
  }
  return [Request, Response];
}

interface ExpressApp {
  readonly request?: object;
  readonly response?: object;
}

function inherits(value: object | undefined, prototype: object): value is object {
  return value !== undefined && Object.prototype.isPrototypeOf.call(prototype, value);
}

/** A constructor as `Base` is one, whose instances have `prototype`. Node's own are functions, not
 *  classes, and may be called on another's `this`. */
function derive(Base: unknown, prototype: object): unknown {
  const construct = Base as (this: object, first: unknown, second: unknown) => void;
  function Derived(this: object, first: unknown, second: unknown): void {
    construct.call(this, first, second);
  }
  Derived.prototype = prototype;
  return Derived;
}
