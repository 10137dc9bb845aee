// Writes response heads and chunks for HTTP/1.1: here, and only here, is decided how a response is
// framed (RFC 9112 section 6), so an app can neither split nor smuggle responses.

import { type Failure, failure } from '../errors/failure.ts';
import type { Fields, HttpVersion } from './exchange.ts';
import {
  fieldNameValid,
  fieldValueValid,
  isHopByHopName,
  namedByConnection,
  withoutForbiddenTrailers,
  withoutNamed,
} from './fields.ts';
import { decimal } from './head-facts.ts';
import { statusLine } from './status.ts';
import { excerpt, sameName } from './tokens.ts';

export interface ResponseHeadOptions {
  /** Of the request. */
  readonly method: string;
  readonly version: HttpVersion;
  readonly status: number;
  /** '' = the standard phrase. */
  readonly reason: string;
  /** As the app gave them. */
  readonly fields: Fields;
  /** Whether the connection may stay open after this response. */
  readonly keepAlive: boolean;
  /** The time now as IMF-fixdate; used where the app sends no Date. Server is never added. */
  readonly date: string;
  /** Bytes of the whole body where it is at hand; null = not known. */
  readonly bodyLength: number | null;
}

/** length: exactly contentLength bytes; chunked; close: until the connection ends; none: no content. */
export type ResponseFraming = 'length' | 'chunked' | 'close' | 'none';

export interface ResponseHead {
  /** Latin-1, with the empty line. */
  readonly head: string;
  readonly framing: ResponseFraming;
  /** Content-Length as sent, or null; for framing 'none' that of the response a GET would get. */
  readonly contentLength: number | null;
  /** Whether the client was told that the connection stays open. */
  readonly keepAlive: boolean;
}

/** Encodes a final response head, or says why the app's head is none (`'code' in result`). */
export function encodeResponseHead(options: ResponseHeadOptions): ResponseHead | Failure {
  const { status, reason, method } = options;
  if (!Number.isInteger(status) || status < 200 || status > 999) {
    return failure('RESPONSE_INVALID', `status ${excerpt(String(status))} is not a final status`);
  }
  if (reason !== '' && !fieldValueValid(reason)) {
    return failure('RESPONSE_INVALID', 'the reason phrase holds a control character');
  }
  const fields = withoutConnectionNamed(options.fields);
  let head = statusLine(status, reason);
  let declared = -1;
  let hasDate = false;
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index]!;
    const value = fields[index + 1]!;
    const fault = fieldFault(name, value);
    if (fault !== null) return fault;
    if (name.length === 14 && sameName(name, 'content-length')) {
      const length = decimal(value);
      if (length === -1 || (declared !== -1 && declared !== length)) {
        return failure('RESPONSE_INVALID', `Content-Length ${excerpt(value)} is not one number`);
      }
      declared = length;
      continue;
    }
    if (isHopByHopName(name)) continue;
    if (name.length === 4 && sameName(name, 'date')) hasDate = true;
    head += `${name}: ${value}\r\n`;
  }
  if (!hasDate) head += `Date: ${options.date}\r\n`;

  if (status === 204 || (method === 'CONNECT' && status < 300)) {
    // Neither may carry Content-Length (RFC 9110 sections 8.6 and 9.3.6).
    return finished(head, 'none', null, options);
  }
  if (method === 'HEAD' || status === 304) {
    const known = declared !== -1 ? declared : method === 'HEAD' ? options.bodyLength : null;
    return finished(head, 'none', known, options);
  }
  const { bodyLength } = options;
  if (declared !== -1 && bodyLength !== null && bodyLength !== declared) {
    const detail = `Content-Length is ${declared} but the content has ${bodyLength} bytes`;
    return failure('RESPONSE_LENGTH', detail);
  }
  const length = declared !== -1 ? declared : bodyLength;
  if (length !== null) return finished(head, 'length', length, options);
  return finished(head, options.version === '1.0' ? 'close' : 'chunked', null, options);
}

function finished(
  head: string,
  framing: ResponseFraming,
  contentLength: number | null,
  options: ResponseHeadOptions,
): ResponseHead {
  const keepAlive = options.keepAlive && framing !== 'close';
  let whole = head;
  if (contentLength !== null) whole += `Content-Length: ${contentLength}\r\n`;
  if (framing === 'chunked') whole += 'Transfer-Encoding: chunked\r\n';
  if (!keepAlive) whole += 'Connection: close\r\n\r\n';
  else whole += options.version === '1.0' ? 'Connection: keep-alive\r\n\r\n' : '\r\n';
  return { head: whole, framing, contentLength, keepAlive };
}

/** Encodes an informational response such as 100 or 103; 101 is not one of ours to send. */
export function encodeInformational(status: number, fields: Fields): string | Failure {
  if (!Number.isInteger(status) || status < 100 || status > 199 || status === 101) {
    return failure('RESPONSE_INVALID', `status ${excerpt(String(status))} is not informational`);
  }
  let head = statusLine(status, '');
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index]!;
    const value = fields[index + 1]!;
    const fault = fieldFault(name, value);
    if (fault !== null) return fault;
    if (isHopByHopName(name) || sameName(name, 'content-length')) continue;
    head += `${name}: ${value}\r\n`;
  }
  return `${head}\r\n`;
}

export const CHUNK_END = '\r\n';

/** What goes before `length` bytes of content; CHUNK_END goes after. Not for 0: that is the end. */
export function chunkHead(length: number): string {
  return `${length.toString(16)}\r\n`;
}

/** The end of chunked content. Trailers that are forbidden or not valid are left out: the head is
 *  gone, and to cut the response for one would harm the client only. */
export function lastChunk(trailers: Fields): string {
  if (trailers.length === 0) return '0\r\n\r\n';
  const kept = withoutForbiddenTrailers(trailers);
  let end = '0\r\n';
  for (let index = 0; index < kept.length; index += 2) {
    if (fieldFault(kept[index]!, kept[index + 1]!) !== null) continue;
    end += `${kept[index]!}: ${kept[index + 1]!}\r\n`;
  }
  return `${end}\r\n`;
}

/** Leaves out what the app's own Connection names; nearly always there is none, and no copy. */
export function withoutConnectionNamed(fields: Fields): Fields {
  let result = fields;
  for (let index = 0; index < fields.length; index += 2) {
    if (fields[index]!.length !== 10 || !sameName(fields[index]!, 'connection')) continue;
    const named = namedByConnection(fields[index + 1]!);
    if (named !== null) result = withoutNamed(result, named);
  }
  return result;
}

export function fieldFault(name: string, value: string): Failure | null {
  if (!fieldNameValid(name)) {
    return failure('RESPONSE_INVALID', `a field name is not a token: ${excerpt(name)}`);
  }
  if (!fieldValueValid(value)) {
    return failure('RESPONSE_INVALID', `the value of field ${excerpt(name)} is not Latin-1 text`);
  }
  return null;
}
