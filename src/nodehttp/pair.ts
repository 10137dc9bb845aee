// Makes the request and the response of one exchange, with Node's own constructors.
//
// Nothing is rendered to HTTP text and parsed again: three methods of the response are replaced on
// the instance, below everything public, so that all of Node's behaviour above them, and whatever
// libraries patch on top, stays as over a socket.

import http from 'node:http';
import { getDefaultHighWaterMark } from 'node:stream';
import type { BodyLength, Fields, RequestHead } from '../http/exchange.ts';
import type {
  RequestClass,
  RequestInternals,
  ResponseClass,
  ResponseInternals,
  WriteCallback,
} from './node-internals.ts';
import { captureHead } from './response-head.ts';
import type { ExchangeSocket } from './socket.ts';

/** How requests of one app are made; from nodeHttpOptions(), once. */
export interface NodeHttpOptions {
  /** Its 'checkContinue' and 'timeout' listeners and its settings are honoured; null = none. */
  readonly server: http.Server | null;
  readonly Request: RequestClass;
  readonly Response: ResponseClass;
}

export type RequestListener = (
  request: http.IncomingMessage,
  response: http.ServerResponse,
) => unknown;

/** What the response tells. */
export interface ResponseOwner {
  onHead(fields: Fields): void;
  /** A piece of content, or '' to get the head out. False: wait for 'drain'. */
  onSend(data: string | Uint8Array, encoding: BufferEncoding | null, callback: unknown): boolean;
  /** end() has sent all it had. */
  onEnd(): void;
  /** Before the app's own listeners of 'finish'. */
  onFinish(): void;
}

const highWaterMark = getDefaultHighWaterMark(false);
const kOwner = Symbol('portico.exchange');
const nodeFinish = (http.ServerResponse.prototype as ResponseInternals)._finish;

export function makeRequest(
  head: RequestHead,
  bodyLength: BodyLength,
  socket: ExchangeSocket,
  options: NodeHttpOptions,
): RequestInternals {
  const { method, target, version, fields } = head;
  const request = new options.Request(socket as never) as RequestInternals;
  // An HTTP/2 client is shown as 1.1, as behind any proxy: libraries take a major version of 2 to
  // mean node:http2's own classes.
  const minor = version === '1.0' ? 0 : 1;
  request.httpVersionMajor = 1;
  request.httpVersionMinor = minor;
  request.httpVersion = minor === 1 ? '1.1' : '1.0';
  request.method = method;
  request.url = target;
  if (options.server !== null && 'joinDuplicateHeaders' in options.server)
    request.joinDuplicateHeaders = options.server.joinDuplicateHeaders === true;
  const seen = bodyLength === 'unknown' ? withTransferEncoding(fields) : fields;
  request._addHeaderLines(seen, seen.length);
  return request;
}

/** The edge takes the framing off, but body parsers read content only where Content-Length or
 *  Transfer-Encoding announce it (type-is, used by Express and Koa). */
function withTransferEncoding(fields: Fields): Fields {
  for (let index = 0; index < fields.length; index += 2)
    if (fields[index]!.toLowerCase() === 'transfer-encoding') return fields;
  return [...fields, 'Transfer-Encoding', 'chunked'];
}

export function makeResponse(
  owner: ResponseOwner,
  request: http.IncomingMessage,
  socket: ExchangeSocket,
  options: NodeHttpOptions,
): ResponseInternals {
  const response = new options.Response(
    request,
    responseOptions(options.server),
  ) as ResponseInternals;
  response[kOwner] = owner;
  response._storeHeader = storeHeader;
  response._send = send;
  response._finish = finish;
  // What assignSocket() does but for its 'close' listener: closing is told by the exchange.
  socket._httpMessage = response;
  (response as { socket: unknown }).socket = socket;
  response.on('finish', onFinish);
  return response;
}

const plainResponseOptions = { highWaterMark, rejectNonStandardBodyWrites: false };

function responseOptions(server: http.Server | null): typeof plainResponseOptions {
  const strict = (server as { rejectNonStandardBodyWrites?: boolean } | null)
    ?.rejectNonStandardBodyWrites;
  return strict ? { highWaterMark, rejectNonStandardBodyWrites: true } : plainResponseOptions;
}

// ── The three replaced methods, and the listener of 'finish': functions shared by all responses ──

function storeHeader(this: ResponseInternals, firstLine: string, headers: unknown): void {
  ownerOf(this).onHead(captureHead(this, headers));
  this._header = `${firstLine}\r\n`;
  this._headerSent = false;
}

function send(
  this: ResponseInternals,
  data: string | Uint8Array,
  encoding?: BufferEncoding | WriteCallback | null,
  callback?: WriteCallback | null,
): boolean {
  if (typeof encoding === 'function') return ownerOf(this).onSend(data, null, encoding);
  return ownerOf(this).onSend(data, encoding ?? null, callback);
}

function finish(this: ResponseInternals): void {
  nodeFinish.call(this);
  ownerOf(this).onEnd();
}

function onFinish(this: ResponseInternals): void {
  ownerOf(this).onFinish();
}

function ownerOf(response: ResponseInternals): ResponseOwner {
  return response[kOwner] as ResponseOwner;
}
