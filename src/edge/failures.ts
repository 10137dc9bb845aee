// How a failed request is told in the event log.

import { catalogue, type FailureCode } from '../errors/catalogue.ts';
import type { Exchange } from '../http/exchange.ts';
import type { HandshakeFailure } from '../ipc/messages.ts';
import type { Log } from '../telemetry/log.ts';
import type { Refusals } from './refusals.ts';

/** Answers that a client asked for by its conditions, and clients that left: the access log has them,
 *  and nothing was refused. */
const ordinary: ReadonlySet<FailureCode> = new Set([
  'CLIENT_LEFT',
  'PRECONDITION_FAILED',
  'RANGE_UNSATISFIABLE',
  'NOT_CACHED',
]);

/** Tells of a failed request, once, when it has settled. What a client did wrong is told at info, as
 *  nginx does, and as often as `refusals` lets it; each at debug. */
export function logFailure(log: Log, exchange: Exchange, refusals: Refusals): void {
  const { record, request, client } = exchange;
  const reason = record.failure;
  if (reason === null) return;
  const isClients = reason.blame === 'client';
  const isTold =
    isClients && !ordinary.has(reason.code) && refusals.isTold(reason.code, client.address);
  const facts = {
    code: reason.code,
    status: record.status,
    ...(isClients ? { client: client.address === '' ? 'unix' : client.address } : {}),
    requestId: exchange.requestId,
    method: printable(request.method, 20),
    path: printable(pathOf(request.target), 200),
    ...(record.upstream === '' ? {} : { upstream: record.upstream }),
    ...(record.retries === 0 ? {} : { retries: record.retries }),
    ...(reason.detail === '' ? {} : { detail: printable(reason.detail, 500) }),
  };
  const { what } = catalogue[reason.code];
  if (!isClients) log.warning(what, facts);
  else if (isTold) log.info(what, facts);
  else log.debug(what, facts);
}

/** Tells of a TLS handshake that failed, no oftener than of refused requests. */
export function logHandshake(
  log: Log,
  refusals: Refusals,
  { reason, address, detail }: { reason: HandshakeFailure; address: string; detail: string },
): void {
  // That one was answered, and is told as a request.
  if (reason === 'http') return;
  const isTold = refusals.isTold('TLS_HANDSHAKE', address);
  const facts = {
    code: 'TLS_HANDSHAKE',
    client: address,
    reason: handshakeFailures[reason],
    ...(detail === '' ? {} : { detail: printable(detail, 200) }),
  };
  log[isTold ? 'info' : 'debug'](catalogue.TLS_HANDSHAKE.what, facts);
}

/** Tells of a connection that began with no PROXY protocol, though its peer speaks that. */
export function logPreamble(
  log: Log,
  refusals: Refusals,
  { address, why }: { readonly address: string; readonly why: string },
): void {
  const isTold = refusals.isTold('PROXY_PROTOCOL', address);
  const facts = { code: 'PROXY_PROTOCOL', peer: address === '' ? 'unix' : address, detail: why };
  log[isTold ? 'info' : 'debug'](catalogue.PROXY_PROTOCOL.what, facts);
}

const handshakeFailures: Record<Exclude<HandshakeFailure, 'http'>, string> = {
  timeout: 'not done within tlsHandshakeTimeout',
  garbage: 'what came is not TLS',
  name: 'no certificate for the name, and tlsUnknownName is refuse',
  crowd: 'tlsHandshakesMax is reached',
  left: 'the client closed the connection',
  protocol: 'OpenSSL ended it',
};

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
