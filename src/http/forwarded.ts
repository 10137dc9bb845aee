// Who the client is, and what the app is told about it: the X-Forwarded-* fields, X-Real-IP,
// X-Request-Id and Forwarded (RFC 7239). What a client sent of these is believed only from a
// trusted proxy.

import { isIP } from 'node:net';
import type { ClientFacts, Fields, RequestHead } from './exchange.ts';
import {
  fieldValue,
  fieldValues,
  isForwardingField,
  isHopByHop,
  listHolds,
  namedByConnection,
  withoutNamed,
} from './fields.ts';
import { hostValid, portOf } from './host.ts';
import { sameName } from './tokens.ts';
import { plainAddress, type Trust } from './trust.ts';

export { createTrust, plainAddress, type Trust, trustEntryFault } from './trust.ts';

/** Longest X-Request-Id taken over from a trusted proxy; a UUID has 36, an AWS trace id 80. */
const REQUEST_ID_LENGTH_MAX = 128;
/** Longest list of forwarders walked; more is no proxy chain but an attempt to cost time. */
const FORWARDERS_MAX = 100;

/**
 * The client as the nearest trusted proxy saw it. From a peer that is not trusted: `client` itself.
 *
 * X-Forwarded-For is walked from the right, past trusted proxies, to the first address that is not
 * one; an entry that is no address ends the walk, for what is left of it can't be attributed.
 * X-Real-IP counts only without it. X-Forwarded-Proto: the entry in line with that address if there
 * is one for each, else the last, which the peer wrote.
 */
export function resolveClient(client: ClientFacts, fields: Fields, trust: Trust): ClientFacts {
  if (!trust.trusts(client.peerAddress)) return client;
  const chain = fieldValues(fields, 'x-forwarded-for');
  const proto = fieldValues(fields, 'x-forwarded-proto');
  if (chain === undefined && proto === undefined) {
    const address = realAddress(fields);
    return address === null ? client : { ...client, address, port: 0 };
  }
  let { address, port } = client;
  let depth = 0;
  let entries = 0;
  if (chain !== undefined) {
    const hops = chain.split(',');
    entries = hops.length;
    for (let index = entries - 1; index >= 0 && depth < FORWARDERS_MAX; index--) {
      const node = parseNode(hops[index]!.trim());
      if (node === null) break;
      ({ address, port } = node);
      depth++;
      if (!trust.trusts(address)) break;
    }
  } else {
    address = realAddress(fields) ?? address;
    if (address !== client.address) port = 0;
  }
  const scheme = proto === undefined ? client.scheme : schemeOf(proto, entries, depth);
  return { ...client, address, port, scheme: scheme ?? client.scheme };
}

function realAddress(fields: Fields): string | null {
  const value = fieldValue(fields, 'x-real-ip');
  return value === undefined ? null : (parseNode(value)?.address ?? null);
}

function schemeOf(proto: string, entries: number, depth: number): 'http' | 'https' | null {
  const schemes = proto.split(',');
  const at = schemes.length === entries && depth > 0 ? entries - depth : schemes.length - 1;
  const scheme = schemes[at]!.trim().toLowerCase();
  return scheme === 'http' || scheme === 'https' ? scheme : null;
}

/** "192.0.2.1", "192.0.2.1:4711", "2001:db8::1", "[2001:db8::1]:4711"; null for anything else, such
 *  as "unknown". */
function parseNode(text: string): { address: string; port: number } | null {
  let host = text;
  let port = '';
  if (text.startsWith('[')) {
    const close = text.indexOf(']');
    host = text.slice(1, close === -1 ? 0 : close);
    port = text.slice(close + 1);
    if (port !== '' && !port.startsWith(':')) return null;
    port = port.slice(1);
  } else if (text.indexOf(':') === text.lastIndexOf(':') && text.includes(':')) {
    host = text.slice(0, text.indexOf(':'));
    port = text.slice(text.indexOf(':') + 1);
  }
  const address = plainAddress(host);
  if (isIP(address) === 0) return null;
  return { address, port: /^[0-9]{1,5}$/.test(port) && Number(port) <= 65535 ? Number(port) : 0 };
}

/** Whether there can be anything in a request for resolveClient() and forwardedRequestId(). Looked for once in fields
 *  that come again. */
export function maySayWho({ fields, repeats }: RequestHead): boolean {
  if (repeats?.fields !== fields) return true;
  repeats.saysWho ??= whoFields.some((name) => fieldValue(fields, name) !== undefined);
  return repeats.saysWho;
}

const whoFields = ['x-forwarded-for', 'x-forwarded-proto', 'x-real-ip', 'x-request-id'];

/** The X-Request-Id of a trusted proxy, to go on with; null if there is none or it is odd. */
export function forwardedRequestId(fields: Fields): string | null {
  const id = fieldValue(fields, 'x-request-id');
  return id !== undefined && id.length <= REQUEST_ID_LENGTH_MAX && /^[!-~]+$/.test(id) ? id : null;
}

export interface UpstreamOptions {
  /** As received. */
  readonly fields: Fields;
  /** As the socket says. */
  readonly peer: ClientFacts;
  /** As resolveClient() says. */
  readonly client: ClientFacts;
  /** Whether the peer is a trusted proxy. */
  readonly trusted: boolean;
  /** Also send Forwarded. */
  readonly forwarded: boolean;
  /** Clients are asked for certificates: also send X-Client-Cert-*, of the peer's. */
  readonly clientCertificates: boolean;
}

/** What the one pass over the fields found out besides those it let through. */
interface Seen {
  host: string;
  named: string[] | null;
  forwardedFor: string;
  forwardedHost: string;
  forwardedPort: string;
  forwarded: string;
}

/**
 * The fields to send to the app: hop-by-hop ones off, those about the client replaced by ours, but
 * for X-Request-Id: it is another one each time, and whoever calls the app adds it.
 * X-Real-IP is always the address resolveClient() found; a trusted proxy's own is not passed on, for
 * many proxies let a client's through.
 */
export function upstreamFields(options: UpstreamOptions): Fields {
  const { fields } = options;
  const seen: Seen = {
    host: '',
    named: null,
    forwardedFor: '',
    forwardedHost: '',
    forwardedPort: '',
    forwarded: '',
  };
  let kept: Fields = [];
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index]!;
    const value = fields[index + 1]!;
    if (isPlain(name) || takeSpecial(seen, options, name, value, kept)) kept.push(name, value);
    if (name.length === 4 && sameName(name, 'host')) seen.host = value;
  }
  if (seen.named !== null) kept = withoutNamed(kept, seen.named);
  addOwn(kept, seen, options);
  return kept;
}

/** By first letter and length: surely neither hop-by-hop nor about the client. */
function isPlain(name: string): boolean {
  switch (name.charCodeAt(0) | 32) {
    case 99: // connection, content_length, content_type
      return name.length !== 10 && name.length !== 12 && name.length !== 14;
    case 101: // expect
      return name.length !== 6;
    case 102: // forwarded
      return name.length !== 9;
    case 104: // http2-settings
      return name.length !== 14;
    case 107: // keep-alive
      return name.length !== 10;
    case 112: // proxy, proxy-…
      return name.length < 5;
    case 116: // te, transfer-encoding
      return name.length !== 2 && name.length !== 17;
    case 117: // upgrade
      return name.length !== 7;
    case 120: // x-…
      return name.length < 9;
    default:
      return true;
  }
}

/** Deals with a field that may be hop-by-hop or about the client; true: pass it on as it is. */
function takeSpecial(
  seen: Seen,
  options: UpstreamOptions,
  name: string,
  value: string,
  kept: Fields,
): boolean {
  const lower = name.toLowerCase();
  // "_" is "-" to whatever makes variables of names (CGI, WSGI, Rack): X_Forwarded_For would arrive
  // as our X-Forwarded-For. nginx drops all names with "_"; here only those that pass for others.
  if (lower.includes('_')) {
    const alias = lower.replaceAll('_', '-');
    return !isForwardingField(alias) && !isHopByHop(alias) && !spoofed.has(alias);
  }
  if (isForwardingField(lower)) {
    if (options.clientCertificates && lower.startsWith('x-client-cert-')) return false;
    return options.trusted && takeForwarding(seen, lower, value);
  }
  if (lower === 'connection') {
    const named = namedByConnection(value);
    if (named !== null) seen.named = seen.named === null ? named : seen.named.concat(named);
    return false;
  }
  if (lower === 'te') {
    // Trailers do pass to the app; other transfer codings are between the client and the edge.
    if (listHolds(value, 'trailers')) kept.push('TE', 'trailers');
    return false;
  }
  // Expect is answered by the edge. Proxy becomes the variable HTTP_PROXY in CGI-like apps (httpoxy).
  return lower !== 'expect' && lower !== 'proxy' && !isHopByHop(lower);
}

const spoofed = new Set(['content-length', 'content-type']);

/** Notes what a trusted proxy says; true: pass the field on as it is. */
function takeForwarding(seen: Seen, lower: string, value: string): boolean {
  switch (lower) {
    case 'x-forwarded-for':
      seen.forwardedFor = append(seen.forwardedFor, value);
      return false;
    case 'x-forwarded-host':
      seen.forwardedHost = hostValid(value) ? value : seen.forwardedHost;
      return false;
    case 'x-forwarded-port':
      seen.forwardedPort = /^[0-9]{1,5}$/.test(value) ? value : seen.forwardedPort;
      return false;
    case 'forwarded':
      seen.forwarded = append(seen.forwarded, value);
      return false;
    case 'x-forwarded-proto':
    case 'x-real-ip':
    case 'x-request-id':
      return false;
    default:
      return true;
  }
}

function addOwn(fields: Fields, seen: Seen, options: UpstreamOptions): void {
  const { peer, client } = options;
  const forwardedFor = append(seen.forwardedFor, peer.address);
  if (forwardedFor !== '') fields.push('X-Forwarded-For', forwardedFor);
  const host = seen.forwardedHost !== '' ? seen.forwardedHost : seen.host;
  fields.push('X-Forwarded-Proto', client.scheme);
  if (host !== '') fields.push('X-Forwarded-Host', host);
  fields.push(
    'X-Forwarded-Port',
    seen.forwardedPort !== '' ? seen.forwardedPort : portFor(host, client),
  );
  if (client.address !== '') fields.push('X-Real-IP', client.address);
  if (options.clientCertificates) addCertificate(fields, peer);
  if (options.forwarded) fields.push('Forwarded', append(seen.forwarded, element(peer, host)));
  else if (seen.forwarded !== '') fields.push('Forwarded', seen.forwarded);
}

/** Only a certificate that was found good gets so far: see the edge's first step. */
function addCertificate(fields: Fields, { tls }: ClientFacts): void {
  const certificate = tls?.clientCertificate ?? null;
  if (certificate?.verified !== true) {
    fields.push('X-Client-Cert-Verify', 'NONE');
    return;
  }
  fields.push('X-Client-Cert-Verify', 'SUCCESS');
  fields.push('X-Client-Cert-Subject', certificate.subject);
  fields.push('X-Client-Cert-Fingerprint', certificate.fingerprint256);
}

/** The port the client used: the one in Host (it differs from ours behind a port mapping), else ours. */
function portFor(host: string, client: ClientFacts): string {
  const named = portOf(host);
  if (named !== 0) return String(named);
  if (client.localPort !== 0) return String(client.localPort);
  return client.scheme === 'https' ? '443' : '80';
}

/** One element of Forwarded (RFC 7239 section 4). */
function element(peer: ClientFacts, host: string): string {
  const node = peer.address === '' ? 'unknown' : quoteNode(peer.address);
  const hostPart = host === '' ? '' : `;host="${host}"`;
  return `for=${node}${hostPart};proto=${peer.scheme}`;
}

/** IPv6 has characters no token may have: it goes in brackets and quotes (RFC 7239 section 6). */
function quoteNode(address: string): string {
  return address.includes(':') ? `"[${address}]"` : address;
}

function append(list: string, value: string): string {
  if (list === '') return value;
  return value === '' ? list : `${list}, ${value}`;
}
