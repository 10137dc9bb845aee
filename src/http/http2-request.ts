// Reads the field section of an HTTP/2 request (RFC 9113 section 8.3) by the rules and limits of HTTP/1.1 heads.

import { type Failure, failure } from '../errors/failure.ts';
import type { BodyLength, Fields, RequestHead } from './exchange.ts';
import { isHopByHopName, withoutForbiddenTrailers } from './fields.ts';
import {
  HeadDraft,
  type ParserLimits,
  TRAILER_BYTES_MAX,
  TRAILER_FIELDS_MAX,
} from './head-draft.ts';
import { noteField } from './head-facts.ts';
import { authorityValid, hostValid } from './host.ts';
import { excerpt, isTargetByte, isToken } from './tokens.ts';

/** A request as far as it was understood. */
export interface Http2Request {
  /** The authority is in Host, as an HTTP/1.1 client would have sent it. */
  readonly head: RequestHead;
  readonly bodyLength: BodyLength;
  readonly expectsContinue: boolean;
  /** Bytes of the fields, not compressed. */
  readonly bytes: number;
  /** What is wrong with it. */
  readonly failure: Failure | null;
}

interface Pseudo {
  method: string | null;
  scheme: string | null;
  path: string | null;
  authority: string | null;
}

/** What separates the parts of "METHOD target HTTP/1.1". */
const REQUEST_LINE_REST_BYTES = ' '.length + ' HTTP/1.1'.length;
const COLON = 58;

/**
 * `raw`: names and values in turn as they came, pseudo-header fields first. That names are lower-case
 * tokens and values hold no control bytes, node:http2 has seen to. `complete`: no content follows.
 */
export function readHttp2Request(
  raw: readonly string[],
  complete: boolean,
  limits: ParserLimits,
): Http2Request {
  const draft = new HeadDraft(limits, 'request');
  const pseudo: Pseudo = { method: null, scheme: null, path: null, authority: null };
  const bytes = readFields(draft, pseudo, raw);
  if (draft.failure === null && settlePseudo(draft, pseudo)) settleLength(draft, complete);
  const bodyLength = complete ? 0 : draft.contentLength === -1 ? 'unknown' : draft.contentLength;
  return {
    head: {
      method: pseudo.method ?? '',
      target: (pseudo.method === 'CONNECT' ? pseudo.authority : pseudo.path) ?? '',
      version: '2.0',
      fields: draft.fields,
    },
    bodyLength,
    expectsContinue: draft.expectsContinue && bodyLength !== 0,
    bytes,
    failure: draft.failure,
  };
}

/** Sets `draft.failure` at the first fault. Returns the bytes of all fields read. */
function readFields(draft: HeadDraft, pseudo: Pseudo, raw: readonly string[]): number {
  const { fields } = draft;
  const lengthMax = draft.fieldsMax * 2;
  let bytes = 0;
  let cookieAt = -1;
  let isRegular = false;
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at]!;
    const value = raw[at + 1]!;
    bytes += name.length + value.length;
    if (name.charCodeAt(0) === COLON) {
      if (isRegular) draft.fail('BAD_FIELD', `${excerpt(name)} comes after other fields`);
      else notePseudo(draft, pseudo, name, value);
    } else {
      if (!isRegular && pseudo.authority !== null && pseudo.method !== 'CONNECT')
        addHost(draft, pseudo.authority);
      isRegular = true;
      if (name === 'host') noteHost(draft, pseudo, value);
      else if (name === 'cookie' && cookieAt !== -1) addCrumb(draft, cookieAt, value);
      else if (isHopByHopName(name) && isForbidden(draft, name, value)) break;
      else if (fields.length >= lengthMax)
        draft.fail('FIELDS_TOO_MANY', `the head has more than ${draft.fieldsMax} fields`);
      else if (mayTake(draft, name.length + ': '.length + value.length)) {
        fields.push(name, value);
        if (name === 'cookie') cookieAt = fields.length - 1;
        noteField(draft, name, value);
      }
    }
    if (draft.failure !== null) return bytes;
  }
  if (!isRegular && pseudo.authority !== null && pseudo.method !== 'CONNECT')
    addHost(draft, pseudo.authority);
  return bytes;
}

function mayTake(draft: HeadDraft, lineBytes: number): boolean {
  if (lineBytes > draft.lineMax) {
    draft.failTooLarge();
    return false;
  }
  draft.takeBytes(lineBytes);
  return true;
}

/** node:http2 refuses most of what is wrong with these before it gets here. */
function notePseudo(draft: HeadDraft, pseudo: Pseudo, name: string, value: string): void {
  const key = name.slice(1);
  if (key !== 'method' && key !== 'scheme' && key !== 'path' && key !== 'authority')
    draft.fail('BAD_FIELD', `${excerpt(name)} is no pseudo-header field of a request`);
  else if (pseudo[key] !== null) draft.fail('BAD_FIELD', `more than one ${name}`);
  else pseudo[key] = value;
}

/** Where HTTP/1.1 clients send it, and apps look for it. */
function addHost(draft: HeadDraft, authority: string): void {
  if (!mayTake(draft, 'host: '.length + authority.length)) return;
  draft.fields.push('host', authority);
  draft.hostAt = draft.fields.length - 1;
}

function noteHost(draft: HeadDraft, pseudo: Pseudo, value: string): void {
  if (draft.hostAt === -1) {
    addHost(draft, value);
    return;
  }
  const { authority } = pseudo;
  if (authority === null) draft.fail('BAD_HOST', 'more than one Host field');
  // Whom the edge asks and whom the app sees must be the same (RFC 9113 section 8.3.1).
  else if (authority.toLowerCase() !== value.toLowerCase())
    draft.fail('BAD_HOST', `Host ${excerpt(value)} is not the authority ${excerpt(authority)}`);
}

/** One Cookie may come as several, so that what changes seldom compresses well; behind HTTP/2 it is
 *  one again (RFC 9113 section 8.2.3). Its limit is that of a field. */
function addCrumb(draft: HeadDraft, cookieAt: number, crumb: string): void {
  const { fields, limits } = draft;
  const cookie = `${fields[cookieAt]!}; ${crumb}`;
  if ('cookie: '.length + cookie.length > limits.fieldSizeBytes) draft.failTooLarge();
  else if (mayTake(draft, '; '.length + crumb.length)) fields[cookieAt] = cookie;
}

/** Connection and its like have no meaning here, and would have one behind the edge (RFC 9113
 *  section 8.2.2). */
function isForbidden(draft: HeadDraft, name: string, value: string): boolean {
  switch (name) {
    case 'connection':
    case 'keep-alive':
    case 'proxy-connection':
    case 'transfer-encoding':
    case 'upgrade':
      draft.fail('BAD_FIELD', `HTTP/2 has no field ${name}`);
      return true;
    case 'te':
      if (value === 'trailers') return false;
      draft.fail('BAD_FIELD', `HTTP/2 allows te no value but trailers: ${excerpt(value)}`);
      return true;
    default:
      return false;
  }
}

function settlePseudo(draft: HeadDraft, pseudo: Pseudo): boolean {
  const { method, scheme, path, authority } = pseudo;
  const { limits } = draft;
  if (method === null || !isToken(method)) return failWith(draft, 'BAD_METHOD', 'no token');
  if (method === 'CONNECT') {
    if (authority !== null && authorityValid(authority)) return true;
    return failWith(draft, 'BAD_TARGET', 'CONNECT needs host:port as its authority');
  }
  if (scheme !== 'https' && scheme !== 'http')
    return failWith(draft, 'BAD_TARGET', 'the scheme is neither http nor https');
  if (path === null || path === '') return failWith(draft, 'BAD_TARGET', 'there is no path');
  if (method.length + path.length + REQUEST_LINE_REST_BYTES > limits.requestLineBytes) {
    const detail = `method and path would make a request line of more than ${limits.requestLineBytes} bytes`;
    return failWith(draft, 'LINE_TOO_LONG', detail);
  }
  if (!targetValid(draft, method, path)) return false;
  if (draft.hostAt === -1) return failWith(draft, 'BAD_HOST', 'a request needs an authority');
  const host = draft.fields[draft.hostAt]!;
  if (hostValid(host)) return true;
  return failWith(draft, 'BAD_HOST', `the authority is not valid: ${excerpt(host)}`);
}

function targetValid(draft: HeadDraft, method: string, path: string): boolean {
  for (let at = 0; at < path.length; at++) {
    const code = path.charCodeAt(at);
    if (code > 255 || isTargetByte[code] === 0)
      return failWith(draft, 'BAD_TARGET', `the path holds the byte 0x${code.toString(16)}`);
  }
  if (path.startsWith('/')) return true;
  if (path !== '*') return failWith(draft, 'BAD_TARGET', 'the path does not begin with "/"');
  return (
    method === 'OPTIONS' || failWith(draft, 'BAD_TARGET', 'only OPTIONS may have * as its path')
  );
}

function settleLength(draft: HeadDraft, complete: boolean): void {
  const { contentLength, limits } = draft;
  if (complete && contentLength > 0)
    draft.fail('BAD_LENGTH', `Content-Length is ${contentLength} and there is no content`);
  else if (limits.bodyBytes > 0 && contentLength > limits.bodyBytes)
    draft.fail(
      'BODY_TOO_LARGE',
      `Content-Length is ${contentLength}; the limit is ${limits.bodyBytes} bytes`,
    );
}

function failWith(draft: HeadDraft, ...why: Parameters<HeadDraft['fail']>): false {
  draft.fail(...why);
  return false;
}

/** Trailers that may be passed on, or what is wrong with them. */
export function readHttp2Trailers(raw: readonly string[]): Fields | Failure {
  if (raw.length > TRAILER_FIELDS_MAX * 2)
    return failure('FIELDS_TOO_MANY', `the trailer has more than ${TRAILER_FIELDS_MAX} fields`);
  let bytes = 0;
  for (let at = 0; at < raw.length; at += 2) {
    if (raw[at]!.charCodeAt(0) === COLON)
      return failure('BAD_FIELD', `a trailer is no place for ${excerpt(raw[at]!)}`);
    bytes += raw[at]!.length + ': '.length + raw[at + 1]!.length;
  }
  if (bytes > TRAILER_BYTES_MAX)
    return failure('FIELD_TOO_LARGE', `the trailer is longer than ${TRAILER_BYTES_MAX} bytes`);
  return withoutForbiddenTrailers([...raw]);
}
