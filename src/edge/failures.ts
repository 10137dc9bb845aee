// How a failed request is told in the event log.

import { catalogue } from '../errors/catalogue.ts';
import type { Exchange } from '../http/exchange.ts';
import type { Log } from '../telemetry/log.ts';

/** Tells of a failed request, once, when it has settled. What a client did wrong is its own affair
 *  and can be had in any number, so it is told at debug only. */
export function logFailure(log: Log, exchange: Exchange): void {
  const { record, request } = exchange;
  const reason = record.failure;
  if (reason === null) return;
  const facts = {
    code: reason.code,
    status: record.status,
    requestId: exchange.requestId,
    method: printable(request.method, 20),
    path: printable(pathOf(request.target), 200),
    ...(record.upstream === '' ? {} : { upstream: record.upstream }),
    ...(record.retries === 0 ? {} : { retries: record.retries }),
    ...(reason.detail === '' ? {} : { detail: printable(reason.detail, 500) }),
  };
  if (reason.blame === 'client') log.debug(catalogue[reason.code].what, facts);
  else log.warning(catalogue[reason.code].what, facts);
}

/** Tells of a request whose worker ended with it in hand, and which another gets now: if that one
 *  ends too, this is the line that names the request. */
export function logRetry(log: Log, exchange: Exchange, why: string): void {
  log.warning('The worker ended with a request in hand; another gets it.', {
    requestId: exchange.requestId,
    method: printable(exchange.request.method, 20),
    path: printable(pathOf(exchange.request.target), 200),
    detail: printable(why, 500),
  });
}

/** Without the query, which may hold secrets. */
function pathOf(target: string): string {
  const query = target.indexOf('?');
  return query === -1 ? target : target.slice(0, query);
}

/** What a client sent, fit for a terminal: control bytes and what is not ASCII are escaped. */
function printable(text: string, charsMax: number): string {
  const short = text.length <= charsMax ? text : `${text.slice(0, charsMax)}…`;
  return short.replace(
    /[^\x20-\x7e…]/g,
    (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}
