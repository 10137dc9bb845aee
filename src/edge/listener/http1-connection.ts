// One HTTP/1.1 connection: reads requests from its socket one at a time and sends their answers in order.
//
//   fresh ──┐            ┌────────────── answered, content left ──▶ discard ─┐
//           ├▶ head ──▶ busy ── answered ──▶ idle ◀───────────────────────────┘
//   idle ───┘            └── answered, to be closed ──▶ linger ──▶ closed
//
// Any phase goes to closed with the socket; busy goes to tunnel when protocols are switched. In busy
// and discard `messageOpen` says whether the request's end has been read.

import type { Socket } from 'node:net';
import type { Failure } from '../../errors/failure.ts';
import { failure } from '../../errors/failure.ts';
import type { ClientFacts, Fields, RequestHead } from '../../http/exchange.ts';
import { unknownFraming } from '../../http/head-facts.ts';
import type { ParserEvents } from '../../http/parser-events.ts';
import { FieldMemory } from '../../http/repeated-fields.ts';
import type { RequestFraming } from '../../http/request-parser.ts';
import {
  DISCARD_BYTES_MAX,
  LINGER_BYTES_MAX,
  LINGER_MS,
  RESPONSE_BUFFER_BYTES,
  UNCONSUMED_BYTES_MAX,
  UNCONSUMED_BYTES_RESUME,
} from './bounds.ts';
import { type ConnectionSocket, clientFacts } from './client-facts.ts';
import { Http1Exchange } from './http1-exchange.ts';
import type { Hub } from './hub.ts';
import { Output } from './output.ts';
import type { ParserLoan } from './parser-pool.ts';
import { probeSoon, type Watch } from './sweep.ts';

export type Phase = 'fresh' | 'head' | 'busy' | 'discard' | 'idle' | 'linger' | 'tunnel' | 'closed';

export class Http1Connection implements ParserEvents {
  readonly hub: Hub;
  readonly socket: Socket;
  readonly output: Output;
  readonly memory = new FieldMemory();
  phase: Phase = 'fresh';
  /** When fresh, idle, head, discard or linger has lasted too long. */
  deadlineMs: number;
  exchange: Http1Exchange | null = null;
  /** The end of the request has not been read. */
  messageOpen = false;
  /** No request after this one. */
  closeAfter = false;
  clientEnded = false;
  readingPaused = false;
  /** When content last came, or was last asked for. */
  lastReadMs = 0;
  /** For the sweep. */
  watch: Watch | null = null;
  /** In the list of flushSoon(). */
  isDirty = false;

  /** From the first byte on. */
  facts: ClientFacts | null = null;
  readonly on: ConnectionSocket;
  private loan: ParserLoan | null = null;
  /** Bytes of the next request that came while one is in work: at most one read. */
  kept: Buffer | null = null;
  /** Inside take(): answers are gathered until its end. */
  private taking = false;
  /** What is being read will be overwritten: content has to be copied. */
  private isBorrowed = false;
  /** After a parse failure, and in a tunnel: nothing more is understood. */
  isDeaf = false;
  private nowMs = 0;
  /** What discard or linger may still read. */
  private spareBytes = 0;

  constructor(hub: Hub, on: ConnectionSocket) {
    this.hub = hub;
    this.socket = on.socket;
    this.on = on;
    this.output = new Output(on.socket, on.tls !== null, on.polled);
    this.deadlineMs = performance.now() + hub.options().headerTimeoutMs;
  }

  // ── reading ──

  /** `isBorrowed`: the chunk is only ours until this returns. */
  onBytes(chunk: Buffer, isBorrowed: boolean, nowMs = performance.now()): void {
    // Not at accept: idle connections need no facts. Without them the client has left by a reset.
    this.facts ??= clientFacts(this.on);
    if (this.facts === null) this.socket.destroy();
    else if (this.mayParse()) {
      this.isBorrowed = isBorrowed;
      this.nowMs = nowMs;
      this.take(this.kept === null ? chunk : this.withKept(chunk));
    } else if (this.phase === 'tunnel') this.socket.push(isBorrowed ? Buffer.from(chunk) : chunk);
    else this.discard(chunk.length);
  }

  private take(chunk: Buffer): void {
    let at = 0;
    this.taking = true;
    try {
      while (at < chunk.length && this.mayParse()) {
        if (this.phase === 'busy' && !this.messageOpen) {
          this.keep(chunk, at);
          break;
        }
        at = this.feed(chunk, at);
      }
    } catch (error) {
      this.onFault(error);
    }
    this.taking = false;
    this.flush();
    // A refused request was answered within the loop.
    if (this.phase === 'busy' && this.exchange === null && !this.messageOpen) this.nextRequest();
    else if (this.phase === 'idle' && this.isLast()) this.linger();
  }

  /** Nothing more will come, or nothing more is wanted. */
  private isLast(): boolean {
    return this.clientEnded || this.hub.isDraining;
  }

  private mayParse(): boolean {
    return !this.isDeaf && this.phase !== 'linger' && this.phase !== 'closed';
  }

  private feed(chunk: Buffer, at: number): number {
    this.loan ??= this.hub.parsers.borrow(this.hub.options().limits, this);
    const { parser } = this.loan;
    const next = parser.push(chunk, at);
    if (parser.failure !== null) this.refuse(parser.failure);
    else if (parser.state === 'done') {
      parser.next();
      this.endLoan();
      if (this.exchange === null) this.nextRequest();
    } else if (parser.state === 'head' && this.phase !== 'head') {
      // From accept for the first head, else from its first byte; more bytes don't prolong it.
      if (this.phase === 'idle') this.deadlineMs = this.nowMs + this.hub.options().headerTimeoutMs;
      this.phase = 'head';
    }
    return next;
  }

  onHead(head: RequestHead, framing: RequestFraming): void {
    this.messageOpen = true;
    const exchange = this.begin(head, framing);
    // nginx refuses both as well. There is no tunnel here, and an app that echoes a TRACE would
    // show the fields this edge adds, and cookies, to a script (RFC 9110 section 9.3.8).
    if (head.method === 'CONNECT' || head.method === 'TRACE') {
      this.closeAfter = true;
      exchange.fail(failure('METHOD_NOT_ALLOWED', `${head.method} is not served here`));
    } else this.hub.handle(exchange);
  }

  private begin(head: RequestHead, framing: RequestFraming): Http1Exchange {
    this.phase = 'busy';
    this.lastReadMs = this.nowMs;
    this.hub.requestsInFlight++;
    this.exchange = new Http1Exchange(this, head, framing, this.nowMs);
    return this.exchange;
  }

  onData(chunk: Buffer): void {
    this.lastReadMs = this.nowMs;
    const { exchange } = this;
    if (exchange === null || exchange.ended) {
      this.discard(chunk.length);
      return;
    }
    exchange.receive(this.isBorrowed ? Buffer.from(chunk) : chunk);
    if (exchange.unconsumedBytes > UNCONSUMED_BYTES_MAX) this.pauseReading();
  }

  onEnd(trailers: Fields): void {
    this.messageOpen = false;
    this.exchange?.receiveEnd(trailers);
  }

  onConsumed(): void {
    if (!this.readingPaused || this.kept !== null || this.exchange === null) return;
    if (this.exchange.unconsumedBytes <= UNCONSUMED_BYTES_RESUME) this.resumeReading();
  }

  private keep(chunk: Buffer, at: number): void {
    const rest = chunk.subarray(at);
    this.kept = this.isBorrowed ? Buffer.from(rest) : rest;
    this.pauseReading();
  }

  private withKept(chunk: Buffer): Buffer {
    const all = Buffer.concat([this.kept!, chunk]);
    this.kept = null;
    this.isBorrowed = false;
    return all;
  }

  private pauseReading(): void {
    if (this.readingPaused) return;
    this.readingPaused = true;
    (this.on.polled ?? this.socket).pause();
  }

  private resumeReading(): void {
    if (!this.readingPaused) return;
    this.readingPaused = false;
    this.contentAwaited();
    (this.on.polled ?? this.socket).resume();
  }

  /** The client's time to send content begins now. */
  contentAwaited(): void {
    this.lastReadMs = this.hub.coarseNowMs + this.hub.sweepMs;
  }

  private endLoan(): void {
    if (this.loan === null) return;
    this.hub.parsers.giveBack(this.loan);
    this.loan = null;
  }

  private discard(bytes: number): void {
    this.spareBytes -= bytes;
    if (this.spareBytes >= 0) return;
    if (this.phase === 'linger') this.socket.destroy();
    else if (this.phase === 'discard') this.linger();
    else this.closeAfter = true;
  }

  // ── answering ──

  mayKeepAlive(exchange: Http1Exchange): boolean {
    if (!exchange.keepAlive || this.closeAfter || this.hub.isDraining) return false;
    if (this.clientEnded && this.kept === null && !this.taking) return false;
    if (this.hub.options().keepAliveMs <= 0) return false;
    return !this.messageOpen || exchange.mayDiscardRest;
  }

  flushSoon(): void {
    if (this.isDirty || this.taking) return;
    this.isDirty = true;
    this.hub.flushSoon(this);
  }

  flush(): void {
    this.output.flush();
    const { exchange } = this;
    if (exchange === null || !exchange.wantsDrain) return;
    if (this.output.takesMore) exchange.drained();
  }

  /** A piece of the answer is in the output; false when that is enough for now. */
  wrote(): boolean {
    if (this.output.pending >= RESPONSE_BUFFER_BYTES) this.output.flush();
    else this.flushSoon();
    return this.output.pending + this.output.unsent < RESPONSE_BUFFER_BYTES;
  }

  /** The exchange has its whole answer in the output. */
  onAnswered(): void {
    this.spareBytes = DISCARD_BYTES_MAX;
    const isGathered = this.taking && this.output.pending < RESPONSE_BUFFER_BYTES;
    if (!isGathered) this.output.flush();
    // A socket that failed closes in a moment, and then the client has left.
    if (this.output.takesMore) this.finish();
  }

  onDrain(): void {
    const { exchange } = this;
    if (exchange === null) return;
    if (exchange.ended) this.finish();
    else if (exchange.wantsDrain) exchange.drained();
  }

  private finish(): void {
    // Who asked for the end sends nothing more (RFC 9112 section 9.6): nothing is left to be read that
    // would make of our closing a reset.
    const isDone = this.exchange?.keepAlive === false && !this.messageOpen;
    if (isDone && this.kept === null) this.clientEnded = true;
    this.settle(null);
    if (this.phase !== 'busy') return;
    if (!this.messageOpen) {
      if (!this.taking) this.nextRequest();
    } else if (this.closeAfter) this.linger();
    else {
      this.phase = 'discard';
      this.deadlineMs = this.hub.coarseNowMs + this.hub.sweepMs + LINGER_MS;
      this.resumeReading();
    }
  }

  private settle(reason: Failure | null): void {
    const exchange = this.exchange;
    if (exchange === null) return;
    this.exchange = null;
    this.hub.requestsInFlight--;
    exchange.settle(reason);
    this.hub.onSettled(exchange);
  }

  private nextRequest(): void {
    if (this.phase === 'linger' || this.phase === 'closed') return;
    if (this.closeAfter) {
      this.linger();
      return;
    }
    this.phase = 'idle';
    this.deadlineMs = this.hub.coarseNowMs + this.hub.sweepMs + this.hub.options().keepAliveMs;
    if (this.taking) return;
    const { kept } = this;
    this.kept = null;
    if (kept !== null) {
      this.isBorrowed = false;
      this.nowMs = performance.now();
      this.take(kept);
    } else if (this.isLast()) this.linger();
    if (this.kept === null) this.resumeReading();
  }

  // ── ending ──

  /** The request can't be understood, or did not come in time. */
  refuse(reason: Failure): void {
    const started = this.loan?.parser.started;
    this.loan = null;
    this.isDeaf = true;
    this.closeAfter = true;
    if (this.phase === 'discard') this.linger();
    else if (this.phase === 'busy') this.exchange?.fail(reason);
    else {
      const { method = '', target = '' } = started ?? {};
      this.begin({ method, target, version: '1.1', fields: [] }, unknownFraming).fail(reason);
    }
  }

  /** Ends the exchange where it stands; what was sent of the answer is all there will be. */
  cut(reason: Failure, byReset: boolean): void {
    this.phase = 'closed';
    // Where the end of the connection is the end of the content, only a reset shows that it is not.
    if (byReset && this.on.tls === null && !this.on.isUnix) {
      this.output.drop();
      this.socket.resetAndDestroy();
    } else {
      this.output.flush();
      this.socket.destroy();
    }
    this.settle(reason);
  }

  /** The last answer is given: sends it and the end, and waits for the client to close. */
  linger(): void {
    if (this.phase === 'linger' || this.phase === 'closed') return;
    this.phase = 'linger';
    this.output.flush();
    this.kept = null;
    this.loan = null;
    if (this.clientEnded) {
      this.socket.destroySoon();
      return;
    }
    this.spareBytes = LINGER_BYTES_MAX;
    this.deadlineMs = this.hub.coarseNowMs + this.hub.sweepMs + LINGER_MS;
    this.socket.end();
    this.resumeReading();
  }

  /** The client sends no more. It may still read: the answer to a whole request is sent. */
  onClientEnd(): void {
    this.clientEnded = true;
    if (this.phase === 'head') {
      this.nowMs = performance.now();
      this.refuse(failure('CLIENT_LEFT', 'within a request head'));
    } else if (this.phase === 'busy') {
      this.closeAfter ||= this.messageOpen;
      if (!this.messageOpen && !this.exchange?.isEventStream) probeSoon(this);
      else
        this.exchange?.fail(failure('CLIENT_LEFT', this.messageOpen ? 'within the content' : ''));
    } else if (this.phase === 'linger') this.socket.destroySoon();
    else if (this.phase !== 'tunnel') this.linger();
  }

  onClosed(): void {
    const reason = this.phase === 'tunnel' ? null : failure('CLIENT_LEFT');
    this.phase = 'closed';
    this.loan = null;
    this.kept = null;
    this.output.drop();
    this.settle(reason);
    this.on.polled?.release();
    this.hub.onClosed(this);
  }

  /** A programmer's error in a handler ends this connection, not the process with all others. */
  private onFault(error: unknown): void {
    this.hub.log.error('fault while a request was read', { error });
    this.isDeaf = true;
    this.closeAfter = true;
    if (this.exchange === null) this.linger();
    else this.exchange.fail(failure('EDGE_FAULT', '', error));
  }
}
