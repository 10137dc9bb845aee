// One request as the worker's end of the link hands it to a handler.

import { type Failure, failure } from '../errors/failure.ts';
import type {
  BodyLength,
  ClientFacts,
  Exchange,
  ExchangeHandler,
  ExchangeRecord,
  Fields,
  RequestHead,
} from '../http/exchange.ts';
import { newRecord } from '../http/exchange-record.ts';
import type { LinkRequest } from './link.ts';
import type { Outbox } from './outbox.ts';
import * as wire from './protocol.ts';
import { SendingHalf } from './sending-half.ts';
import { cleanDetail, throwLater } from './shared.ts';

/** What an exchange needs of its link. */
export interface ExchangeOwner {
  readonly outbox: Outbox;
  readonly windowBytes: number;
  /** Both directions have ended on the wire: the id is free. */
  release(id: number): void;
  /** The handler has ended the exchange: settle() is called when its frames have been handed down,
   *  and never while the handler still is in end() or fail(). */
  settleLater(exchange: WorkerExchange): void;
  /** The handler was told the end, or would have been. */
  settled(): void;
}

const noFields: Fields = [];

export class WorkerExchange extends SendingHalf implements Exchange {
  request: RequestHead;
  client: ClientFacts;
  requestId: string;
  readonly bodyLength: BodyLength;
  readonly expectsContinue: boolean;
  readonly record: ExchangeRecord;
  private readonly owner: ExchangeOwner;
  private handler: ExchangeHandler | null = null;
  /** What the handler sends is thrown away from here on. */
  private isOver = false;
  private isSettled = false;
  private outcome: Failure | null = null;
  private hasResponded = false;
  private hasEnded = false;
  private informs = 0;
  private wantsContinue: boolean;
  // The request's direction.
  private isRequestEnded: boolean;
  private requestTrailers: Fields = noFields;
  /** Content that came before attach(). */
  private early: Uint8Array[] | null = null;
  /** Content received and not given credit for, of which `owedBytes` was consumed. */
  private uncreditedBytes = 0;
  private owedBytes = 0;

  constructor(
    owner: ExchangeOwner,
    id: number,
    open: LinkRequest,
    end: boolean,
    creditBytes: number,
    nowMs: number,
  ) {
    super(id, owner.outbox, creditBytes);
    this.owner = owner;
    this.request = open.request;
    this.client = open.client;
    this.requestId = open.requestId;
    this.bodyLength = open.bodyLength;
    this.expectsContinue = open.expectsContinue;
    this.wantsContinue = open.expectsContinue && !end;
    this.isRequestEnded = end;
    this.record = newRecord(nowMs);
    this.record.claimedMs = nowMs;
  }

  // What the handler calls.

  attach(handler: ExchangeHandler): void {
    if (this.handler !== null) throw new Error('attach() was called twice');
    this.handler = handler;
    if (this.isSettled) {
      handler.onClose(this.outcome);
      return;
    }
    const { early } = this;
    this.early = null;
    if (early !== null) {
      for (const chunk of early) if (!this.isOver) handler.onRequestData(chunk);
    }
    if (this.isRequestEnded && !this.isOver) handler.onRequestEnd(this.requestTrailers);
  }

  consumed(bytes: number): void {
    if (this.isOver || this.isRequestEnded) return;
    if (this.wantsContinue) this.inform(100, noFields);
    this.owedBytes = Math.min(this.owedBytes + bytes, this.uncreditedBytes);
    this.giveCredit();
  }

  inform(status: number, fields: Fields): void {
    if (this.isOver || this.hasResponded) return;
    if (!(status >= 100 && status <= 199) || status === 101)
      throw new RangeError(`status ${status}`);
    if (status === 100) this.wantsContinue = false;
    this.informs += 1;
    // More is a fault of the app; the client loses nothing without them.
    if (this.informs > wire.INFORMS_MAX) return;
    this.outbox.encoder.inform(this.id, status, fields);
    this.outbox.schedule();
  }

  respond(status: number, reason: string, fields: Fields): void {
    if (this.hasResponded) throw new Error('respond() was called twice');
    if (this.isOver) return;
    this.hasResponded = true;
    this.record.status = status;
    this.record.respondedMs = performance.now();
    if (!(status >= 200 && status <= 999)) {
      this.fail(failure('RESPONSE_INVALID', `status ${status}`));
      return;
    }
    if (!this.outbox.encoder.response(this.id, status, reason, fields)) {
      this.fail(failure('RESPONSE_INVALID', 'the head is too large'));
      return;
    }
    this.outbox.schedule();
  }

  write(chunk: Uint8Array): boolean {
    if (this.isOver || this.hasEnded) return true;
    if (!this.hasResponded) throw new Error('write() was called before respond()');
    this.record.responseBytes += chunk.length;
    return this.send(chunk);
  }

  end(trailers: Fields): void {
    if (this.isOver || this.hasEnded) return;
    if (!this.hasResponded) throw new Error('end() was called before respond()');
    this.hasEnded = true;
    this.sendEnd(trailers);
  }

  fail(reason: Failure): void {
    if (this.isOver || this.sentEnd) return;
    this.putReset(reason, false);
    this.isOver = true;
    this.outcome = reason;
    this.owner.settleLater(this);
  }

  // What the link calls. Strings that come back say how the edge broke the protocol.

  gotData(chunk: Uint8Array, end: boolean): string | null {
    if (this.isRequestEnded) return 'DATA after the end';
    this.uncreditedBytes += chunk.length;
    if (this.uncreditedBytes > this.owner.windowBytes) return 'DATA beyond the window';
    this.record.requestBytes += chunk.length;
    if (end) this.isRequestEnded = true;
    const fits = this.lengthFits();
    try {
      if (!this.isOver && fits) this.deliver(chunk);
    } finally {
      if (!fits) this.lengthFault();
      if (end) this.requestEnded();
    }
    return null;
  }

  gotEnd(trailers: Fields): string | null {
    if (this.isRequestEnded) return 'END after the end';
    this.isRequestEnded = true;
    this.requestTrailers = trailers;
    if (!this.lengthFits()) this.lengthFault();
    this.requestEnded();
    return null;
  }

  /** The client left, or the edge wants no more: the app hears it unless its answer is out. */
  gotReset(): void {
    this.isRequestEnded = true;
    if (this.sentEnd) {
      this.owner.release(this.id);
      return;
    }
    this.hangUp(failure('CLIENT_LEFT'));
  }

  gotCredit(bytes: number, windowBytes: number): string | null {
    return this.addCredit(bytes, windowBytes)
      ? null
      : `CREDIT of ${bytes} bytes overflows the window`;
  }

  /** The worker takes nothing more: the edge may send the request elsewhere. */
  refuse(reason: Failure): void {
    this.putReset(reason, true);
    this.isOver = true;
    this.outcome = reason;
    this.settle();
  }

  /** Tells the handler the end. */
  settle(): void {
    if (this.isSettled) return;
    this.isOver = true;
    this.isSettled = true;
    this.record.failure = this.outcome;
    this.early = null;
    this.owner.settled();
    try {
      this.handler?.onClose(this.outcome);
    } catch (error) {
      throwLater(error);
    }
  }

  linkDied(reason: Failure): void {
    if (this.isSettled) return;
    this.stopSending();
    this.outcome ??= reason;
    this.settle();
  }

  protected onRoom(): void {
    try {
      if (!this.isOver) this.handler?.onDrain();
    } catch (error) {
      throwLater(error);
    }
  }

  protected onServed(): void {
    if (!this.isOver && !this.isRequestEnded) this.giveCredit();
  }

  protected onSentEnd(): void {
    if (this.isRequestEnded) this.owner.release(this.id);
    this.owner.settleLater(this);
  }

  protected onUnsendable(): void {
    this.fail(failure('RESPONSE_INVALID', 'the trailers are too large'));
  }

  private deliver(chunk: Uint8Array): void {
    if (this.handler !== null) this.handler.onRequestData(chunk);
    else if (this.early === null) this.early = [chunk];
    else this.early.push(chunk);
  }

  private requestEnded(): void {
    if (this.sentEnd) this.owner.release(this.id);
    else if (!this.isOver) this.handler?.onRequestEnd(this.requestTrailers);
  }

  /** In halves of the window, or when nothing received is left: who feeds the edge may have a
   *  smaller window than ours, and then waits for all of it. */
  private giveCredit(): void {
    if (this.owedBytes === 0 || this.sentEnd) return;
    const isDue =
      this.owedBytes === this.uncreditedBytes || 2 * this.owedBytes >= this.owner.windowBytes;
    if (!isDue) return;
    // An edge that sends single bytes and reads nothing would fill the memory with credit.
    if (this.outbox.isClogged) {
      this.outbox.wait(this);
      return;
    }
    this.outbox.encoder.credit(this.id, this.owedBytes);
    this.outbox.schedule();
    this.uncreditedBytes -= this.owedBytes;
    this.owedBytes = 0;
  }

  /** The edge has checked the client's framing, so this is a fault of the edge, not of the client. */
  private lengthFits(): boolean {
    const { bodyLength } = this;
    if (bodyLength === 'unknown') return true;
    const { requestBytes } = this.record;
    return this.isRequestEnded ? requestBytes === bodyLength : requestBytes <= bodyLength;
  }

  private lengthFault(): void {
    if (!this.isOver && !this.sentEnd)
      this.hangUp(failure('EDGE_FAULT', 'content and its length disagree'));
  }

  private hangUp(reason: Failure): void {
    if (!this.sentEnd) this.putReset(reason, false);
    if (this.isOver) return;
    this.outcome = reason;
    this.settle();
  }

  private putReset(reason: Failure, refused: boolean): void {
    this.stopSending();
    this.outbox.encoder.reset(this.id, reason.code, cleanDetail(reason.detail), refused);
    this.outbox.schedule();
    if (this.isRequestEnded) this.owner.release(this.id);
  }
}
