// Both ends of a link over a real Unix socket in one process, and handlers and observers that keep what they hear.

import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Failure } from '../../src/errors/failure.ts';
import type { Exchange, ExchangeHandler, Fields, Handle } from '../../src/http/exchange.ts';
import { connectLink } from '../../src/link/edge-end.ts';
import type { Link, LinkObserver, LinkRequest, LinkStream } from '../../src/link/link.ts';
import { acceptLink, type WorkerLink } from '../../src/link/worker-end.ts';
import { until } from './until.ts';

export function linkRequest(
  request: Partial<LinkRequest['request']> = {},
  rest: Partial<Omit<LinkRequest, 'request'>> = {},
): LinkRequest {
  return {
    request: { method: 'GET', target: '/', version: '1.1', fields: ['Host', 'a.test'], ...request },
    client: {
      address: '192.0.2.1',
      port: 50_000,
      peerAddress: '192.0.2.1',
      localAddress: '192.0.2.2',
      localPort: 8000,
      scheme: 'http',
      tls: null,
    },
    requestId: 'r-1',
    bodyLength: 0,
    expectsContinue: false,
    ...rest,
  };
}

/** Keeps what one stream heard; `ends` counts onEnd and onFailed, which must come to one. */
export class Hearing implements LinkObserver {
  stream!: LinkStream;
  informs: [number, Fields][] = [];
  status = 0;
  reason = '';
  fields: Fields = [];
  chunks: Buffer[] = [];
  receivedBytes = 0;
  consumedBytes = 0;
  trailers: Fields | null = null;
  failure: Failure | null = null;
  reached: boolean | null = null;
  ends = 0;
  /** Says consumed() to content as it comes. */
  isConsuming = true;

  onInform(status: number, fields: Fields): void {
    this.informs.push([status, fields]);
  }
  onResponse(status: number, reason: string, fields: Fields): void {
    this.status = status;
    this.reason = reason;
    this.fields = fields;
  }
  onData(chunk: Uint8Array): void {
    this.chunks.push(Buffer.from(chunk));
    this.receivedBytes += chunk.length;
    if (this.isConsuming) this.stream.consumed(chunk.length);
  }
  onEnd(trailers: Fields): void {
    this.trailers = trailers;
    this.ends += 1;
  }
  onConsumed(bytes: number): void {
    this.consumedBytes += bytes;
  }
  onFailed(failure: Failure, reached: boolean): void {
    this.failure = failure;
    this.reached = reached;
    this.ends += 1;
  }
  get body(): string {
    return Buffer.concat(this.chunks).toString('latin1');
  }
}

/** Keeps what one exchange's handler heard. */
export class Handling implements ExchangeHandler {
  readonly exchange: Exchange;
  chunks: Buffer[] = [];
  receivedBytes = 0;
  requestTrailers: Fields | null = null;
  drains = 0;
  closes = 0;
  outcome: Failure | null = null;
  isConsuming = true;

  constructor(exchange: Exchange) {
    this.exchange = exchange;
  }
  onRequestData(chunk: Uint8Array): void {
    this.chunks.push(Buffer.from(chunk));
    this.receivedBytes += chunk.length;
    if (this.isConsuming) this.exchange.consumed(chunk.length);
  }
  onRequestEnd(trailers: Fields): void {
    this.requestTrailers = trailers;
  }
  onDrain(): void {
    this.drains += 1;
  }
  onClose(failure: Failure | null): void {
    this.closes += 1;
    this.outcome = failure;
  }
  get body(): string {
    return Buffer.concat(this.chunks).toString('latin1');
  }
}

export interface PairOptions {
  handle?: Handle;
  edgeWindowBytes?: number;
  workerWindowBytes?: number;
  streamsMax?: number;
}

/** The two ends. `handlings` are those of the default handle, which only attaches. */
export class LinkPair {
  readonly dir: string = mkdtempSync(join(tmpdir(), 'portico-link-'));
  readonly path: string = join(this.dir, 'worker.sock');
  readonly handlings: Handling[] = [];
  readonly warnings: string[] = [];
  edge!: Link;
  worker: WorkerLink | null = null;
  workerSocket: Socket | null = null;
  ups = 0;
  /** What onDown and onClose were told, each time. */
  downs: (Failure | null)[] = [];
  closes: (Failure | null)[] = [];
  private readonly sockets: Socket[] = [];
  private readonly server: Server;
  private readonly options: PairOptions;

  constructor(options: PairOptions = {}) {
    this.options = options;
    this.server = createServer((socket) => {
      this.workerSocket = socket;
      this.sockets.push(socket);
      this.worker = acceptLink(socket, {
        handle: options.handle ?? ((exchange) => this.attach(exchange)),
        onClose: (failure) => this.closes.push(failure),
        log: { warning: (message, facts) => this.warn('worker', message, facts) },
        ...(options.workerWindowBytes && { windowBytes: options.workerWindowBytes }),
        ...(options.streamsMax && { streamsMax: options.streamsMax }),
      });
    });
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.server.listen(this.path, resolve));
  }

  /** Listens and connects; resolves before the link is up. */
  async connect(): Promise<this> {
    await this.listen();
    this.edge = connectLink({
      path: this.path,
      onUp: () => {
        this.ups += 1;
      },
      onDown: (failure) => this.downs.push(failure),
      log: { warning: (message, facts) => this.warn('edge', message, facts) },
      ...(this.options.edgeWindowBytes && { windowBytes: this.options.edgeWindowBytes }),
    });
    return this;
  }

  async up(): Promise<this> {
    await this.connect();
    await until('the link is up', () => this.edge.isUp && this.worker !== null);
    return this;
  }

  attach(exchange: Exchange): Handling {
    const handling = new Handling(exchange);
    this.handlings.push(handling);
    exchange.attach(handling);
    return handling;
  }

  open(request: LinkRequest = linkRequest()): Hearing {
    const hearing = new Hearing();
    hearing.stream = this.edge.open(request, hearing);
    return hearing;
  }

  /** The n-th exchange, when it has come. */
  async handling(index: number): Promise<Handling> {
    await until(`request ${index} reaches the handler`, () => this.handlings.length > index);
    return this.handlings[index]!;
  }

  close(): void {
    for (const socket of this.sockets) socket.destroy();
    this.server.close();
    rmSync(this.dir, { recursive: true, force: true });
  }

  private warn(who: string, message: string, facts?: object): void {
    this.warnings.push(`${who}: ${message} ${JSON.stringify(facts)}`);
  }
}
