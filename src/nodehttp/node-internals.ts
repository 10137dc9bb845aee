// Everything the adapter uses of Node's http that Node does not document, each with what it is for.
//
// Checked against the sources of Node 20.20, 22.23, 24.21 and 26.10. missingInternals() tries each
// of them once; where one is gone the adapter refuses to start and says which.

import http from 'node:http';

/** What the adapter reads and sets on a ServerResponse. Methods are replaced on the instance, not
 *  in a subclass: Express gives the response a new prototype chain that ends in
 *  http.ServerResponse.prototype and would lose a subclass. */
export interface ResponseInternals extends http.ServerResponse {
  /** The rendered head; anything but null means "head decided" (headersSent). */
  _header: string | null;
  /** Whether the head has been given to the socket. */
  _headerSent: boolean;
  /** False for HEAD, 204, 304 and 1xx: write() and end() throw content away. */
  _hasBody: boolean;
  /** What end(chunk) with no write() before it found out, or what the app's Content-Length said. */
  _contentLength: number | null;
  /** removeHeader() remembers these so that no default comes back. */
  _removedConnection: boolean;
  _removedContLen: boolean;
  _removedTE: boolean;
  /** The connection ends after this response. */
  _last: boolean;
  /** Lines that addTrailers() rendered: "name: value\r\n" each, validated. */
  _trailer: string;
  /** 'close' was emitted. */
  _closed: boolean;
  _sent100: boolean;
  _expect_continue: boolean;
  /** Set to Node's no-operation function by the constructor: how the adapter knows that function. */
  _onPendingData: () => void;
  finished: boolean;
  destroyed: boolean;
  /** Called by writeHead() with the status line and the fields: decides framing, renders the head. */
  _storeHeader(firstLine: string, headers: unknown): void;
  /** Called for every piece of content, for '' to flush the head, and at the end of end(). */
  _send(
    data: string | Uint8Array,
    encoding?: BufferEncoding | WriteCallback | null,
    callback?: WriteCallback | null,
    byteLength?: number,
  ): boolean;
  /** Called as the last thing in end(). */
  _finish(): void;
  [key: symbol]: unknown;
}

export type WriteCallback = (error?: Error | null) => void;

/** What the adapter uses on an IncomingMessage. */
export interface RequestInternals extends http.IncomingMessage {
  /** Node's own parser calls it: fills rawHeaders, or rawTrailers once `complete` is set, and has
   *  `headers` made from it when first asked for. Assigning rawHeaders leaves `headers` empty. */
  _addHeaderLines(lines: string[], count: number): void;
  /** Reads the rest and throws it away, with no 'data' events. */
  _dump(): void;
  _dumped: boolean;
  /** The app has begun to read. */
  _consuming: boolean;
  _readableState: {
    resumeScheduled: boolean;
    ended: boolean;
    endEmitted: boolean;
    destroyed: boolean;
    closed: boolean;
    closeEmitted: boolean;
  };
  joinDuplicateHeaders: boolean;
  /** EventEmitter's count of events with listeners. */
  _eventsCount: number;
  [key: symbol]: unknown;
}

/** Constructors as the adapter calls them: only highWaterMark is read off the socket at this point. */
export type RequestClass = new (socket: never) => http.IncomingMessage;
export type ResponseClass = new (
  request: http.IncomingMessage,
  options: { highWaterMark: number; rejectNonStandardBodyWrites: boolean },
) => http.ServerResponse;

const sampleRequest = new http.IncomingMessage({ readableHighWaterMark: 1 } as never);
sampleRequest.method = 'GET';
sampleRequest.httpVersionMajor = 1;
sampleRequest.httpVersionMinor = 1;
const sampleResponse = new http.ServerResponse(sampleRequest) as ResponseInternals;

function symbolOf(target: object, description: string): symbol | undefined {
  return Object.getOwnPropertySymbols(target).find((symbol) => symbol.description === description);
}

const absent = Symbol('absent');

/** Fields set so far: lower-case name to [name, value]; what writeHead() gives to _storeHeader()
 *  when setHeader() was used. */
export const kOutHeaders: symbol = symbolOf(sampleResponse, 'kOutHeaders') ?? absent;
/** write() returned false and 'drain' is owed. */
export const kNeedDrain: symbol = symbolOf(sampleResponse, 'kNeedDrain') ?? absent;
/** Takes `request.signal` off the socket's 'close' when the response is done (Node 24.16 and up). */
export const kDetachAbortSignal: symbol | undefined = symbolOf(
  http.IncomingMessage.prototype,
  'kDetachAbortSignal',
);
/** The function Node uses where no callback was given. */
export const nop: unknown = sampleResponse._onPendingData;

/** The classes an http.Server was told to use: http.createServer({ IncomingMessage, ServerResponse }). */
export function classesOf(server: http.Server | null): [RequestClass, ResponseClass] {
  const own = (name: string): unknown => {
    const symbol = server === null ? undefined : symbolOf(server, name);
    return symbol === undefined
      ? undefined
      : (server as unknown as Record<symbol, unknown>)[symbol];
  };
  const Request = own('IncomingMessage') ?? http.IncomingMessage;
  const Response = own('ServerResponse') ?? http.ServerResponse;
  return [Request as unknown as RequestClass, Response as unknown as ResponseClass];
}

/** Names of the internals above that this Node does not have as expected; empty when all is well. */
export function missingInternals(): string[] {
  const missing: string[] = [];
  const expect = (ok: boolean, name: string): void => {
    if (!ok) missing.push(name);
  };
  const response = sampleResponse as unknown as Record<string, unknown>;
  const request = sampleRequest as unknown as Record<string, unknown>;
  expect(kOutHeaders !== absent, 'ServerResponse[kOutHeaders]');
  expect(kNeedDrain !== absent, 'ServerResponse[kNeedDrain]');
  for (const name of ['_header', '_contentLength', '_trailer', '_hasBody', '_headerSent', '_last'])
    expect(name in response, `ServerResponse.${name}`);
  for (const name of ['_removedConnection', '_removedContLen', '_removedTE', '_closed', 'finished'])
    expect(response[name] === false, `ServerResponse.${name}`);
  for (const name of ['_storeHeader', '_send', '_finish', '_implicitHeader'])
    expect(typeof response[name] === 'function', `ServerResponse.${name}()`);
  for (const name of ['_addHeaderLines', '_dump'])
    expect(typeof request[name] === 'function', `IncomingMessage.${name}()`);
  expect(request._eventsCount === 0, 'IncomingMessage._eventsCount');
  for (const name of ['_consuming', '_dumped', 'complete'])
    expect(request[name] === false, `IncomingMessage.${name}`);
  const state = request._readableState as Record<string, unknown>;
  for (const name of ['ended', 'endEmitted', 'destroyed', 'closed', 'closeEmitted'])
    expect(state[name] === false, `IncomingMessage._readableState.${name}`);
  // Of Node 22 and up these are bits behind accessors.
  expect('resumeScheduled' in state, 'IncomingMessage._readableState.resumeScheduled');
  return missing;
}
