// Workers for tests of the edge: the link's real worker end on real Unix sockets, in this process,
// with a handler that each test writes.

import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Failure } from '../../src/errors/failure.ts';
import type { Exchange, ExchangeHandler, Fields } from '../../src/http/exchange.ts';
import type { WorkerAddress } from '../../src/ipc/messages.ts';
import { acceptLink, type WorkerLink } from '../../src/link/worker-end.ts';
import { workerAddress } from './worker-address.ts';

/** A request that came to a worker. Content is taken as it comes, unless told not to. */
export class Taken implements ExchangeHandler {
  readonly exchange: Exchange;
  readonly worker: LinkWorker;
  body = '';
  complete = false;
  closed = false;
  failure: Failure | null = null;
  takes = true;
  onEnd: (() => void) | null = null;

  constructor(exchange: Exchange, worker: LinkWorker) {
    this.exchange = exchange;
    this.worker = worker;
  }

  onRequestData(chunk: Uint8Array): void {
    this.body += Buffer.from(chunk).toString('latin1');
    if (this.takes) this.exchange.consumed(chunk.length);
  }
  onRequestEnd(): void {
    this.complete = true;
    this.onEnd?.();
  }
  onDrain(): void {}
  onClose(failure: Failure | null): void {
    this.closed = true;
    this.failure = failure;
  }

  reply(text: string, fields: Fields = []): void {
    this.exchange.respond(200, '', ['Content-Length', String(text.length), ...fields]);
    this.exchange.write(Buffer.from(text, 'latin1'));
    this.exchange.end([]);
  }

  /** Answers "METHOD target body" from worker N when the request is complete. */
  echo(): void {
    const answer = (): void => {
      const { method, target } = this.exchange.request;
      this.reply(`${method} ${target} ${this.body}`, [
        'X-Worker',
        String(this.worker.address.slot),
      ]);
    };
    if (this.complete) answer();
    else this.onEnd = answer;
  }
}

export interface LinkWorker {
  readonly address: WorkerAddress;
  /** Requests in the order in which they came. */
  readonly taken: Taken[];
  readonly links: Set<WorkerLink>;
  /** As a process that is killed: the sockets are closed, nothing more is said or heard. */
  die(): void;
}

/** Makes workers with slots 1, 2, …; they end with the test. */
export function workerFactory(
  t: TestContext,
): (
  serve: (taken: Taken) => void,
  options?: { capacity?: number; sockets?: number },
) => Promise<LinkWorker> {
  const dir = mkdtempSync(join(tmpdir(), 'portico-workers-'));
  const workers: LinkWorker[] = [];
  t.after(() => {
    for (const worker of workers) worker.die();
    rmSync(dir, { recursive: true, force: true });
  });
  return async (serve, { capacity = 100, sockets = 1 } = {}) => {
    const id = workers.length + 1;
    const paths = Array.from({ length: sockets }, (_, index) => join(dir, `${id}-${index}.sock`));
    const open = new Set<Socket>();
    const worker: LinkWorker = {
      address: workerAddress({ id, sockets: paths, capacity }),
      taken: [],
      links: new Set(),
      die: () => {
        for (const server of servers) server.close();
        for (const socket of open) socket.destroy();
      },
    };
    const onConnection = (socket: Socket): void => {
      open.add(socket);
      const link = acceptLink(socket, {
        handle: (exchange) => {
          const taken = new Taken(exchange, worker);
          worker.taken.push(taken);
          exchange.attach(taken);
          serve(taken);
        },
        onClose: () => {
          open.delete(socket);
          worker.links.delete(link);
        },
      });
      worker.links.add(link);
    };
    const servers = await Promise.all(paths.map((path) => listening(path, onConnection)));
    workers.push(worker);
    return worker;
  };
}

function listening(path: string, onConnection: (socket: Socket) => void): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer({ allowHalfOpen: true }, onConnection);
    server.once('error', reject).listen(path, () => resolve(server));
  });
}
