// One request of an HTTP/1.1 connection and its answer: the Exchange that the edge's steps see.
//
//   waiting ──respond()──▶ answering ──end()──▶ ended ──all sent──▶ over
//      └────────────┴───── fail(), client leaves ─────────────────────┘

import type { Socket } from 'node:net';
// The global of this name is a getter.
import { performance } from 'node:perf_hooks';
import type { Failure } from '../../errors/failure.ts';
import { failure } from '../../errors/failure.ts';
import type {
  BodyLength,
  ClientFacts,
  ExchangeHandler,
  ExchangeRecord,
  Fields,
  FilePart,
  RequestHead,
} from '../../http/exchange.ts';
import { newRecord, noteFailure } from '../../http/exchange-record.ts';
import { fieldValue } from '../../http/fields.ts';
import { type CompiledRules, respondedByRules, ruledBy } from '../../http/header-rules.ts';
import { hstsFor, withHsts } from '../../http/hsts.ts';
import { encodePreparedHead, type PreparedHead } from '../../http/prepared-head.ts';
import type { RequestFraming } from '../../http/request-parser.ts';
import {
  CHUNK_END,
  chunkHead,
  encodeInformational,
  encodeResponseHead,
  lastChunk,
  type ResponseFraming,
} from '../../http/response-head.ts';
import { errorAnswer } from '../error-pages/error-answer.ts';
import type { SettledExchange } from '../settled-exchange.ts';
import type { UpgradableExchange } from '../upgrade/upgradable.ts';
import { DISCARD_BYTES_MAX } from './bounds.ts';
import { handOver } from './hand-over.ts';
import { httpDate } from './http-clock.ts';
import type { Http1Connection } from './http1-connection.ts';
import { newRequestId } from './request-ids.ts';

const noFields: Fields = [];

export class Http1Exchange implements SettledExchange, UpgradableExchange {
  request: RequestHead;
  readonly received: RequestHead;
  client: ClientFacts;
  readonly bodyLength: BodyLength;
  readonly expectsContinue: boolean;
  readonly upgrade: RequestFraming['upgrade'];
  requestId: string;
  readonly record: ExchangeRecord;
  /** As the handler gave them; for the access log. */
  responseFields: Fields = noFields;

  /** The request allows another one after it on this connection. */
  readonly keepAlive: boolean;
  /** The client waits for 100 (Continue), and none was sent. */
  continueWanted: boolean;
  /** What was written has been copied to the kernel by then. */
  readonly releasesBytes = true;
  /** Content that the handler has, or that waits for it, and has not dealt with. */
  unconsumedBytes = 0;
  /** end() or fail() was called: what is left is to send what waits. */
  ended = false;
  /** Settled: nothing is heard or said any more. */
  over = false;
  /** A write() returned false. */
  wantsDrain = false;
  responded = false;
  responseRules: CompiledRules | null = null;

  private readonly connection: Http1Connection;
  private handler: ExchangeHandler | null = null;
  /** Content that came before attach(). */
  private early: Uint8Array[] | null = null;
  /** Trailers, once the request is complete. */
  private trailers: Fields | null = null;
  private framing: ResponseFraming = 'none';
  private contentLength = 0;
  /** Of the content, when the kernel went on with a file; -1: it does not. */
  private bytesBeforeFile = -1;
  /** Why the exchange ends, while the failure's own answer is on its way. */
  private failure: Failure | null = null;

  constructor(
    connection: Http1Connection,
    request: RequestHead,
    framing: RequestFraming,
    startedMs: number,
  ) {
    this.connection = connection;
    this.request = request;
    this.received = request;
    this.client = connection.facts!;
    this.bodyLength = framing.bodyLength;
    this.expectsContinue = framing.expectsContinue;
    this.upgrade = framing.upgrade;
    this.keepAlive = framing.keepAlive;
    this.continueWanted = framing.expectsContinue;
    this.requestId = newRequestId();
    this.record = newRecord(startedMs);
  }

  // ── the request, towards the handler ──

  attach(handler: ExchangeHandler): void {
    if (this.handler !== null) throw new Error('Exchange.attach() was called twice');
    this.handler = handler;
    if (this.over) {
      handler.onClose(this.record.failure);
      return;
    }
    const early = this.early;
    this.early = null;
    if (early !== null)
      for (const chunk of early) {
        if (this.ended || this.over) return;
        handler.onRequestData(chunk);
      }
    if (this.trailers !== null && !this.ended && !this.over) handler.onRequestEnd(this.trailers);
  }

  /** The connection has a piece of content; the exchange owns it. */
  receive(chunk: Uint8Array): void {
    this.continueWanted = false;
    this.record.requestBytes += chunk.length;
    if (this.ended || this.over) return;
    this.unconsumedBytes += chunk.length;
    if (this.handler !== null) this.handler.onRequestData(chunk);
    else if (this.early !== null) this.early.push(chunk);
    else this.early = [chunk];
  }

  /** The connection has read the request to its end. */
  receiveEnd(trailers: Fields): void {
    this.trailers = trailers;
    this.continueWanted = false;
    if (this.handler !== null && !this.ended && !this.over) this.handler.onRequestEnd(trailers);
  }

  consumed(bytes: number): void {
    if (this.over) return;
    if (this.continueWanted) this.sendInformational(100, noFields);
    this.unconsumedBytes -= bytes;
    this.connection.onConsumed();
  }

  // ── the answer, towards the client ──

  inform(status: number, fields: Fields): void {
    if (this.over || this.responded || this.request.version === '1.0') return;
    this.sendInformational(status, fields);
  }

  private sendInformational(status: number, fields: Fields): void {
    if (status === 100) {
      this.continueWanted = false;
      this.connection.contentAwaited();
    }
    const text = encodeInformational(status, fields);
    if (typeof text !== 'string') return;
    this.connection.output.addText(text);
    this.connection.flushSoon();
  }

  respond(status: number, reason: string, given: Fields): void {
    if (this.over || this.responded) return;
    const nowMs = performance.now();
    const { hsts } = this.connection.hub.options();
    const ruled = ruledBy(this, given);
    const fields = hsts === null ? ruled : withHsts(hsts, this.client, ruled);
    const head = encodeResponseHead({
      status,
      reason,
      fields,
      method: this.request.method,
      version: this.request.version,
      keepAlive: this.connection.mayKeepAlive(this),
      date: httpDate(nowMs),
      bodyLength: null,
    });
    if ('code' in head) {
      this.fail(head);
      return;
    }
    this.responded = true;
    this.responseFields = fields;
    this.record.status = status;
    this.record.respondedMs = nowMs;
    this.framing = head.framing;
    this.contentLength = head.contentLength ?? 0;
    if (!head.keepAlive) this.connection.closeAfter = true;
    this.connection.output.addHead(head.head);
    this.connection.flushSoon();
  }

  /** Whether what is left of the content may be read and thrown away, so that the connection can go on. */
  get mayDiscardRest(): boolean {
    // It may or may not come: the client decides when it sees the answer.
    if (this.continueWanted) return false;
    const { bodyLength, record } = this;
    return bodyLength === 'unknown' || bodyLength - record.requestBytes <= DISCARD_BYTES_MAX;
  }

  /** One whose reader has nothing more to say and leaves by a FIN. */
  get isEventStream(): boolean {
    const type = this.responded ? fieldValue(this.responseFields, 'content-type') : '';
    return type?.toLowerCase().startsWith('text/event-stream') === true;
  }

  get socket(): Socket {
    return this.connection.socket;
  }

  switchProtocols(fields: Fields): Socket {
    const { record } = this;
    this.responded = true;
    this.responseFields = fields;
    record.status = 101;
    record.respondedMs = performance.now();
    // Only a reset shows that it is not the end.
    this.framing = 'close';
    return handOver(this.connection);
  }

  respondPrepared(prepared: PreparedHead): void {
    if (this.over || this.responded) return;
    if (respondedByRules(this, prepared)) return;
    const { connection, record, request } = this;
    const nowMs = performance.now();
    const keepAlive = connection.mayKeepAlive(this);
    const head = encodePreparedHead(prepared, {
      version: request.version,
      keepAlive,
      date: httpDate(nowMs),
      requestId: this.requestId,
      hsts: hstsFor(connection.hub.options().hsts, this.client, prepared.fields),
    });
    this.responded = true;
    this.responseFields = prepared.fields;
    record.status = prepared.status;
    record.respondedMs = nowMs;
    this.framing = request.method === 'HEAD' || prepared.status === 304 ? 'none' : 'length';
    this.contentLength = prepared.contentBytes;
    if (!keepAlive) connection.closeAfter = true;
    connection.output.addHead(head);
    connection.flushSoon();
  }

  write(chunk: Uint8Array): boolean {
    if (this.over || this.ended || !this.responded || chunk.length === 0) return true;
    const { output } = this.connection;
    const sent = this.record.responseBytes + chunk.length;
    if (this.framing === 'none') return true;
    if (this.framing === 'length' && sent > this.contentLength) {
      this.fail(failure('RESPONSE_LENGTH', `more than the ${this.contentLength} bytes promised`));
      return true;
    }
    this.record.responseBytes = sent;
    if (this.framing === 'chunked') {
      output.addText(chunkHead(chunk.length));
      output.addBytes(chunk);
      output.addText(CHUNK_END);
    } else output.addBytes(chunk);
    this.wantsDrain = !this.connection.wrote();
    return !this.wantsDrain;
  }

  get sendsFiles(): boolean {
    return this.framing === 'length' && this.connection.output.sendsFiles;
  }

  lend(bytes: Uint8Array): number {
    const { record, contentLength } = this;
    if (this.over || this.ended || !this.responded || this.framing !== 'length') return 0;
    if (record.responseBytes + bytes.length > contentLength) return 0;
    const sent = this.connection.output.lend(bytes);
    record.responseBytes += sent;
    return sent;
  }

  sendFileOn(part: FilePart, onSent: (bytes: number) => void): number {
    const { record, connection } = this;
    if (this.over || this.ended || record.responseBytes + part.length > this.contentLength)
      return -1;
    const sent = connection.output.sendFileOn(part, (bytes) => {
      record.responseBytes = this.bytesBeforeFile + bytes;
      this.bytesBeforeFile = -1;
      onSent(bytes);
    });
    if (sent < 0) return -1;
    record.responseBytes += sent;
    if (sent < part.length) this.bytesBeforeFile = record.responseBytes;
    return sent;
  }

  /** Of a file that the kernel sends nobody tells until it is over. */
  countFile(): void {
    if (this.bytesBeforeFile >= 0)
      this.record.responseBytes = this.bytesBeforeFile + this.connection.output.sentOfFile;
  }

  end(trailers: Fields): void {
    if (this.over || this.ended || !this.responded) return;
    const { framing, contentLength, record } = this;
    if (framing === 'length' && record.responseBytes < contentLength) {
      const detail = `${record.responseBytes} of the ${contentLength} bytes promised`;
      this.fail(failure('RESPONSE_LENGTH', detail));
      return;
    }
    if (framing === 'chunked') this.connection.output.addText(lastChunk(trailers));
    this.ended = true;
    this.connection.onAnswered();
  }

  fail(reason: Failure): void {
    if (this.over || this.ended || this.failure !== null) return;
    const { connection, record } = this;
    if (this.responded && connection.output.takeBack()) {
      // The head has not left this process yet, so the client can still be told what went wrong.
      this.responded = false;
      record.responseBytes = 0;
    }
    if (this.responded || reason.status === 0 || reason.code === 'CLIENT_LEFT') {
      connection.cut(reason, this.responded && this.framing === 'close');
      return;
    }
    this.failure = reason;
    const answer = errorAnswer(reason, this, connection.hub.options().errorPages);
    this.respond(reason.status, '', answer.fields);
    this.write(answer.content);
    this.end(noFields);
  }

  /** There is room for more of the answer. */
  drained(): void {
    this.wantsDrain = false;
    if (this.handler !== null) this.handler.onDrain();
  }

  /** The last thing that happens to an exchange. */
  settle(reason: Failure | null): void {
    if (this.over) return;
    this.countFile();
    if (this.bytesBeforeFile >= 0) this.connection.output.stopFile();
    this.over = true;
    this.early = null;
    const why = reason ?? this.failure;
    if (why !== null) noteFailure(this.record, why);
    if (this.handler !== null) this.handler.onClose(why);
  }
}
