// A listener of the edge on a port of its own, with a handler that each test writes.

import { mkdtempSync, rmSync } from 'node:fs';
import * as net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { loadErrorPages } from '../../src/edge/error-pages/error-pages.ts';
import type { Listener, ListenerOptions } from '../../src/edge/listener/listener.ts';
import { createListener } from '../../src/edge/listener/listener.ts';
import type { SettledExchange } from '../../src/edge/settled-exchange.ts';
import type { Failure } from '../../src/errors/failure.ts';
import type { Exchange, ExchangeHandler, Fields } from '../../src/http/exchange.ts';
import type { Log } from '../../src/telemetry/log.ts';
import { RawClient } from './raw-client.ts';
import { until } from './until.ts';

/** What a handler heard of one exchange. It says consumed() for all content, unless told not to. */
export class Heard implements ExchangeHandler {
  readonly exchange: Exchange;
  body = '';
  chunks = 0;
  trailers: Fields | null = null;
  drains = 0;
  /** Failures handed to onClose, in turn. */
  readonly closes: (Failure | null)[] = [];
  consumes = true;
  onEnd: (() => void) | null = null;
  onRoom: (() => void) | null = null;

  constructor(exchange: Exchange) {
    this.exchange = exchange;
  }

  onRequestData(chunk: Uint8Array): void {
    this.body += Buffer.from(chunk).toString('latin1');
    this.chunks++;
    if (this.consumes) this.exchange.consumed(chunk.length);
  }

  onRequestEnd(trailers: Fields): void {
    this.trailers = trailers;
    this.onEnd?.();
  }

  onDrain(): void {
    this.drains++;
    this.onRoom?.();
  }

  onClose(failure: Failure | null): void {
    this.closes.push(failure);
  }

  reply(status: number, body: string, fields: Fields = []): void {
    const content = Buffer.from(body, 'latin1');
    this.exchange.respond(status, '', ['Content-Length', String(content.length), ...fields]);
    this.exchange.write(content);
    this.exchange.end([]);
  }
}

export interface Edge {
  readonly listener: Listener;
  readonly port: number;
  /** Of a Unix socket the listener accepts on too. */
  readonly path: string;
  readonly options: { -readonly [K in keyof ListenerOptions]: ListenerOptions[K] };
  readonly heard: Heard[];
  /** Exchanges in the order in which they settled. */
  readonly settled: SettledExchange[];
  readonly logged: string[];
  /** Exchanges that came and are not attached. */
  readonly waiting: Exchange[];
  attach(exchange: Exchange): void;
  connect(target?: number | string): RawClient;
  /** Resolves when `probe` returns something; looked at each time something happened, and often. */
  until<T>(what: string, probe: () => T | null | undefined | false): Promise<T>;
}

/** `serve` gets each exchange attached already. Without it, each request is answered when complete
 *  with "METHOD target body". */
export async function startEdge(
  t: TestContext,
  serve: (heard: Heard) => void = echo,
  options: Partial<ListenerOptions> = {},
  { attach = 'at once' }: { attach?: 'at once' | 'later' } = {},
): Promise<Edge> {
  const heard: Heard[] = [];
  const settled: SettledExchange[] = [];
  const logged: string[] = [];
  const waiting: Exchange[] = [];
  const all = {
    limits: {
      requestLineBytes: 4094,
      fields: 100,
      fieldSizeBytes: 8190,
      bodyBytes: 0,
      permitBareLf: false,
    },
    keepAliveMs: 5_000,
    headerTimeoutMs: 10_000,
    bodyTimeoutMs: 10_000,
    sendTimeoutMs: 10_000,
    errorPages: loadErrorPages({}),
    hsts: null,
    h2c: false,
    preamble: null,
    http2MaxConcurrentStreams: 128,
    ...options,
  };
  const take = (exchange: Exchange): void => {
    const one = new Heard(exchange);
    heard.push(one);
    exchange.attach(one);
    serve(one);
  };
  const listener = createListener({
    handle: (exchange) => {
      if (attach === 'later') waiting.push(exchange);
      else take(exchange);
    },
    options: () => all,
    onSettled: (exchange) => settled.push(exchange),
    onPreambleRefused: () => {},
    tls: null,
    log: logInto(logged),
    sweepMs: 20,
  });
  const { handle, port } = boundHandle();
  await listener.listen('tcp', handle, { kind: 'tcp', host: '127.0.0.1', port, tls: false }, 511);
  const dir = mkdtempSync(join(tmpdir(), 'portico-'));
  const path = join(dir, 'edge.sock');
  await listener.listen(
    'unix',
    createServerHandle(path, -1, -1),
    { kind: 'unix', path, tls: false },
    511,
  );
  const clients: RawClient[] = [];
  t.after(async () => {
    for (const client of clients) client.leave();
    await listener.drain(0);
    rmSync(dir, { recursive: true });
  });
  return {
    listener,
    port,
    path,
    options: all,
    heard,
    settled,
    logged,
    waiting,
    attach: take,
    connect: (target = port) => {
      const client = new RawClient(target);
      clients.push(client);
      return client;
    },
    until,
  };
}

export function echo(heard: Heard): void {
  const answer = () => {
    const { method, target } = heard.exchange.request;
    heard.reply(200, `${method} ${target} ${heard.body}`);
  };
  whenWhole(heard, answer);
}

/** The request may be complete before a handler can say what it wants to do then. */
export function whenWhole(heard: Heard, act: () => void): void {
  if (heard.trailers !== null) act();
  else heard.onEnd = act;
}

interface BoundHandle {
  getsockname(into: { port?: number }): number;
}

/** Makes a bound socket that does not accept, as the arbiter does. */
const { _createServerHandle: createServerHandle } = net as unknown as {
  _createServerHandle(host: string, port: number, family: number): BoundHandle;
};

function boundHandle(): { handle: BoundHandle; port: number } {
  const handle = createServerHandle('127.0.0.1', 0, 4);
  const name: { port?: number } = {};
  handle.getsockname(name);
  return { handle, port: name.port! };
}

function logInto(lines: string[]): Log {
  const line = (message: string): void => {
    lines.push(message);
  };
  return {
    trace: line,
    debug: line,
    info: line,
    warning: line,
    error: line,
    critical: line,
    reopen: () => {},
  };
}
