// The record of an exchange: begun and ended in one place, so that every record has one shape.

import type { Failure } from '../errors/failure.ts';
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

/** The exchange ended so. A failure that a handler noted beside an answer of its own leaves the status of that. */
export function noteFailure(record: ExchangeRecord, reason: Failure): void {
  record.failure = reason;
  if (record.status === 0 || reason.code === 'CLIENT_LEFT') record.status = reason.status;
}
