// Turns a parsed format into the function that writes one exchange as one line.

import type { Atom, Fact, FormatPart } from '../../config/access-log-format.ts';
import type { ClientCertificateFacts } from '../../http/exchange.ts';
import type { SettledExchange } from '../settled-exchange.ts';
import { asciiJson, escaped } from './escape.ts';
import { clfTime } from './log-times.ts';

/** When the exchange settled: by the monotonic clock its record uses, and by the wall's. */
export interface Moment {
  readonly nowMs: number;
  readonly wallMs: number;
}

type Piece = (exchange: SettledExchange, moment: Moment) => string | number;
export type Render = (exchange: SettledExchange, moment: Moment) => string;

/** Null parts: JSON. The line has no line end yet. */
export function compile(parts: readonly FormatPart[] | null): Render {
  if (parts === null) return jsonLine;
  const pieces = parts.map((part) => (part.kind === 'text' ? part.text : pieceOf(part)));
  return (exchange, moment) => {
    let line = '';
    for (const piece of pieces) line += typeof piece === 'string' ? piece : piece(exchange, moment);
    return line;
  };
}

function pieceOf(part: Exclude<FormatPart, { kind: 'text' }>): Piece {
  switch (part.kind) {
    case 'atom':
      return atomPieces[part.atom];
    case 'fact':
      return factPieces[part.fact];
    case 'request-field':
      return (exchange) => shown(fieldOf(exchange.received.fields, part.name));
    case 'response-field':
      return (exchange) => shown(fieldOf(exchange.responseFields, part.name));
    case 'variable': {
      const value = shown(process.env[part.name] ?? '');
      return () => value;
    }
  }
}

const atomPieces: Readonly<Record<Atom, Piece>> = {
  h: ({ client }) => shown(client.address),
  l: () => '-',
  u: (exchange) => shown(userOf(exchange)),
  t: (_exchange, { wallMs }) => clfTime(wallMs),
  r: ({ received }) => requestLine(received),
  m: ({ received }) => shown(received.method),
  U: ({ received }) => shown(received.target.split('?', 1)[0] as string),
  q: ({ received }) => escaped(queryOf(received.target)),
  H: ({ received }) => protocol(received.version),
  s: ({ record }) => record.status,
  B: ({ record }) => record.responseBytes,
  b: ({ record }) => (record.status === 0 ? '-' : record.responseBytes),
  f: ({ received }) => shown(fieldOf(received.fields, 'referer')),
  a: ({ received }) => shown(fieldOf(received.fields, 'user-agent')),
  T: (exchange, moment) => Math.trunc(tookMs(exchange, moment) / 1000),
  M: (exchange, moment) => Math.trunc(tookMs(exchange, moment)),
  D: (exchange, moment) => Math.trunc(tookMs(exchange, moment) * 1000),
  L: (exchange, moment) => seconds(tookMs(exchange, moment)),
  p: () => `<${process.pid}>`,
};

const factPieces: Readonly<Record<Fact, Piece>> = {
  'request-id': ({ requestId }) => shown(requestId),
  upstream: ({ record }) => shown(record.upstream),
  route: ({ record }) => shown(record.route),
  'queue-time': ({ record }) => between(record.startedMs, record.claimedMs),
  'upstream-time': ({ record }) => between(record.claimedMs, record.respondedMs),
  retries: ({ record }) => record.retries,
  failure: ({ record }) => record.failure?.code ?? '-',
  scheme: ({ client }) => client.scheme,
  host: ({ received }) => shown(fieldOf(received.fields, 'host')),
  peer: ({ client }) => shown(client.peerAddress),
  'request-bytes': ({ record }) => record.requestBytes,
  'time-iso8601': (_exchange, { wallMs }) => new Date(wallMs).toISOString(),
  'tls-protocol': ({ client }) => client.tls?.protocol ?? '-',
  'tls-cipher': ({ client }) => client.tls?.cipher ?? '-',
  'tls-server-name': ({ client }) => shown(client.tls?.serverName ?? ''),
  'tls-client-subject': ({ client }) => shown(client.tls?.clientCertificate?.subject ?? ''),
  'tls-client-fingerprint': ({ client }) => client.tls?.clientCertificate?.fingerprint256 ?? '-',
  'tls-client-verify': ({ client: { tls } }) => clientVerdict(tls?.clientCertificate ?? null),
};

/** As nginx's $ssl_client_verify. */
function clientVerdict(certificate: ClientCertificateFacts | null): string {
  if (certificate === null) return 'NONE';
  return certificate.verified ? 'SUCCESS' : 'FAILED';
}

function jsonLine(exchange: SettledExchange, moment: Moment): string {
  const { received, record, client } = exchange;
  return asciiJson({
    time: new Date(moment.wallMs).toISOString(),
    id: exchange.requestId,
    client: client.address,
    scheme: client.scheme,
    tls: client.tls?.protocol ?? null,
    method: received.method,
    host: fieldOf(received.fields, 'host'),
    target: received.target,
    version: received.version,
    status: record.status,
    bytes: record.responseBytes,
    requestBytes: record.requestBytes,
    durationMs: rounded(tookMs(exchange, moment)),
    queueMs: elapsed(record.startedMs, record.claimedMs),
    upstreamMs: elapsed(record.claimedMs, record.respondedMs),
    upstream: record.upstream,
    route: record.route,
    retries: record.retries,
    failure: record.failure?.code ?? null,
    referer: fieldOf(received.fields, 'referer'),
    userAgent: fieldOf(received.fields, 'user-agent'),
  });
}

/** Nothing is shown as "-", so that no column is empty. */
function shown(text: string): string {
  return text === '' ? '-' : escaped(text);
}

function requestLine({ method, target, version }: SettledExchange['received']): string {
  return method === '' ? '-' : escaped(`${method} ${target} ${protocol(version)}`);
}

function protocol(version: string): string {
  return `HTTP/${version}`;
}

function queryOf(target: string): string {
  const at = target.indexOf('?');
  return at === -1 ? '' : target.slice(at + 1);
}

/** The first value of a field; `name` in lower case. */
function fieldOf(fields: readonly string[], name: string): string {
  for (let at = 0; at < fields.length; at += 2) {
    const one = fields[at] as string;
    if (one.length === name.length && one.toLowerCase() === name) return fields[at + 1] as string;
  }
  return '';
}

/** The user name of Basic authentication (RFC 7617): who the client says it is, unchecked. */
function userOf({ received }: SettledExchange): string {
  const value = fieldOf(received.fields, 'authorization');
  if (value.slice(0, 6).toLowerCase() !== 'basic ') return '';
  return Buffer.from(value.slice(6), 'base64').toString('latin1').split(':', 1)[0] as string;
}

function tookMs({ record }: SettledExchange, { nowMs }: Moment): number {
  return Math.max(0, nowMs - record.startedMs);
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(6);
}

function between(fromMs: number, toMs: number): string {
  return fromMs === 0 || toMs === 0 ? '-' : seconds(Math.max(0, toMs - fromMs));
}

function elapsed(fromMs: number, toMs: number): number | null {
  return fromMs === 0 || toMs === 0 ? null : rounded(Math.max(0, toMs - fromMs));
}

function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
