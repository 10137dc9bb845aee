// Writes request heads for HTTP/1.1 upstreams: here, and only here, is decided how a request's content is framed
// (RFC 9112 section 6), so that no field can make another request of what follows.

import { type Failure, failure } from '../errors/failure.ts';
import type { BodyLength, Fields, RequestHead } from './exchange.ts';
import { isHopByHopName, listHolds } from './fields.ts';
import type { SharedFields } from './repeated-fields.ts';
import { fieldFault } from './response-head.ts';
import { excerpt, isTargetByte, isToken, sameName } from './tokens.ts';

/** A request as it is to be sent. */
export interface OutgoingRequest {
  /** Fields already rewritten for the upstream. */
  readonly request: RequestHead;
  readonly requestId: string;
  readonly bodyLength: BodyLength;
  /** Ask for 100 (Continue) before content is sent. */
  readonly expectsContinue: boolean;
}

/** What differs from one upstream to the next. */
export interface HeadRules {
  /** In place of the request's Host; null = that one. */
  readonly host: string | null;
  /** Where there is none (HTTP/1.0). */
  readonly fallbackHost: string;
  /** Whether another request may follow on the connection. */
  readonly keepAlive: boolean;
}

/** What is written of fields, whatever the request around them. */
export interface WrittenFields {
  /** Field lines without Host and what frames content. */
  readonly text: string;
  readonly host: string;
  readonly hasLength: boolean;
  readonly wantsTrailers: boolean;
}

/** The head as Latin-1 with the empty line; or why it can't be sent (`typeof result !== 'string'`). */
export function encodeRequestHead(outgoing: OutgoingRequest, rules: HeadRules): string | Failure {
  const { request, bodyLength } = outgoing;
  const written = writtenOf(request.fields, request.shared ?? null);
  if ('code' in written) return written;
  const fault = startFault(request);
  if (fault !== null) return failure('EDGE_FAULT', fault);
  const host = rules.host ?? (written.host || rules.fallbackHost);
  let head = `${request.method} ${request.target} HTTP/1.1\r\nHost: ${host}\r\n${written.text}`;
  if (bodyLength === 'unknown') head += 'Transfer-Encoding: chunked\r\n';
  else if (bodyLength > 0 || written.hasLength || expectsContent(request.method))
    head += `Content-Length: ${bodyLength}\r\n`;
  if (outgoing.expectsContinue && bodyLength !== 0) head += 'Expect: 100-continue\r\n';
  if (!rules.keepAlive) head += 'Connection: close\r\n';
  else if (written.wantsTrailers) head += 'TE: trailers\r\nConnection: TE\r\n';
  return `${head}X-Request-Id: ${outgoing.requestId}\r\n\r\n`;
}

/** Fields that many requests share are written once. */
function writtenOf(fields: Fields, shared: SharedFields | null): WrittenFields | Failure {
  if (shared === null) return write(fields);
  const written = shared.written ?? write(fields);
  if (!('code' in written)) shared.written = written;
  return written;
}

function write(fields: Fields): WrittenFields | Failure {
  let text = '';
  let host = '';
  let hasLength = false;
  let wantsTrailers = false;
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index]!;
    const value = fields[index + 1]!;
    const fault = fieldFault(name, value);
    if (fault !== null) return failure('EDGE_FAULT', fault.detail);
    if (name.length === 4 && sameName(name, 'host')) host = value;
    else if (name.length === 14 && sameName(name, 'content-length')) hasLength = true;
    else if (name.length === 2 && sameName(name, 'te'))
      wantsTrailers = listHolds(value, 'trailers');
    else if (!isHopByHopName(name) && !isOurs(name)) text += `${name}: ${value}\r\n`;
  }
  return { text, host, hasLength, wantsTrailers };
}

function isOurs(name: string): boolean {
  if (name.length === 12) return sameName(name, 'x-request-id');
  return name.length === 6 && sameName(name, 'expect');
}

/** What the start line can't hold would end it early. */
function startFault({ method, target }: RequestHead): string | null {
  if (!isToken(method)) return `the method is not a token: ${excerpt(method)}`;
  for (let at = 0; at < target.length; at++) {
    const code = target.charCodeAt(at);
    if (code > 255 || isTargetByte[code] === 0)
      return `the target can't be sent: ${excerpt(target)}`;
  }
  return target === '' ? 'the target is empty' : null;
}

/** Methods whose content means something: none is said to be none (RFC 9110 section 8.6). */
function expectsContent(method: string): boolean {
  return method === 'POST' || method === 'PUT' || method === 'PATCH';
}
