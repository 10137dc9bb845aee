// Catches listen() of the app's HTTP servers: no port is opened, the server attaches to Portico.
//
// A captured server has a handle that does nothing, as node:cluster gives its workers' servers, so
// that `listening`, address(), ref() and the 'listening' event are Node's own code at work.

import type http from 'node:http';
import net from 'node:net';
import type { BindAddress } from '../config/config.ts';
import type { Log } from '../telemetry/log.ts';
import { isHttpServer, isTlsServer } from './http-server.ts';

/** Node's own listen(), for servers that are to listen in truth. */
const realListen = net.Server.prototype.listen;

export interface CaptureOptions {
  /** What server.address() says: where the edge listens. */
  readonly bind: readonly BindAddress[];
  readonly log: Log;
}

export interface Capture {
  /** The first server that listens, as soon as there is one. */
  readonly listening: Promise<http.Server>;
  /** The first server that listens now, or null. */
  current(): http.Server | null;
  /** From now on `onClose` hears when the app closes the server it is served by. */
  serve(server: http.Server, onClose: () => void): void;
  /** The last request is answered: the app's close() callbacks run now. */
  finish(): void;
}

interface Captured {
  readonly server: http.Server;
  /** What the app asked for: "3000", "/run/app.sock" … */
  readonly asked: string;
  closed: boolean;
}

/** Call before the app's code runs. */
export function captureListen({ bind, log }: CaptureOptions): Capture {
  const captured: Captured[] = [];
  let finished = false;
  let served: { server: http.Server; onClose: () => void } | null = null;
  let attached: (server: http.Server) => void = () => {};
  const listening = new Promise<http.Server>((resolve) => {
    attached = resolve;
  });

  net.Server.prototype.listen = function listen(this: net.Server, ...args: unknown[]) {
    if (!isHttpServer(this)) return Reflect.apply(realListen, this, args);
    if (this.listening) return Reflect.apply(realListen, this, args);
    attach(this, args);
    return this;
  } as typeof realListen;

  function attach(server: http.Server, args: unknown[]): void {
    const entry: Captured = { server, asked: describeListen(args), closed: false };
    const callback = args.at(-1);
    if (typeof callback === 'function') server.once('listening', callback as () => void);
    giveHandle(server, bind[0]);
    deferClose(entry);
    const first = captured.find(({ closed }) => !closed);
    captured.push(entry);
    if (isTlsServer(server)) {
      log.warning('the app makes a TLS server; the edge ends TLS, so it is served as plain HTTP');
    }
    if (first === undefined) attached(server);
    else if (first.asked !== entry.asked) {
      // Fastify listens twice for "localhost", once for IPv4 and once for IPv6: same port, no news.
      log.warning(
        `the app listens a second time, on ${entry.asked}: only its first server (${first.asked}) gets requests; name another by MODULE:EXPORT`,
      );
    }
    // Emitted after listen() returns, as Node does.
    process.nextTick(() => server.listening && server.emit('listening'));
  }

  /** A server the app closes while requests are in flight is closed for the app when they are done:
   *  apps end the process in this callback. */
  function deferClose(entry: Captured): void {
    const { server } = entry;
    const close = server.close;
    server.close = (callback?: (error?: Error) => void) => {
      entry.closed = true;
      (server as unknown as { close?: unknown }).close = close;
      if (served?.server !== server || finished) return close.call(server, callback);
      if (callback !== undefined) server.once('close', callback);
      (server as unknown as { _handle: unknown })._handle = null;
      log.info('the app closed its server: asking for a replacement');
      served.onClose();
      return server;
    };
  }

  return {
    listening,
    current: () => captured.find(({ closed }) => !closed)?.server ?? null,
    serve(server, onClose) {
      served = { server, onClose };
    },
    finish() {
      finished = true;
      const entry = captured.find(({ server }) => server === served?.server);
      if (entry?.closed) entry.server.emit('close');
    },
  };
}

/** Listens in truth, whatever captureListen() made of net.Server. */
export function listenOnPath(server: net.Server, path: string): void {
  Reflect.apply(realListen, server, [{ path }]);
}

function giveHandle(server: net.Server, bind: BindAddress | undefined): void {
  const handle: Record<string, unknown> = {
    close(done?: () => void) {
      if (done !== undefined) process.nextTick(done);
    },
    ref() {},
    unref() {},
    hasRef: () => false,
  };
  const internals = server as unknown as { _handle: unknown; _pipeName?: string };
  if (bind?.kind === 'unix') internals._pipeName = bind.path;
  else handle.getsockname = (out: object) => Object.assign(out, socketName(bind)) && 0;
  internals._handle = handle;
}

function socketName(bind: BindAddress | undefined): net.AddressInfo {
  const { host, port } = bind?.kind === 'tcp' ? bind : { host: '127.0.0.1', port: 0 };
  // A name can't be in a socket's address; the edge has bound what it resolves to.
  const address = host === '' ? '0.0.0.0' : host === 'localhost' ? '127.0.0.1' : host;
  return { address, family: address.includes(':') ? 'IPv6' : 'IPv4', port };
}

function describeListen(args: readonly unknown[]): string {
  const [first] = args;
  if (first !== null && typeof first === 'object') {
    const { port, path } = first as { port?: unknown; path?: unknown };
    return String(port ?? path ?? 'a handle');
  }
  return first === undefined || typeof first === 'function' ? 'any port' : String(first);
}
