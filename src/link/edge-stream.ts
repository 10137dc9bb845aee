// One request on its way to a worker, as the edge's end of the link keeps it.

import { type Failure, failure } from '../errors/failure.ts';
import type { Fields } from '../http/exchange.ts';
import type { LinkObserver, LinkStream } from './link.ts';
import type { Outbox } from './outbox.ts';
import * as wire from './protocol.ts';
import { SendingHalf } from './sending-half.ts';
import { throwLater } from './shared.ts';

/** What a stream needs of its link. */
export interface EdgeStreamOwner {
  readonly outbox: Outbox;
  readonly windowBytes: number;
  /** The observer has heard the end, or wants to hear nothing more. */
  over(): void;
  /** Both directions have ended on the wire: the id is free. */
  release(id: number): void;
}

const noFields: Fields = [];

export class EdgeStream extends SendingHalf implements LinkStream {
  /** The observer is told nothing more. */
  private isOver = false;
  private readonly owner: EdgeStreamOwner;
  private readonly observer: LinkObserver;
  /** Where the request head begins in all that the link sends. */
  private readonly headPosition: number;
  private sawHead = false;
  private informs = 0;
  /** The worker has ended its direction; no frame comes or goes any more. */
  private isReleased = false;
  /** Content received and not given credit for, of which `owedBytes` was consumed. */
  private uncreditedBytes = 0;
  private owedBytes = 0;

  constructor(
    owner: EdgeStreamOwner,
    observer: LinkObserver,
    id: number,
    position: number,
    creditBytes: number,
  ) {
    super(id, owner.outbox, creditBytes);
    this.owner = owner;
    this.observer = observer;
    this.headPosition = position;
  }

  // What the edge calls.

  write(chunk: Uint8Array): void {
    if (!this.isOver && !this.sentEnd) this.send(chunk);
  }

  end(trailers: Fields): void {
    if (!this.isOver && !this.sentEnd) this.sendEnd(trailers);
  }

  consumed(bytes: number): void {
    if (this.isOver || this.isReleased) return;
    this.owedBytes = Math.min(this.owedBytes + bytes, this.uncreditedBytes);
    // In halves of the window: the worker never waits for a byte that was consumed long ago, and
    // most responses end before any credit is due.
    if (2 * this.owedBytes < this.owner.windowBytes) return;
    this.outbox.encoder.credit(this.id, this.owedBytes);
    this.outbox.schedule();
    this.uncreditedBytes -= this.owedBytes;
    this.owedBytes = 0;
  }

  cancel(): void {
    if (this.isOver) return;
    this.isOver = true;
    if (!this.isReleased) this.putReset();
    this.owner.over();
  }

  // What the link calls. Strings that come back say how the worker broke the protocol.

  /** The head was sent and nothing follows it. */
  sentWhole(): void {
    this.sentEnd = true;
  }

  /** There is no slot for it: the observer hears so, but not while it still calls open(). */
  refuseLater(reason: Failure): void {
    this.stopSending();
    this.isReleased = true;
    process.nextTick(() => this.fail(reason, false));
  }

  gotInform(status: number, fields: Fields): string | null {
    this.informs += 1;
    if (this.sawHead) return 'INFORM after RESPONSE';
    if (this.informs > wire.INFORMS_MAX) return 'too many INFORM';
    if (!this.isOver) this.observer.onInform(status, fields);
    return null;
  }

  gotResponse(status: number, reason: string, fields: Fields, end: boolean): string | null {
    if (this.sawHead) return 'a second RESPONSE';
    this.sawHead = true;
    if (end) this.ended();
    try {
      if (!this.isOver) this.observer.onResponse(status, reason, fields);
    } finally {
      if (end) this.finish(noFields);
    }
    return null;
  }

  gotData(chunk: Uint8Array, end: boolean): string | null {
    if (!this.sawHead) return 'DATA before RESPONSE';
    this.uncreditedBytes += chunk.length;
    if (this.uncreditedBytes > this.owner.windowBytes) return 'DATA beyond the window';
    if (end) this.ended();
    try {
      if (!this.isOver) this.observer.onData(chunk);
    } finally {
      if (end) this.finish(noFields);
    }
    return null;
  }

  gotEnd(trailers: Fields): string | null {
    if (!this.sawHead) return 'END before RESPONSE';
    this.ended();
    this.finish(trailers);
    return null;
  }

  gotReset(reason: Failure, refused: boolean): string | null {
    if (refused && this.sawHead) return 'RESPONSE to a request that was refused';
    this.ended();
    this.fail(reason, !refused);
    return null;
  }

  gotCredit(bytes: number, windowBytes: number): string | null {
    if (!this.addCredit(bytes, windowBytes)) return `CREDIT of ${bytes} bytes overflows the window`;
    if (!this.isOver) this.observer.onConsumed(bytes);
    return null;
  }

  /** The link is up: the worker takes so many bytes. */
  start(windowBytes: number): void {
    this.addCredit(windowBytes, windowBytes);
  }

  linkDied(reason: Failure | null, handedDown: number): void {
    this.isReleased = true;
    this.stopSending();
    try {
      this.fail(
        reason ?? failure('WORKER_DIED', 'the link was closed'),
        this.headPosition < handedDown,
      );
    } catch (error) {
      throwLater(error);
    }
  }

  protected onRoom(): void {}
  protected onServed(): void {}
  protected onSentEnd(): void {}

  protected onUnsendable(): void {
    this.putReset();
    if (!this.isOver) this.fail(failure('FIELD_TOO_LARGE', 'trailers'), true);
  }

  /** The worker sends nothing more on this stream. */
  private ended(): void {
    this.isReleased = true;
    if (!this.sentEnd) this.putReset();
    this.owner.release(this.id);
  }

  private putReset(): void {
    this.stopSending();
    this.outbox.encoder.reset(this.id, 'CLIENT_LEFT', '', false);
    this.outbox.schedule();
  }

  private finish(trailers: Fields): void {
    if (this.isOver) return;
    this.isOver = true;
    this.owner.over();
    this.observer.onEnd(trailers);
  }

  private fail(reason: Failure, reached: boolean): void {
    if (this.isOver) return;
    this.isOver = true;
    this.owner.over();
    this.observer.onFailed(reason, reached);
  }
}
