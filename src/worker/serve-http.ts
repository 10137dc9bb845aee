// Worker class "http": listens on the worker's Unix socket and serves plain HTTP/1.1 there, for apps that
// take req.socket apart and so need a real one.

import type { IncomingMessage, ServerResponse } from 'node:http';
import net, { type Socket } from 'node:net';
import type { Log } from '../telemetry/log.ts';
import type { PlainHttp } from './plain-http.ts';
import { listening, type Serving, sniff } from './serve.ts';

export interface ServeHttpOptions {
  readonly socketPath: string;
  /** Its requests are given to `answer` of createHttpCount(). */
  readonly plain: PlainHttp;
  readonly count: HttpCount;
  readonly log: Log;
}

/** What is going on on one connection: a request that is being read, asked or answered, another protocol
 *  (nobody tells when a request becomes one), or nothing. */
interface Open {
  isIdle: boolean;
  inFlight: number;
}

/** Counts the requests of all connections. */
export interface HttpCount {
  readonly open: Map<Socket, Open>;
  taken: number;
  takenMs: number;
  onDone(socket: Socket): void;
  /** Gives a request to the app. */
  readonly answer: (request: IncomingMessage, response: ServerResponse) => void;
}

export function createHttpCount(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
  onTaken: (taken: number) => void,
): HttpCount {
  const count: HttpCount = {
    open: new Map(),
    taken: 0,
    takenMs: 0,
    onDone: () => {},
    answer(request, response) {
      const { socket } = request;
      const open = count.open.get(socket);
      count.taken += 1;
      count.takenMs = performance.now();
      if (open !== undefined) {
        open.isIdle = false;
        open.inFlight += 1;
        response.once('close', () => {
          open.inFlight -= 1;
          open.isIdle = open.inFlight === 0;
          if (open.isIdle) count.onDone(socket);
        });
      }
      onTaken(count.taken);
      answer(request, response);
    },
  };
  return count;
}

/** Resolves when the socket listens; rejects with a BootError when it can't. */
export async function serveHttp({
  socketPath,
  plain,
  count,
  log,
}: ServeHttpOptions): Promise<Serving> {
  const { open } = count;
  const strangers = new Set<Socket>();
  let draining: Promise<number> | null = null;
  let oneGone: () => void = () => {};

  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    strangers.add(socket);
    sniff(socket, (first) => {
      strangers.delete(socket);
      open.set(socket, { isIdle: false, inFlight: 0 });
      plain.accept(socket, first);
    });
    socket.once('close', () => {
      strangers.delete(socket);
      open.delete(socket);
      oneGone();
    });
  });
  await listening(server, socketPath);
  server.on('error', (error) => log.error('the worker socket failed', { err: error }));

  const sum = (of: (one: Open) => number): number =>
    [...open.values()].reduce((total, one) => total + of(one), 0);
  const inFlight = (): number => sum((one) => one.inFlight);
  const destroy = (): void => {
    server.close();
    for (const socket of [...strangers, ...open.keys()]) socket.destroy();
  };
  const drain = async (withinMs: number): Promise<number> => {
    server.close();
    for (const socket of strangers) socket.destroy();
    // The edge sends nothing more: what is idle stays so.
    count.onDone = (socket) => void socket.end();
    for (const [socket, { isIdle }] of open) if (isIdle) socket.end();
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, withinMs);
      oneGone = () => {
        if (open.size > 0) return;
        clearTimeout(timer);
        resolve();
      };
      oneGone();
    });
    const cut = sum(({ isIdle }) => (isIdle ? 0 : 1));
    destroy();
    return cut;
  };
  return {
    load() {
      const now = inFlight();
      const upgraded = sum((one) => (!one.isIdle && one.inFlight === 0 ? 1 : 0));
      return { inFlight: now, upgraded, served: count.taken - now, takenMs: count.takenMs };
    },
    drain(withinMs) {
      draining ??= drain(withinMs);
      return draining;
    },
    destroy,
  };
}
