// Listens on the worker's Unix socket and serves what comes over the edges' links, and as plain HTTP.

import { chmodSync } from 'node:fs';
import net from 'node:net';
import { isMainThread } from 'node:worker_threads';
import type { Exchange } from '../http/exchange.ts';
import { isLinkPreface } from '../link/preface.ts';
import { acceptLink, type WorkerLink } from '../link/worker-end.ts';
import type { Log } from '../telemetry/log.ts';
import { BootError } from './boot-error.ts';
import { listenOnPath } from './listen-capture.ts';
import type { PlainHttp } from './plain-http.ts';

/** Connections at a time: of links each edge has one or a few; the rest is for upgrades, which the edges
 *  limit by a setting. */
const connectionsMax = 1_000_000;
/** An edge says its preface at once. */
const firstByteTimeoutMs = 10_000;

export interface ServeOptions {
  readonly socketPath: string;
  readonly handle: (exchange: Exchange) => void;
  readonly plain: PlainHttp;
  readonly log: Log;
  /** Called as each request is taken, with how many that makes. */
  readonly onTaken: (taken: number) => void;
}

export interface Load {
  readonly inFlight: number;
  /** Connections of plain HTTP: those that were upgraded, and requests to be. */
  readonly upgraded: number;
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
  /** Connections that carry plain HTTP. */
  const plain = new Set<net.Socket>();
  /** Connections that haven't said yet what they speak. */
  const strangers = new Set<net.Socket>();
  let taken = 0;
  let takenMs = 0;
  let draining: Promise<number> | null = null;
  let oneGone: () => void = () => {};

  const handle = (exchange: Exchange): void => {
    taken += 1;
    takenMs = performance.now();
    options.onTaken(taken);
    // Left out by the edge, whose fields are the same from one request to the next without it.
    exchange.request.fields.push('X-Request-Id', exchange.requestId);
    options.handle(exchange);
  };
  const acceptPlain = (socket: net.Socket, first: Buffer): void => {
    taken += 1;
    options.onTaken(taken);
    plain.add(socket);
    socket.once('close', () => {
      plain.delete(socket);
      oneGone();
    });
    options.plain.accept(socket, first);
  };
  // As http.Server has it: the answer to a client that has ended its half is still sent.
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    strangers.add(socket);
    sniff(socket, (initial) => {
      strangers.delete(socket);
      if (!isLinkPreface(initial)) return acceptPlain(socket, initial);
      const link = acceptLink(socket, {
        handle,
        initial,
        log,
        onClose: () => {
          links.delete(link);
          oneGone();
        },
      });
      links.add(link);
      if (draining !== null) link.drain();
    });
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
    for (const socket of plain) socket.destroy();
  };
  const drain = async (withinMs: number): Promise<number> => {
    server.close();
    for (const socket of strangers) socket.destroy();
    for (const link of links) link.drain();
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, withinMs);
      oneGone = () => {
        if (links.size + plain.size > 0) return;
        clearTimeout(timer);
        resolve();
      };
      oneGone();
    });
    const cut = inFlight() + plain.size;
    destroy();
    return cut;
  };
  return {
    load() {
      const now = inFlight();
      return { inFlight: now, upgraded: plain.size, served: taken - now - plain.size, takenMs };
    },
    drain(withinMs) {
      draining ??= drain(withinMs);
      return draining;
    },
    destroy,
  };
}

/** Gives out the first bytes, by which a connection tells what it speaks. Nobody else may listen for data
 *  then: bytes that are put back would be given to that one. */
export function sniff(socket: net.Socket, onFirst: (initial: Buffer) => void): void {
  socket.on('error', () => {});
  socket.setTimeout(firstByteTimeoutMs, () => socket.destroy());
  // Nothing was said yet, so nothing is to be answered.
  const onEnd = (): void => void socket.destroy();
  socket.once('end', onEnd);
  socket.once('data', (first: Buffer) => {
    socket.off('end', onEnd);
    socket.setTimeout(0);
    // In this very turn: the socket keeps flowing.
    onFirst(first);
  });
}

export function listening(server: net.Server, path: string): Promise<void> {
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
