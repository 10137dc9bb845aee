// Begins the record of an exchange: one place, so that every record has one shape.

import type { ExchangeRecord } from './exchange.ts';

/** A record of which only the beginning is known. `startedMs` by performance.now(). */
export function newRecord(startedMs: number): ExchangeRecord {
  return {
    startedMs,
    claimedMs: 0,
    respondedMs: 0,
    status: 0,
    responseBytes: 0,
    requestBytes: 0,
    upstream: '',
    route: '',
    retries: 0,
    failure: null,
  };
}
