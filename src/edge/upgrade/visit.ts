// One request to switch protocols on its way to a worker: it waits for one like any request, and asks it on a
// connection of its own. A 101 makes a tunnel of it; any other answer is passed on.

import type { IncomingMessage } from 'node:http';
import type httpProxy from 'http-proxy';
import { type Failure, failure } from '../../errors/failure.ts';
import type { ExchangeHandler, Fields } from '../../http/exchange.ts';
import { fieldValues, isHopByHopName, withoutNamed } from '../../http/fields.ts';
import { encodePlainPreface } from '../../link/plain-preface.ts';
import type { Backend } from '../balancer/backend.ts';
import type { Pool } from '../balancer/pool.ts';
import { decideRetry } from '../balancer/retry.ts';
import { withCookie } from '../balancer/sticky.ts';
import { Waiter } from '../balancer/wait-list.ts';
import { connectFailure } from '../upstream/failures.ts';
import { workerAddress } from '../upstream/worker-link.ts';
import { asHeaders, beginHandshake, type Handshake, type Switched } from './engine.ts';
import { Tunnel } from './tunnel.ts';
import { agrees, type UpgradableExchange } from './upgradable.ts';

/** Whom a visit asks. */
export interface Destination {
  readonly pool: Pool;
  /** From the claim of a worker to its answer; 0 = no limit. */
  readonly responseTimeoutMs: number;
}

/** What a visit needs of the lane. */
export interface VisitHost {
  engine(): Promise<httpProxy>;
  /** Once a visit, when it is over or has become a tunnel. */
  onAsked(): void;
  /** A tunnel is open until its onOver. */
  onTunnel(tunnel: Tunnel): void;
  onOver(tunnel: Tunnel, pool: Pool): void;
}

/** A worker's socket is on this machine: whoever does not accept by then has its queue full. */
const CONNECT_TIMEOUT_MS = 5_000;

/** Life: waiting for a worker → asking ⟲ (retry) → answered, or a tunnel → over. */
export class Visit extends Waiter implements ExchangeHandler {
  private readonly exchange: UpgradableExchange;
  private readonly fields: Fields;
  private readonly host: VisitHost;
  private readonly to: Destination;
  private backend: Backend | null = null;
  private handshake: Handshake | null = null;
  private answer: IncomingMessage | null = null;
  private tunnel: Tunnel | null = null;
  private over = false;

  /** `fields` as the worker is to get them. */
  constructor(
    exchange: UpgradableExchange,
    fields: Fields,
    { host, to }: { readonly host: VisitHost; readonly to: Destination },
  ) {
    super();
    this.exchange = exchange;
    this.fields = fields;
    this.host = host;
    this.to = to;
  }

  run(): void {
    this.exchange.attach(this);
    if (!this.over) this.to.pool.submit(this, false);
  }

  // ── from the pool

  start(backend: Backend): void {
    const { host, exchange, to } = this;
    const nowMs = performance.now();
    if (exchange.record.claimedMs === 0) exchange.record.claimedMs = nowMs;
    exchange.record.upstream = backend.name;
    this.backend = backend;
    if (to.responseTimeoutMs > 0) to.pool.awaitAnswer(this, nowMs + to.responseTimeoutMs);
    host.engine().then(
      (engine) => {
        if (this.backend === backend && this.handshake === null) this.ask(engine, backend);
      },
      (error: unknown) => exchange.fail(failure('EDGE_FAULT', 'http-proxy does not load', error)),
    );
  }

  private ask(engine: httpProxy, backend: Backend): void {
    const { exchange } = this;
    const { method, target } = exchange.request;
    const { protocol, http } = backend.worker;
    try {
      this.handshake = beginHandshake(engine, {
        method,
        target,
        fields: withHost(this.fields, http?.host ?? null),
        client: exchange.socket,
        address: http?.address ?? workerAddress(backend.path),
        connectTimeoutMs: http?.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
        // Only workers of our own know the line; an HTTP server would take it for a request.
        preface:
          protocol === 'link'
            ? encodePlainPreface(exchange.client)
            : (http?.preamble?.(exchange.client) ?? ''),
        events: {
          onSwitch: (answer, switched) => this.onSwitch(answer, switched),
          onAnswer: (answer) => this.onAnswer(answer),
          onInform: (status, fields) => exchange.inform(status, fields),
          onFailed: (error, reached) => this.onFailed(error, reached),
        },
      });
    } catch (error) {
      exchange.fail(failure('EDGE_FAULT', 'the request to upgrade could not be sent', error));
    }
  }

  giveUp(reason: Failure): void {
    this.backend?.failed(reason);
    this.leaveWorker();
    this.exchange.fail(reason);
  }

  // ── from the client: there is no content

  onRequestData(): void {}
  onRequestEnd(): void {}

  onDrain(): void {
    this.answer?.resume();
  }

  onClose(): void {
    this.over = true;
    if (this.tunnel === null) this.host.onAsked();
    else this.tunnel.count();
    this.to.pool.queue.remove(this);
    this.leaveWorker();
  }

  // ── from the worker

  private onSwitch(answer: IncomingMessage, { upstream, headBytes, join }: Switched): void {
    const { exchange, backend, host } = this;
    const protocol = fieldValues(answer.rawHeaders, 'upgrade');
    if (backend === null || !agrees(exchange.upgrade ?? '', protocol)) {
      upstream.destroy();
      exchange.fail(failure('RESPONSE_INVALID', 'it switched to a protocol nobody asked for'));
      return;
    }
    const kept = this.withRequestId(answer.rawHeaders.filter(isEndToEnd));
    const isSecure = exchange.client.scheme === 'https';
    const fields = withCookie(kept, this.stick!, backend.place, isSecure);
    fields.push('Upgrade', protocol!, 'Connection', 'Upgrade');
    answer.headers = asHeaders(fields) as IncomingMessage['headers'];
    const client = exchange.switchProtocols(fields);
    const tunnel = new Tunnel({
      client,
      upstream,
      backend,
      record: exchange.record,
      isWebSocket: protocol!.trim().toLowerCase() === 'websocket',
      headBytes,
      reset: (reason) => exchange.fail(reason),
      onOver: (it) => host.onOver(it, this.to.pool),
    });
    this.tunnel = tunnel;
    host.onAsked();
    host.onTunnel(tunnel);
    // Its place among the requests is free: open tunnels have a limit of their own.
    this.leaveWorker();
    join();
    tunnel.joined();
  }

  private onAnswer(answer: IncomingMessage): void {
    const { exchange } = this;
    const status = answer.statusCode ?? 0;
    this.to.pool.answering.remove(this);
    this.answer = answer;
    answer.on('data', (chunk: Buffer) => {
      if (!exchange.write(chunk)) answer.pause();
    });
    answer.on('end', () => {
      this.leaveWorker();
      exchange.end(answer.rawTrailers);
    });
    answer.on('close', () => {
      if (!answer.complete) exchange.fail(failure('WORKER_RESET', 'in the midst of its answer'));
    });
    exchange.respond(status, answer.statusMessage ?? '', this.withRequestId(answer.rawHeaders));
  }

  private onFailed(error: Error, reached: boolean): void {
    const { exchange, backend, to } = this;
    const { code = '' } = error as NodeJS.ErrnoException;
    const isOdd = code.startsWith('HPE_') || code === '';
    const detail = `${code} ${error.message}`;
    const isWorker = backend === null || backend.worker.protocol === 'link';
    let reason: Failure;
    if (isOdd) reason = failure('RESPONSE_INVALID', detail);
    else if (isWorker) reason = failure('WORKER_DIED', detail);
    else reason = reached ? failure('UPSTREAM_CLOSED', detail) : connectFailure(error);
    if (!isOdd || !isWorker) backend?.failed(reason);
    this.leaveWorker();
    if (this.over) return;
    const verdict = decideRetry({
      method: exchange.request.method,
      failure: reason,
      reached,
      replayable: true,
      answered: false,
      retries: exchange.record.retries,
    });
    if (verdict !== 'retry') {
      exchange.fail(reason);
      return;
    }
    exchange.record.retries++;
    this.avoidWorkerId = backend?.workerId ?? 0;
    to.pool.submit(this, true);
  }

  /** Adds X-Request-Id, unless the app has set it. */
  private withRequestId(fields: Fields): Fields {
    if (fieldValues(fields, 'x-request-id') !== undefined) return [...fields];
    return [...fields, 'X-Request-Id', this.exchange.requestId];
  }

  /** Gives its place on the worker back, and ends the question to it. */
  private leaveWorker(): void {
    const { to, backend, handshake } = this;
    to.pool.answering.remove(this);
    this.backend = null;
    this.handshake = null;
    if (this.tunnel === null) handshake?.destroy();
    if (backend !== null) to.pool.release(backend, this);
  }
}

/** With another Host, where the upstream is to find its own. */
function withHost(fields: Fields, host: string | null): Fields {
  if (host === null) return fields;
  return ['Host', host, ...withoutNamed(fields, ['host'])];
}

/** Of names and values in turn: not those for one connection. */
function isEndToEnd(_text: string, at: number, all: readonly string[]): boolean {
  return !isHopByHopName(all[at - (at % 2)]!);
}
