// A worker or an upstream that is reached by HTTP/1.1, with the face of a link: a bounded number of connections to
// one address, kept for the next request where that is safe.
//
//   probing ──connected──▶ up ──a connection is refused, drained, destroyed──▶ down

import { type Failure, failure } from '../../errors/failure.ts';
import type { ClientFacts } from '../../http/exchange.ts';
import { encodeRequestHead, type HeadRules } from '../../http/request-head.ts';
import type { Link, LinkObserver, LinkRequest, LinkStream } from '../../link/link.ts';
import type { LinkLog } from '../../link/shared.ts';
import { type ConnectionOwner, HttpConnection } from './connection.ts';
import type { HttpAddress } from './dial.ts';
import { HttpStream } from './stream.ts';

export interface HttpSettings {
  /** TLS included. */
  readonly connectTimeoutMs: number;
  /** Between two pieces of a response; 0 = no limit. */
  readonly idleTimeoutMs: number;
  /** How long a connection without request is kept; 0 = none is. */
  readonly keepAliveMs: number;
  readonly maxConnections: number;
  /** Kept without request. */
  readonly idleConnections: number;
  /** In place of the client's Host; null = the client's. */
  readonly host: string | null;
  /** The connection that was used longest ago is next; else that of the last request. */
  readonly inTurn?: boolean;
}

export interface HttpConnectOptions {
  readonly address: HttpAddress;
  readonly settings: HttpSettings;
  /** What is said first on a connection about whose request it carries; null = nothing, and connections
   *  serve one client after another. Of null: that this is no client's. */
  readonly preamble: ((client: ClientFacts | null) => string) | null;
  /** A connection could be made. */
  onUp(): void;
  /** Null when it was drained. Exactly once. A connection that was refused does not end those that are open:
   *  what is in flight goes on. */
  onDown(reason: Failure | null): void;
  readonly log?: LinkLog;
}

/** How exactly time-outs are kept. */
const SWEEP_MS_MAX = 500;
/** The upstream's own limit counts from when it sent the last byte, and its FIN takes a while to get here. */
const KEEP_ALIVE_MARGIN_MS = 1_000;
/** An upstream that is odd is odd again and again. */
const ODDITY_EVERY_MS = 60_000;

export function connectHttp(options: HttpConnectOptions): Link {
  return new HttpLink(options);
}

class HttpLink implements Link, ConnectionOwner {
  readonly address: HttpAddress;
  inFlight = 0;
  private phase: 'probing' | 'up' | 'down' = 'probing';
  private closesWhenIdle = false;
  private readonly options: HttpConnectOptions;
  private readonly rules: HeadRules;
  private readonly all = new Set<HttpConnection>();
  /** The one used last is on top: those that are not needed get old below. */
  private idle: HttpConnection[] = [];
  private prober: HttpConnection | null;
  private sweeper: NodeJS.Timeout | null = null;
  private readonly sweepMs: number;
  private odditySaidMs = Number.NEGATIVE_INFINITY;
  private readonly onOver = (): void => {
    this.inFlight--;
    if (this.closesWhenIdle) this.endIfIdle();
  };

  constructor(options: HttpConnectOptions) {
    this.options = options;
    this.address = options.address;
    const { host, keepAliveMs, idleTimeoutMs } = options.settings;
    const keepAlive = keepAliveMs > 0 && options.preamble === null;
    this.rules = { host, fallbackHost: authorityOf(options.address), keepAlive };
    const shortest = Math.min(keepAliveMs || SWEEP_MS_MAX, idleTimeoutMs || SWEEP_MS_MAX);
    this.sweepMs = Math.max(5, Math.min(shortest / 4, SWEEP_MS_MAX));
    // Not kept: a server that serves one connection at a time would wait for it to say something.
    this.prober = this.dial(null);
  }

  get isUp(): boolean {
    return this.phase === 'up';
  }

  open(request: LinkRequest, observer: LinkObserver): LinkStream {
    this.inFlight++;
    const stream = new HttpStream(request, observer, this.onOver);
    const refusal = this.refusal();
    if (refusal !== null) {
      stream.refuseLater(refusal);
      return stream;
    }
    const head = encodeRequestHead(request, this.rules);
    if (typeof head !== 'string') stream.refuseLater(head);
    else {
      stream.begin(this.takeIdle() ?? this.dial(request.client), head);
      if (this.sweeper === null) this.sweepLater();
    }
    return stream;
  }

  drain(): void {
    this.closesWhenIdle = true;
    this.closeIdle();
    this.endIfIdle();
  }

  destroy(reason: Failure): void {
    for (const connection of [...this.all]) connection.close(reason);
    this.die(reason);
  }

  // ── from its connections

  onConnected(connection: HttpConnection): void {
    if (connection !== this.prober) return;
    this.prober = null;
    // It takes no place from a request: there may be but one.
    this.all.delete(connection);
    connection.retire();
    if (this.phase !== 'probing') return;
    this.phase = 'up';
    this.options.onUp();
  }

  onRefused(_connection: HttpConnection, reason: Failure): void {
    this.die(reason);
  }

  onIdle(connection: HttpConnection): void {
    const { keepAliveMs, idleConnections } = this.options.settings;
    const said = connection.keepAliveSeconds;
    const keptMs =
      said === null ? keepAliveMs : Math.min(keepAliveMs, said * 1000 - KEEP_ALIVE_MARGIN_MS);
    const isKept = this.rules.keepAlive && !this.isEnding && keptMs > 0;
    if (!isKept || this.idle.length >= idleConnections) {
      connection.close(null);
      return;
    }
    connection.idleUntilMs = performance.now() + keptMs;
    this.idle.push(connection);
    if (this.sweeper === null) this.sweepLater();
  }

  onClosed(connection: HttpConnection, wasStale: boolean): void {
    this.all.delete(connection);
    const at = this.idle.indexOf(connection);
    if (at !== -1) this.idle.splice(at, 1);
    // The others have been kept by a server that is no more, or has lost patience with all of them: a retry
    // is to meet a new one.
    if (wasStale) this.closeIdle();
  }

  onOddity(detail: string): void {
    const nowMs = performance.now();
    if (nowMs - this.odditySaidMs < ODDITY_EVERY_MS) return;
    this.odditySaidMs = nowMs;
    const { address, log } = this.options;
    log?.warning('an upstream broke HTTP; its connection is not used again', {
      upstream: showAddress(address),
      detail,
    });
  }

  // ── within

  private get isEnding(): boolean {
    return this.closesWhenIdle || this.phase === 'down';
  }

  private refusal(): Failure | null {
    if (this.phase === 'down') return failure('UPSTREAM_UNREACHABLE', 'it was refused just now');
    if (this.closesWhenIdle) return failure('SHUTTING_DOWN', 'the upstream is being drained');
    const { maxConnections } = this.options.settings;
    if (this.idle.length === 0 && this.all.size >= maxConnections)
      return failure('QUEUE_FULL', `${maxConnections} connections are in use`);
    return null;
  }

  /** One whose end is not yet known to anybody but its socket is passed over. */
  private takeIdle(): HttpConnection | undefined {
    const next = (): HttpConnection | undefined =>
      this.options.settings.inTurn ? this.idle.shift() : this.idle.pop();
    let connection = next();
    while (connection?.socket.writable === false) connection = next();
    return connection;
  }

  /** Null: for no client's request. */
  private dial(client: ClientFacts | null): HttpConnection {
    const { preamble, settings } = this.options;
    const preface = preamble?.(client) ?? '';
    const connection = new HttpConnection(this, settings.connectTimeoutMs, preface);
    this.all.add(connection);
    return connection;
  }

  private closeIdle(): void {
    const { idle } = this;
    this.idle = [];
    for (const connection of idle) connection.close(null);
  }

  private endIfIdle(): void {
    if (this.inFlight === 0) this.die(null);
  }

  /** What is in flight goes on. */
  private die(reason: Failure | null): void {
    if (this.phase === 'down') return;
    this.phase = 'down';
    const { prober } = this;
    this.prober = null;
    prober?.close(null);
    this.closeIdle();
    this.options.onDown(reason);
  }

  private sweepLater(): void {
    this.sweeper = setTimeout(() => {
      this.sweeper = null;
      this.sweep(performance.now());
      if (this.all.size > 0) this.sweepLater();
    }, this.sweepMs).unref();
  }

  private sweep(nowMs: number): void {
    const { idleTimeoutMs } = this.options.settings;
    for (const connection of this.all) {
      if (connection.stream === null) {
        if (connection.isConnected && nowMs >= connection.idleUntilMs) connection.close(null);
      } else if (idleTimeoutMs > 0 && connection.isSilent(nowMs, idleTimeoutMs))
        connection.close(failure('UPSTREAM_SILENT', `nothing came for ${idleTimeoutMs} ms`));
    }
  }
}

function authorityOf(address: HttpAddress): string {
  if (address.kind === 'unix') return 'localhost';
  const { host, port } = address;
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function showAddress(address: HttpAddress): string {
  return address.kind === 'unix' ? `unix:${address.path}` : authorityOf(address);
}
