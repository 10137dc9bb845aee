// One request between an Exchange and the app: hears the exchange, and is what the socket and the
// response turn to.

import { AsyncResource } from 'node:async_hooks';
import { channel } from 'node:diagnostics_channel';
import http from 'node:http';
import type { Failure } from '../errors/failure.ts';
import { failure } from '../errors/failure.ts';
import type { Exchange, ExchangeHandler, Fields } from '../http/exchange.ts';
import {
  attempt,
  bytesOf,
  closeSocket,
  closeUnread,
  connectionReset,
  emit,
  emitClose,
  emitDrain,
  emitError,
  nobodyReads,
  resetRequest,
  throwLater,
} from './events.ts';
import { parseInformational, parseLines } from './informational.ts';
import {
  kDetachAbortSignal,
  kNeedDrain,
  nop,
  type RequestInternals,
  type ResponseInternals,
  type WriteCallback,
} from './node-internals.ts';
import {
  makeRequest,
  makeResponse,
  type NodeHttpOptions,
  type RequestListener,
  type ResponseOwner,
} from './pair.ts';
import { ExchangeSocket, type SocketOwner } from './socket.ts';
import { ExchangeTlsSocket } from './tls-socket.ts';

const onRequestStart = channel('http.server.request.start');
const onResponseFinish = channel('http.server.response.finish');

/** One request: hears the exchange, and is what the socket and the replaced methods turn to.
 *
 *   open ──end()──▶ ended ──'finish'──▶ finished
 *     └──────────────┴── client left, destroyed ──▶ closed
 */
type Phase = 'open' | 'ended' | 'finished' | 'closed';

/** An AsyncResource, as Node has one per request: a store that AsyncLocalStorage.enterWith() sets
 *  for one request must not be seen by the next one from the same link. */
export class NodeExchange
  extends AsyncResource
  implements ExchangeHandler, SocketOwner, ResponseOwner
{
  readonly exchange: Exchange;
  readonly request: RequestInternals;
  readonly response: ResponseInternals;
  readonly socket: ExchangeSocket;
  readonly server: http.Server | null;
  #phase: Phase = 'open';
  /** The exchange said it is over. */
  #settled = false;
  /** The response's fields, from writeHead() until they are sent. */
  #fields: Fields | null = null;
  /** The listener has not run yet: over a socket, a request is complete only after it has. */
  #starting = false;
  #earlyEnd: Fields | null = null;
  /** Request content pushed but not yet acknowledged. */
  #owedBytes = 0;
  /** The request is complete, with no content so far; its end is told when somebody reads. */
  #endHeld = false;
  /** Written since the exchange said to wait. */
  pendingBytes = 0;
  #blocked = false;
  /** Called when the exchange has room again. */
  #waiting: WriteCallback[] | null = null;

  constructor(exchange: Exchange, options: NodeHttpOptions) {
    // The type by which async_hooks users know Node's own.
    super('HTTPINCOMINGMESSAGE');
    this.exchange = exchange;
    this.server = options.server;
    const Socket = exchange.client.scheme === 'https' ? ExchangeTlsSocket : ExchangeSocket;
    this.socket = new Socket(this, options.server);
    const { request, bodyLength } = exchange;
    this.request = makeRequest(request, bodyLength, this.socket, options);
    this.response = makeResponse(this, this.request, this.socket, options);
    if (options.server?.timeout) this.socket.setTimeout(options.server.timeout);
  }

  // ── Beginning ──

  serve(listener: RequestListener): void {
    this.#starting = true;
    const wanted = this.exchange.expectsContinue && this.#hasContinueListener();
    this.open(wanted);
    this.runInAsyncScope(this.start, this, listener, wanted);
    this.#starting = false;
    if (this.#earlyEnd !== null) this.onRequestEnd(this.#earlyEnd);
  }

  open(keepContinue = this.exchange.expectsContinue && this.#hasContinueListener()): void {
    this.exchange.attach(this);
    if (this.exchange.expectsContinue) {
      this.response._expect_continue = true;
      if (!keepContinue) this.response.writeContinue();
    }
    if (onRequestStart.hasSubscribers) onRequestStart.publish(this.#facts());
  }

  /** Calls the app; an async scope of its own is set up around it. */
  start(listener: RequestListener, asksContinue: boolean): void {
    const { request, response } = this;
    try {
      if (asksContinue) this.server!.emit('checkContinue', request, response);
      else listener(request, response);
    } catch (error) {
      throwLater(error);
    }
  }

  #hasContinueListener(): boolean {
    return this.server !== null && this.server.listenerCount('checkContinue') > 0;
  }

  #facts(): object {
    return {
      request: this.request,
      response: this.response,
      socket: this.socket,
      server: this.server,
    };
  }

  // ── What the exchange tells (ExchangeHandler) ──

  onRequestData(chunk: Uint8Array): void {
    if (this.request._dumped || this.request.destroyed || this.#phase === 'closed') {
      this.exchange.consumed(chunk.length);
      return;
    }
    this.socket.touch();
    this.#owedBytes += chunk.length;
    this.runInAsyncScope(this.pushContent, this, chunk);
  }

  onRequestEnd(trailers: Fields): void {
    const { request } = this;
    if (this.#starting) {
      this.#earlyEnd = trailers;
      return;
    }
    request.complete = true;
    // Once complete is set, lines go to the trailers.
    if (trailers.length > 0) request._addHeaderLines(trailers, trailers.length);
    if (request._consuming || this.#owedBytes > 0 || trailers.length > 0) {
      if (!request.destroyed) this.runInAsyncScope(this.pushContent, this, null);
    } else this.#endHeld = true;
  }

  onDrain(): void {
    this.#blocked = false;
    this.pendingBytes = 0;
    if (this.#waiting !== null || this.response[kNeedDrain] === true)
      this.runInAsyncScope(this.tellDrain, this);
  }

  onClose(reason: Failure | null): void {
    this.#settled = true;
    if (this.#phase === 'closed') return;
    if (reason === null && this.#phase !== 'open') this.runInAsyncScope(this.closeWhole, this);
    else this.runInAsyncScope(this.closeCut, this);
  }

  pushContent(chunk: Uint8Array | null): void {
    try {
      this.request.push(chunk);
    } catch (error) {
      throwLater(error);
    }
  }

  tellDrain(): void {
    const { response } = this;
    this.#callWaiting(null);
    if (!response.finished && response[kNeedDrain] === true) {
      response[kNeedDrain] = false;
      attempt(emitDrain, response);
    }
  }

  // ── What the request's reader asks (SocketOwner) ──

  onDemand(): void {
    if (this.#endHeld) {
      this.#endHeld = false;
      this.request.push(null);
    } else if (!this.#settled && !this.request.complete) {
      const bytes = this.#owedBytes;
      this.#owedBytes = 0;
      // consumed(0) asks for content that waits for 100; not once the answer is on its way.
      const asks = this.exchange.expectsContinue && !this.response._sent100;
      if (bytes > 0 || (asks && !this.response._headerSent)) this.exchange.consumed(bytes);
    }
  }

  // ── What the response sends ──

  onHead(fields: Fields): void {
    this.#fields = fields;
  }

  onSend(data: string | Uint8Array, encoding: BufferEncoding | null, callback: unknown): boolean {
    if (this.#phase === 'closed') return false;
    if (this.#fields !== null) this.#sendHead(this.#fields);
    if (data.length > 0) {
      this.socket.touch();
      if (!this.exchange.write(bytesOf(data, encoding, callback))) this.#blocked = true;
      if (this.#blocked) this.pendingBytes += data.length;
    }
    if (typeof callback === 'function' && callback !== nop) {
      if (!this.#blocked) process.nextTick(callback, null);
      else if (this.#waiting === null) this.#waiting = [callback as WriteCallback];
      else this.#waiting.push(callback as WriteCallback);
    }
    return !this.#blocked;
  }

  #sendHead(fields: Fields): void {
    const { response } = this;
    this.#fields = null;
    response._headerSent = true;
    const { statusCode, statusMessage } = response;
    if (statusCode < 200) {
      // An app that answers an Upgrade itself by writeHead(101), or misuses another 1xx.
      this.exchange.fail(
        failure('RESPONSE_INVALID', `status ${statusCode} is not that of a final response`),
      );
      return;
    }
    const reason = statusMessage === http.STATUS_CODES[statusCode] ? '' : statusMessage;
    this.exchange.respond(statusCode, reason, fields);
  }

  onEnd(): void {
    if (this.#phase !== 'open') return;
    this.#phase = 'ended';
    // Its listeners hear 'end' as soon after 'finish' as over a socket.
    if (this.#endHeld && this.request._eventsCount > 0) this.onDemand();
    if (this.#fields !== null) this.#sendHead(this.#fields);
    const trailer = this.response._trailer;
    this.exchange.end(trailer === '' ? [] : (parseLines(trailer) ?? []));
  }

  /** As Node's first listener: the request's rest is thrown away, the socket let go. */
  onFinish(): void {
    if (this.#phase === 'ended') this.#phase = 'finished';
    if (onResponseFinish.hasSubscribers) onResponseFinish.publish(this.#facts());
    const { request, response, socket } = this;
    if (kDetachAbortSignal !== undefined)
      (request[kDetachAbortSignal] as (() => void) | undefined)?.call(request);
    socket.stopTimeout();
    if (request.destroyed) this.#dropRequest();
    else if (nobodyReads(request)) this.#dump();
    socket._httpMessage = null;
    (response as { socket: unknown }).socket = null;
    process.nextTick(emitClose, response);
  }

  #dump(): void {
    const { request } = this;
    if (this.#endHeld && request._eventsCount === 0) {
      // Nobody listens, so nobody misses 'end' and 'close': a quarter of all work for a request.
      this.#endHeld = false;
      closeUnread(request);
      return;
    }
    if (this.#endHeld) this.onDemand();
    request._dump();
  }

  // ── What the socket does (SocketOwner) ──

  onRawText(data: string | Uint8Array): boolean {
    const heads = parseInformational(
      typeof data === 'string' ? data : Buffer.from(data).toString('latin1'),
    );
    if (heads === null) {
      this.socket.destroy();
      return false;
    }
    if (!this.response._headerSent)
      for (const { status, fields } of heads) this.exchange.inform(status, fields);
    return true;
  }

  onSocketEnd(): void {
    if (this.#phase === 'open') this.socket.destroy();
  }

  onSocketDestroy(error: Error | null): void {
    const phase = this.#phase;
    if (phase === 'closed') return;
    this.#phase = 'closed';
    // A response that is wholly with the exchange goes out, as one that the kernel has.
    const cut = phase === 'open' || (phase === 'ended' && this.#blocked);
    if (cut && !this.#settled) this.exchange.fail(failure('WORKER_RESET', '', error));
    else this.#dropRequest();
    // A net.Socket tells 'close' when its handle is closed, at the end of the loop's turn.
    setImmediate(closeDestroyed, this);
  }

  onSocketTimeout(): void {
    const { request, response, socket } = this;
    // All three are told, as by node:http; the socket's own listeners don't count.
    const byRequest = !request.complete && request.emit('timeout', socket);
    const byResponse = !response._closed && response.emit('timeout', socket);
    const byServer = this.server?.emit('timeout', socket) ?? false;
    if (!byRequest && !byResponse && !byServer) socket.destroy();
    emit(socket, 'timeout');
  }

  // ── The end ──

  /** All sent: only the socket is left to close. */
  closeWhole(): void {
    const { request } = this;
    this.#callWaiting(null);
    if (this.#endHeld) this.onDemand();
    if (!request.complete && !request._dumped) attempt(resetRequest, request);
    process.nextTick(closeSocket, this.socket);
  }

  /** The client left, or the edge gave up. */
  closeCut(): void {
    this.#phase = 'closed';
    const { socket } = this;
    socket.stopTimeout();
    socket.destroyed = true;
    this.tellCut();
  }

  /** In the order in which node:http tells it. What one listener throws keeps it from no other. */
  tellCut(): void {
    const { request, response, socket } = this;
    // With _hadError set, end()'s callback does not emit 'finish'.
    socket._hadError = true;
    this.#callWaiting(connectionReset());
    // Also a reader that goes on after the response is out; node:http would leave it waiting.
    const isRead = !response.writableFinished || (!request.complete && !request._dumped);
    if (isRead && !request.destroyed) attempt(resetRequest, request);
    attempt(emitClose, response);
    attempt(closeSocket, socket);
  }

  #dropRequest(): void {
    const bytes = this.#owedBytes;
    this.#owedBytes = 0;
    if (!this.#settled && bytes > 0) this.exchange.consumed(bytes);
  }

  #callWaiting(error: Error | null): void {
    const waiting = this.#waiting;
    if (waiting === null) return;
    this.#waiting = null;
    for (const callback of waiting) attempt(callback, error);
  }
}

/** After destroy() by the app. */
function closeDestroyed(node: NodeExchange): void {
  const { errored } = node.socket;
  if (errored !== null) emitError(node.socket, errored);
  node.tellCut();
}
