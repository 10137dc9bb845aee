// What the connections of one listener share, as a connection sees it.

import type { Handle } from '../../http/exchange.ts';
import type { ParserLimits } from '../../http/request-parser.ts';
import type { Log } from '../../telemetry/log.ts';
import type { ErrorPages } from '../error-pages/error-pages.ts';
import type { Http1Connection } from './http1-connection.ts';
import type { Http1Exchange } from './http1-exchange.ts';
import type { ParserPool } from './parser-pool.ts';

export interface ConnectionOptions {
  /** The same object until a reload changes a limit. */
  readonly limits: ParserLimits;
  /** 0 = one request a connection. */
  readonly keepAliveMs: number;
  readonly headerTimeoutMs: number;
  readonly bodyTimeoutMs: number;
  readonly sendTimeoutMs: number;
  readonly errorPages: ErrorPages;
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
  options(): ConnectionOptions;
  /** Calls connection.flush() at the end of this turn. */
  flushSoon(connection: Http1Connection): void;
  onSettled(exchange: Http1Exchange): void;
  onClosed(connection: Http1Connection): void;
}
