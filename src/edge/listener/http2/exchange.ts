// One HTTP/2 stream, that is one request and its answer, as the Exchange that the edge's steps see.
//
//   waiting ──respond()──▶ answering ──end()──▶ ended ──stream closed──▶ over
//      └────────────┴───── fail(), client resets ───────────────────────┘

import { constants, type ServerHttp2Stream } from 'node:http2';
import { type Failure, failure } from '../../../errors/failure.ts';
import type {
  BodyLength,
  ClientFacts,
  ExchangeHandler,
  ExchangeRecord,
  Fields,
  RequestHead,
} from '../../../http/exchange.ts';
import { newRecord, noteFailure } from '../../../http/exchange-record.ts';
import { type CompiledRules, respondedByRules, ruledBy } from '../../../http/header-rules.ts';
import { hstsFor, withHsts } from '../../../http/hsts.ts';
import { type Http2Request, readHttp2Trailers } from '../../../http/http2-request.ts';
import {
  encodeHttp2Informational,
  encodeHttp2Prepared,
  encodeHttp2Response,
  encodeHttp2Trailers,
  type Http2Fields,
  type Http2ResponseHead,
} from '../../../http/http2-response.ts';
import type { PreparedHead } from '../../../http/prepared-head.ts';
import { errorAnswer } from '../../error-pages/error-answer.ts';
import type { SettledExchange } from '../../settled-exchange.ts';
import {
  DISCARD_BYTES_MAX,
  HTTP2_UNCONSUMED_BYTES_MAX,
  HTTP2_UNCONSUMED_BYTES_RESUME,
  RESPONSE_BUFFER_BYTES,
} from '../bounds.ts';
import { httpDate } from '../http-clock.ts';
import { newRequestId } from '../request-ids.ts';
import type { Http2Connection } from './connection.ts';
import { flushSoon, type SendOptions, sendHead, Unsent } from './unsent.ts';

const noFields: Fields = [];

export class Http2Exchange implements SettledExchange {
  request: RequestHead;
  readonly received: RequestHead;
  client: ClientFacts;
  readonly bodyLength: BodyLength;
  readonly expectsContinue: boolean;
  requestId = newRequestId();
  readonly record: ExchangeRecord;
  /** As the handler gave them; for the access log. */
  responseFields: Fields = noFields;

  readonly stream: ServerHttp2Stream;
  /** end() or fail() was called: what is left is to send what waits. */
  ended = false;
  /** Settled: nothing is heard or said any more. */
  over = false;
  /** The request's end has been read. */
  complete: boolean;
  /** Content is not read because the handler has enough of it. */
  paused = false;
  /** The client waits for 100 (Continue), and none was sent. */
  continueWanted: boolean;
  /** When content last came, or was last asked for. */
  lastReadMs: number;
  /** For the sweep: what waits for the client, and since when that has not changed. */
  waitingBytes = 0;
  waitingSinceMs = 0;

  responseRules: CompiledRules | null = null;

  private readonly connection: Http2Connection;
  private handler: ExchangeHandler | null = null;
  private trailers: Fields | null = null;
  private unconsumedBytes = 0;
  private discardedBytes = 0;
  private responded = false;
  /** Head and content that can still be taken back. */
  private unsent: Unsent | null = null;
  private isBare = false;
  private contentLength: number | null = null;
  private trailersToSend: Http2Fields | null = null;
  private wantsDrain = false;
  private hearsDrain = false;
  /** Why the exchange ends, while the failure's own answer is on its way. */
  private failure: Failure | null = null;

  constructor(
    connection: Http2Connection,
    stream: ServerHttp2Stream,
    asked: Http2Request,
    options: { readonly complete: boolean; readonly nowMs: number },
  ) {
    this.connection = connection;
    this.stream = stream;
    this.request = asked.head;
    this.received = asked.head;
    this.client = connection.facts!;
    this.bodyLength = asked.bodyLength;
    this.expectsContinue = asked.expectsContinue;
    this.continueWanted = asked.expectsContinue;
    // A stream that is left open after "Content-Length: 0" has no more to say.
    this.complete = options.complete || asked.bodyLength === 0;
    this.lastReadMs = options.nowMs;
    this.record = newRecord(options.nowMs);
    stream.on('error', ignoreError);
    stream.on('close', () => this.onStreamClosed());
    if (!options.complete)
      stream.on('trailers', (_fields, _flags, raw?: string[]) => this.onTrailers(raw));
  }

  // ── the request, towards the handler ──

  attach(handler: ExchangeHandler): void {
    if (this.handler !== null) throw new Error('Exchange.attach() was called twice');
    this.handler = handler;
    if (this.over) handler.onClose(this.record.failure);
    else if (this.complete) handler.onRequestEnd(noFields);
    else if (!this.ended) this.read();
  }

  private read(): void {
    this.stream.on('data', (chunk: Buffer) => this.onData(chunk));
    this.stream.on('end', () => this.onEnd());
  }

  private onData(chunk: Buffer): void {
    const { record } = this;
    const { bodyBytes } = this.connection.hub.options().limits;
    const { length } = chunk;
    this.continueWanted = false;
    this.lastReadMs = this.connection.hub.coarseNowMs + this.connection.hub.sweepMs;
    record.requestBytes += length;
    this.connection.guard.noteContent(length);
    if (this.ended || this.over) this.discard(length);
    else if (bodyBytes > 0 && record.requestBytes > bodyBytes)
      this.fail(failure('BODY_TOO_LARGE', `the content is larger than ${bodyBytes} bytes`));
    else {
      this.unconsumedBytes += length;
      this.handler!.onRequestData(chunk);
      if (this.unconsumedBytes > HTTP2_UNCONSUMED_BYTES_MAX && !this.ended) {
        this.paused = true;
        this.stream.pause();
      }
    }
  }

  private onTrailers(raw: string[] | undefined): void {
    const trailers = readHttp2Trailers(raw ?? noFields);
    if (!('code' in trailers)) this.trailers = trailers;
    else if (!this.ended) this.fail(trailers);
  }

  private onEnd(): void {
    if (this.complete || this.stream.rstCode !== constants.NGHTTP2_NO_ERROR) return;
    this.complete = true;
    this.continueWanted = false;
    if (!this.ended && !this.over) this.handler!.onRequestEnd(this.trailers ?? noFields);
  }

  /** Nobody wants it: a little is read all the same, since a client may not look at an answer before
   *  it has sent its content. */
  private discard(bytes: number): void {
    this.discardedBytes += bytes;
    if (this.discardedBytes > DISCARD_BYTES_MAX) this.stream.close(constants.NGHTTP2_NO_ERROR);
  }

  consumed(bytes: number): void {
    if (this.over) return;
    if (this.continueWanted) this.sendInformational(100, noFields);
    this.unconsumedBytes -= bytes;
    if (!this.paused || this.unconsumedBytes > HTTP2_UNCONSUMED_BYTES_RESUME) return;
    this.resume();
  }

  private resume(): void {
    this.paused = false;
    this.lastReadMs = this.connection.hub.coarseNowMs + this.connection.hub.sweepMs;
    this.stream.resume();
  }

  // ── the answer, towards the client ──

  inform(status: number, fields: Fields): void {
    if (!this.over && !this.responded) this.sendInformational(status, fields);
  }

  private sendInformational(status: number, given: Fields): void {
    if (status === 100) {
      this.continueWanted = false;
      this.lastReadMs = this.connection.hub.coarseNowMs + this.connection.hub.sweepMs;
    }
    const fields = encodeHttp2Informational(status, given);
    if (fields === null || this.isGone()) return;
    try {
      this.stream.additionalHeaders(fields as never);
    } catch {
      // What can't be sent of it is left out, as a hint may be.
    }
  }

  respond(status: number, _reason: string, given: Fields): void {
    if (this.over || this.responded) return;
    const nowMs = performance.now();
    const { method } = this.request;
    const fields = withHsts(this.connection.hub.options().hsts, this.client, ruledBy(this, given));
    const head = encodeHttp2Response({ status, fields, method, date: httpDate(nowMs) });
    if ('code' in head) this.fail(head);
    else this.begin(head, status, fields, nowMs);
  }

  respondPrepared(prepared: PreparedHead): void {
    if (this.over || this.responded) return;
    const nowMs = performance.now();
    const { requestId } = this;
    if (respondedByRules(this, prepared)) return;
    const { method } = this.request;
    const hsts = hstsFor(this.connection.hub.options().hsts, this.client, prepared.fields);
    const head = encodeHttp2Prepared(prepared, { method, requestId, date: httpDate(nowMs), hsts });
    this.begin(head, prepared.status, prepared.fields, nowMs);
  }

  private begin(head: Http2ResponseHead, status: number, fields: Fields, nowMs: number): void {
    this.responded = true;
    this.responseFields = fields;
    this.record.status = status;
    this.record.respondedMs = nowMs;
    this.unsent = new Unsent(head);
    this.isBare = head.isBare;
    this.contentLength = head.contentLength;
    flushSoon(this);
  }

  write(chunk: Uint8Array): boolean {
    if (this.over || this.ended || !this.responded || chunk.length === 0) return true;
    if (this.isBare) return true;
    const { record } = this;
    const sent = record.responseBytes + chunk.length;
    if (this.contentLength !== null && sent > this.contentLength) {
      this.fail(failure('RESPONSE_LENGTH', `more than the ${this.contentLength} bytes promised`));
      return true;
    }
    record.responseBytes = sent;
    if (this.unsent !== null) {
      this.unsent.add(chunk);
      if (this.unsent.bytes < RESPONSE_BUFFER_BYTES) return true;
      this.flush();
    } else if (!this.isGone()) this.stream.write(chunk);
    if (this.isGone() || this.stream.writableLength < RESPONSE_BUFFER_BYTES) return true;
    this.wantsDrain = true;
    this.hearDrain();
    return false;
  }

  private hearDrain(): void {
    if (this.hearsDrain) return;
    this.hearsDrain = true;
    this.stream.on('drain', () => {
      if (!this.wantsDrain || this.over || this.ended) return;
      this.wantsDrain = false;
      this.handler?.onDrain();
    });
  }

  end(trailers: Fields): void {
    if (this.over || this.ended || !this.responded) return;
    const { contentLength, record } = this;
    if (!this.isBare && contentLength !== null && record.responseBytes < contentLength) {
      const detail = `${record.responseBytes} of the ${contentLength} bytes promised`;
      this.fail(failure('RESPONSE_LENGTH', detail));
      return;
    }
    this.ended = true;
    // What has a length has no trailers in HTTP/1.1 either.
    if (trailers.length > 0 && contentLength === null)
      this.trailersToSend = encodeHttp2Trailers(trailers);
    if (this.isGone()) return;
    if (this.unsent !== null) this.sendWhole(this.unsent);
    else if (!this.isBare) this.stream.end();
    if (!this.complete) this.readOver();
  }

  /** Content the handler has not waited for. */
  private readOver(): void {
    const { stream, bodyLength, record } = this;
    const isTooMuch =
      bodyLength !== 'unknown' && bodyLength - record.requestBytes > DISCARD_BYTES_MAX;
    if (isTooMuch || this.failure?.code === 'BODY_TIMEOUT') {
      stream.close(constants.NGHTTP2_NO_ERROR); // once all is sent
      return;
    }
    this.lastReadMs = this.connection.hub.coarseNowMs + this.connection.hub.sweepMs;
    if (stream.listenerCount('data') === 0) this.read();
    if (this.paused) this.resume();
  }

  // ── what leaves for the stream ──

  /** The end of the turn: what there is of the answer is sent. */
  flush(): void {
    const { unsent } = this;
    if (unsent === null || this.over) return;
    this.unsent = null;
    // Whether there will be trailers only the end will tell.
    const waitForTrailers = unsent.head.contentLength === null && !unsent.head.isBare;
    if (!this.sendHead(unsent.head, { waitForTrailers, endStream: false })) return;
    const content = unsent.writeAllButLast(this.stream);
    if (content !== null) this.stream.write(content);
  }

  /** The head and all that follows it. */
  private sendWhole(unsent: Unsent): void {
    this.unsent = null;
    const { stream, trailersToSend } = this;
    const { head, bytes } = unsent;
    const waitForTrailers = trailersToSend !== null;
    const endStream = bytes === 0 && !waitForTrailers;
    if (!this.sendHead(head, { waitForTrailers, endStream }) || endStream || head.isBare) return;
    const content = unsent.writeAllButLast(stream);
    if (content === null) stream.end();
    else stream.end(content);
  }

  private sendHead(head: Http2ResponseHead, options: SendOptions): boolean {
    const { stream } = this;
    if (this.isGone()) return false;
    if (options.waitForTrailers)
      stream.on('wantTrailers', () => stream.sendTrailers((this.trailersToSend ?? {}) as never));
    const error = sendHead(stream, head.fields, options);
    if (error === null) return true;
    const detail = `node:http2 does not send this head: ${error.message}`;
    this.cut(failure('RESPONSE_INVALID', detail, error), constants.NGHTTP2_INTERNAL_ERROR);
    return false;
  }

  private isGone(): boolean {
    return this.stream.destroyed || this.stream.closed;
  }

  // ── ending ──

  fail(reason: Failure): void {
    if (this.over || this.ended || this.failure !== null) return;
    if (this.unsent !== null) {
      // The head has not left this process yet, so the client can still be told what went wrong.
      this.unsent = null;
      this.responded = false;
      this.record.responseBytes = 0;
    }
    if (this.responded || reason.status === 0 || reason.code === 'CLIENT_LEFT') {
      this.cut(reason, constants.NGHTTP2_INTERNAL_ERROR);
      return;
    }
    this.failure = reason;
    const answer = errorAnswer(reason, this, this.connection.hub.options().errorPages);
    this.respond(reason.status, '', answer.fields);
    this.write(answer.content);
    this.end(noFields);
  }

  /** Ends the stream where it stands: the client sees by the code that the answer is not whole. */
  cut(reason: Failure, code: number): void {
    if (this.over) return;
    this.connection.settle(this, reason);
    if (!this.stream.destroyed) this.stream.close(code);
  }

  private onStreamClosed(): void {
    if (this.over) return;
    this.connection.onStreamClosed(this);
  }

  /** The client has all of the answer, or has said that it has enough of it. */
  isWhole(): boolean {
    const { stream } = this;
    if (!this.ended) return false;
    return (
      stream.writableFinished || (stream.closed && stream.rstCode === constants.NGHTTP2_NO_ERROR)
    );
  }

  /** The last thing that happens to an exchange. */
  settle(reason: Failure | null): void {
    if (this.over) return;
    this.over = true;
    this.unsent = null;
    const why = reason ?? this.failure;
    if (why !== null) noteFailure(this.record, why);
    if (this.handler !== null) this.handler.onClose(why);
  }
}

/** 'close' follows, and says all there is to say. */
function ignoreError(): void {}
