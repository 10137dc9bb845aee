// Listens on the worker's Unix socket and serves what comes over the edges' links.

import { chmodSync } from 'node:fs';
import net from 'node:net';
import { isMainThread } from 'node:worker_threads';
import type { Exchange } from '../http/exchange.ts';
import { isLinkPreface } from '../link/preface.ts';
import { acceptLink, type WorkerLink } from '../link/worker-end.ts';
import type { Log } from '../telemetry/log.ts';
import { BootError } from './boot-error.ts';
import { listenOnPath } from './listen-capture.ts';

/** Connections at a time: each edge has one or a few. */
const connectionsMax = 1024;
/** An edge says its preface at once. */
const firstByteTimeoutMs = 10_000;

export interface ServeOptions {
  readonly socketPath: string;
  readonly handle: (exchange: Exchange) => void;
  readonly log: Log;
  /** Called as each request is taken, with how many that makes. */
  readonly onTaken: (taken: number) => void;
}

export interface Load {
  readonly inFlight: number;
  /** Requests that are over. */
  readonly served: number;
  /** performance.now() when the newest request was taken; 0 = never. With one request at a time,
   *  when the one in flight began. */
  readonly takenMs: number;
}

export interface Serving {
  load(): Load;
  /** Takes no more links, lets the requests in flight end until the deadline, then cuts the rest;
   *  resolves to how many those were. May be called twice. */
  drain(withinMs: number): Promise<number>;
  /** Ends all links now. */
  destroy(): void;
}

/** Resolves when the socket listens; rejects with a BootError when it can't. */
export async function serve(options: ServeOptions): Promise<Serving> {
  const { log } = options;
  const links = new Set<WorkerLink>();
  /** Connections that haven't said yet what they speak. */
  const strangers = new Set<net.Socket>();
  let taken = 0;
  let takenMs = 0;
  let draining: Promise<number> | null = null;
  let linkGone: () => void = () => {};

  const handle = (exchange: Exchange): void => {
    taken += 1;
    takenMs = performance.now();
    options.onTaken(taken);
    // Left out by the edge, whose fields are the same from one request to the next without it.
    exchange.request.fields.push('X-Request-Id', exchange.requestId);
    options.handle(exchange);
  };
  const server = net.createServer((socket) => {
    strangers.add(socket);
    sniff(socket, log, (initial) => {
      const link = acceptLink(socket, {
        handle,
        initial,
        log,
        onClose: () => {
          links.delete(link);
          linkGone();
        },
      });
      links.add(link);
      if (draining !== null) link.drain();
    });
    socket.once('data', () => strangers.delete(socket));
    socket.once('close', () => strangers.delete(socket));
  });
  server.maxConnections = connectionsMax;
  await listening(server, options.socketPath);
  server.on('error', (error) => log.error('the worker socket failed', { err: error }));

  const inFlight = (): number => {
    let sum = 0;
    for (const link of links) sum += link.inFlight;
    return sum;
  };
  const destroy = (): void => {
    server.close();
    for (const socket of strangers) socket.destroy();
    for (const link of links) link.destroy();
  };
  const drain = async (withinMs: number): Promise<number> => {
    server.close();
    for (const socket of strangers) socket.destroy();
    for (const link of links) link.drain();
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, withinMs);
      linkGone = () => {
        if (links.size > 0) return;
        clearTimeout(timer);
        resolve();
      };
      linkGone();
    });
    const cut = inFlight();
    destroy();
    return cut;
  };
  return {
    load() {
      const now = inFlight();
      return { inFlight: now, served: taken - now, takenMs };
    },
    drain(withinMs) {
      draining ??= drain(withinMs);
      return draining;
    },
    destroy,
  };
}

/** Tells by the first byte what a connection speaks. Only the link for now. */
function sniff(socket: net.Socket, log: Log, onLink: (initial: Buffer) => void): void {
  socket.on('error', () => {});
  socket.setTimeout(firstByteTimeoutMs, () => socket.destroy());
  socket.once('data', (first: Buffer) => {
    socket.setTimeout(0);
    // In this very turn: the socket keeps flowing.
    if (isLinkPreface(first)) return onLink(first);
    // Plain HTTP, for upgrades and for workers in other languages, comes in here.
    log.warning('closed a connection to the worker socket that does not speak the link');
    socket.destroy();
  });
}

function listening(server: net.Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void =>
      reject(new BootError(3, `Cannot listen on ${path}: ${error.message}`));
    server.once('error', fail);
    server.once('listening', () => {
      server.off('error', fail);
      resolve();
    });
    listenPrivately(server, path);
  });
}

/** Mode 0600. By the umask, so that it has no other mode for a moment; a thread can't set that,
 *  and there the directory's mode 0700 keeps others out for the moment until the chmod. */
function listenPrivately(server: net.Server, path: string): void {
  if (!isMainThread) {
    server.once('listening', () => chmodSync(path, 0o600));
    listenOnPath(server, path);
    return;
  }
  const before = process.umask(0o177);
  listenOnPath(server, path);
  process.umask(before);
}
