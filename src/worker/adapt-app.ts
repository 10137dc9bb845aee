// Turns what an app's module exports into an http.Server that requests are given to: a handler, a
// framework's app, a server, or a factory or a promise of one of these.

import http from 'node:http';
import { BootError } from './boot-error.ts';
import { type FetchHandler, fetchListener } from './fetch-app.ts';
import { isHttpServer } from './http-server.ts';
import { isClass } from './pick-export.ts';

export interface App {
  /** What it is, for the log: "Express app", "fetch handler" … */
  readonly kind: string;
  /** Answers requests through its listeners. It never listens on a port. */
  readonly server: http.Server;
  /** The framework's own end, after the last request: Fastify's and NestJS's close(). */
  readonly close: (() => Promise<unknown>) | null;
}

type Members = Record<string, unknown>;
type RequestListener = (request: http.IncomingMessage, response: http.ServerResponse) => unknown;

interface Kind {
  readonly name: string;
  matches(value: unknown): boolean;
  adapt(value: unknown): App | Promise<App>;
}

/** In order: data tells more than names of methods, and fetch() comes before the other names, for
 *  some routers (itty-router) are proxies with a method of any name. */
const kinds: readonly Kind[] = [
  {
    name: 'http.Server',
    matches: isHttpServer,
    adapt: (value) => ({
      kind: 'http.Server',
      server: value as http.Server,
      close: null,
    }),
  },
  {
    name: 'Fastify app',
    matches: (value) => has(value, 'ready', 'inject') && isHttpServer((value as Members).server),
    async adapt(value) {
      const app = value as {
        ready(): Promise<unknown>;
        close(): Promise<unknown>;
        server: http.Server;
      };
      await app.ready();
      return { kind: 'Fastify app', server: app.server, close: () => app.close() };
    },
  },
  {
    name: 'object with fetch()',
    matches: (value) => has(value, 'fetch'),
    adapt(value) {
      const app = value as { fetch: FetchHandler };
      return fromListener(
        'fetch handler',
        fetchListener((request, env) => app.fetch(request, env)),
      );
    },
  },
  {
    name: 'NestJS app',
    matches: (value) => has(value, 'getHttpAdapter', 'init'),
    async adapt(value) {
      const app = value as {
        init(): Promise<unknown>;
        close(): Promise<unknown>;
        getHttpServer(): http.Server;
      };
      // Routes are there after init(); the adapter's server already has Express or Fastify as its listener.
      await app.init();
      return { kind: 'NestJS app', server: app.getHttpServer(), close: () => app.close() };
    },
  },
  {
    name: 'Next.js app',
    matches: (value) => has(value, 'prepare', 'getRequestHandler'),
    async adapt(value) {
      const app = value as {
        prepare(): Promise<unknown>;
        getRequestHandler(): RequestListener;
      };
      await app.prepare();
      return fromListener('Next.js app', app.getRequestHandler());
    },
  },
  {
    name: 'Koa app',
    matches: (value) => has(value, 'callback') && Array.isArray((value as Members).middleware),
    adapt: (value) =>
      fromListener('Koa app', (value as { callback(): RequestListener }).callback()),
  },
  {
    name: 'Express app',
    matches: (value) => typeof value === 'function' && has(value, 'use', 'handle'),
    adapt: (value) => fromListener('Express app', value as RequestListener),
  },
  {
    name: '(req, res) handler',
    matches: (value) => isFunction(value) && (value.length >= 2 || takesRest(value)),
    adapt: (value) => fromListener('(req, res) handler', value as RequestListener),
  },
  {
    name: 'fetch function',
    matches: (value) => isFunction(value) && value.length === 1 && !isFactory(value),
    adapt: (value) => fromListener('fetch function', fetchListener(value as FetchHandler)),
  },
];

/** The app, or null where nothing is known to do with the value. A promise is waited for. A
 *  function is a handler by its parameters: two or more `(req, res)`, one `(request) => Response`;
 *  with none, or with one and a name that begins with create, make, build or bootstrap, it is a
 *  factory, which is called (and awaited) and whose result is looked at in the same way. */
export async function adaptApp(exported: unknown): Promise<App | null> {
  let value = await exported;
  // A factory may return a factory; 5 deep is a mistake.
  for (let calls = 0; calls < 5; calls++) {
    const kind = kinds.find(({ matches }) => matches(value));
    if (kind !== undefined) return kind.adapt(value);
    if (!isFactory(value)) return null;
    value = await value();
  }
  return null;
}

/** Calls what `EXPORT(...)` names. */
export async function callFactory(
  name: string,
  factory: unknown,
  args: readonly unknown[],
): Promise<unknown> {
  if (!isFunction(factory)) {
    throw new BootError(
      4,
      `Cannot call the export "${name}": it is ${describeValue(factory)}, not a function.`,
    );
  }
  return factory(...args);
}

function fromListener(kind: string, listener: RequestListener): App {
  return { kind, server: http.createServer(listener), close: null };
}

/** Whether value has these methods. Objects and functions only: a string has methods too. */
function has(value: unknown, ...methods: string[]): boolean {
  if (value === null || (typeof value !== 'object' && typeof value !== 'function')) return false;
  return methods.every((method) => typeof (value as Members)[method] === 'function');
}

function isFunction(value: unknown): value is (...args: unknown[]) => unknown {
  return typeof value === 'function' && !isClass(value);
}

/** `(...args) => app(...args)` has length 0 like a factory, but wants the request. */
function takesRest(value: object): boolean {
  return /^(async\s*)?(function\b[^(]*)?\(\s*\.\.\./.test(Function.prototype.toString.call(value));
}

function isFactory(value: unknown): value is () => unknown {
  if (!isFunction(value) || takesRest(value)) return false;
  return (
    value.length === 0 || (value.length === 1 && /^(create|make|build|bootstrap)/i.test(value.name))
  );
}

/** "an object with the keys a, b", "a class Foo": what was found, for messages. */
export function describeValue(value: unknown): string {
  if (value === null) return 'null';
  if (isClass(value))
    return `a class (${(value as { name: string }).name}); export an instance of it`;
  if (typeof value === 'function') return `a function with ${value.length} parameters`;
  if (typeof value !== 'object') return value === undefined ? 'undefined' : `a ${typeof value}`;
  const keys = Object.keys(value);
  if (keys.length === 0) return 'an empty object';
  return `an object with the keys ${keys.slice(0, 12).join(', ')}${keys.length > 12 ? ', …' : ''}`;
}

export const expectedApps =
  'Expected a (req, res) function, an Express, Koa, Fastify, Hono or NestJS app, an object with fetch(), an http.Server, or a factory or promise of one of these.';
