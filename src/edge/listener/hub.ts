// What the connections of one listener share, as a connection sees it.

import type { Handle } from '../../http/exchange.ts';
import type { ParserLimits } from '../../http/request-parser.ts';
import type { Log } from '../../telemetry/log.ts';
import type { ErrorPages } from '../error-pages/error-pages.ts';
import type { SettledExchange } from '../settled-exchange.ts';
import type { Http1Connection } from './http1-connection.ts';
import type { Http2Abuse, Http2Connection } from './http2/connection.ts';
import type { ParserPool } from './parser-pool.ts';
import type { PreambleOptions } from './preambles.ts';

export interface ConnectionOptions {
  /** The same object until a reload changes a limit. */
  readonly limits: ParserLimits;
  /** 0 = one request a connection. */
  readonly keepAliveMs: number;
  readonly headerTimeoutMs: number;
  readonly bodyTimeoutMs: number;
  readonly sendTimeoutMs: number;
  readonly errorPages: ErrorPages;
  /** Strict-Transport-Security for clients that came by https; null = none. */
  readonly hsts: string | null;
  /** HTTP/2 without TLS, with clients that begin with its preface. */
  readonly h2c: boolean;
  /** Load balancers that speak the PROXY protocol; null = none does. */
  readonly preamble: PreambleOptions | null;
  readonly http2MaxConcurrentStreams: number;
}

/** What all connections share. */
export interface Hub {
  readonly handle: Handle;
  readonly parsers: ParserPool;
  readonly log: Log;
  readonly isDraining: boolean;
  /** performance.now() as of the last sweep, and how long ago that may be. */
  readonly coarseNowMs: number;
  readonly sweepMs: number;
  requestsInFlight: number;
  /** Of these, connections that speak another protocol now. */
  tunnels: number;
  options(): ConnectionOptions;
  /** Calls connection.flush() at the end of this turn. */
  flushSoon(connection: Http1Connection): void;
  onSettled(exchange: SettledExchange): void;
  onClosed(connection: Http1Connection): void;
  add(connection: Http1Connection): void;
  addHttp2(connection: Http2Connection): void;
  onHttp2Closed(connection: Http2Connection): void;
  /** An HTTP/2 connection was ended for what the client did. */
  noteAbuse(kind: Http2Abuse, detail: string, address: string): void;
}
