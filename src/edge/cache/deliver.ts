// Sends a stored response to a client, whole or as 304.

import type { Exchange, ExchangeHandler, Fields } from '../../http/exchange.ts';
import { ageOf, clientHasIt, type Entry, hitFields, notModifiedFields } from './entry.ts';
import type { Wants } from './wants.ts';

export interface Delivery {
  readonly entry: Entry;
  readonly wants: Wants;
  readonly nowMs: number;
  /** Value of Cache-Status where it is no plain hit. */
  readonly status: string | null;
  /** For this client alone. */
  readonly extra?: Fields;
}

export function deliver(exchange: Exchange, delivery: Delivery): void {
  const { entry, wants, nowMs, status, extra = [] } = delivery;
  const { requestId } = exchange;
  const fields =
    status === null
      ? [...hitFields(entry, nowMs), 'X-Request-Id', requestId]
      : [
          ...entry.fields,
          ...['Age', ageOf(entry, nowMs), 'Cache-Status', status, 'X-Request-Id', requestId],
          ...extra,
        ];
  // A worker that was asked whether it still holds stays in the log.
  if (exchange.record.upstream === '') exchange.record.upstream = 'cache';
  // Conditions are for what would be a success (RFC 9110 section 13.2.1).
  const isSuccess = entry.status >= 200 && entry.status < 300;
  if (isSuccess && clientHasIt(wants, entry)) {
    exchange.respond(304, '', notModifiedFields(fields));
    exchange.end([]);
    return;
  }
  exchange.respond(entry.status, entry.reason, fields);
  // What a slow client has not taken yet is this one buffer, however many of them there are.
  if (exchange.request.method !== 'HEAD' && entry.body.length > 0) exchange.write(entry.body);
  exchange.end([]);
}

/** For an exchange that is answered at once: there is nothing to hear. */
export const deaf: ExchangeHandler = {
  onRequestData: () => {},
  onRequestEnd: () => {},
  onDrain: () => {},
  onClose: () => {},
};
