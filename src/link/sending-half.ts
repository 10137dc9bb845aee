// The sending direction of one stream: content goes out as far as credit and socket allow; the rest is kept.

import type { Fields } from '../http/exchange.ts';
import type { Outbox, Waiter } from './outbox.ts';
import * as wire from './protocol.ts';

export abstract class SendingHalf implements Waiter {
  readonly id: number;
  isWaiting = false;
  protected readonly outbox: Outbox;
  /** Bytes the peer still takes. */
  protected credit: number;
  /** Nothing more may be sent: END or RESET has been. */
  protected sentEnd = false;
  private pending: Uint8Array[] | null = null;
  private pendingIndex = 0;
  private pendingOffset = 0;
  /** END was asked for and comes behind what is pending. */
  private trailers: Fields | null = null;
  private wantsRoom = false;

  constructor(id: number, outbox: Outbox, credit: number) {
    this.id = id;
    this.outbox = outbox;
    this.credit = credit;
  }

  /** There is room again after send() returned false. */
  protected abstract onRoom(): void;
  /** END was put into the batch. */
  protected abstract onSentEnd(): void;
  /** The trailers are too large to be sent. */
  protected abstract onUnsendable(): void;
  /** What else waited for the socket. */
  protected abstract onServed(): void;

  /** False: it was kept, or there is no room behind it; onRoom follows. */
  protected send(chunk: Uint8Array): boolean {
    const { outbox } = this;
    let from = 0;
    if (this.pending === null && !outbox.isClogged) from = this.sendSome(chunk, 0);
    if (from < chunk.length) this.keep(chunk, from);
    outbox.schedule();
    if (this.pending === null && this.credit > 0 && !outbox.isClogged) return true;
    this.wantsRoom = true;
    if (this.credit > 0) outbox.wait(this);
    return false;
  }

  protected sendEnd(trailers: Fields): void {
    if (this.pending !== null) this.trailers = trailers;
    else this.putEnd(trailers);
  }

  /** Forgets what is kept; only RESET may follow. */
  protected stopSending(): void {
    this.sentEnd = true;
    this.pending = null;
    this.trailers = null;
    this.wantsRoom = false;
  }

  /** False when the peer gives more credit than it can have. */
  protected addCredit(bytes: number, windowBytes: number): boolean {
    if (bytes < 1 || this.credit + bytes > windowBytes) return false;
    this.credit += bytes;
    if (this.pending !== null || this.wantsRoom) this.outbox.wait(this);
    return true;
  }

  service(): boolean {
    this.onServed();
    if (this.pending !== null) this.sendPending(this.pending);
    if (this.credit === 0) return false;
    if (this.pending !== null) return true;
    if (this.wantsRoom) {
      this.wantsRoom = false;
      this.onRoom();
    }
    return false;
  }

  /** Frames of the chunk while credit lasts and the socket takes them; returns where it stopped. */
  private sendSome(chunk: Uint8Array, start: number): number {
    const { outbox } = this;
    let from = start;
    while (from < chunk.length && this.credit > 0 && !outbox.isClogged) {
      const bytes = Math.min(chunk.length - from, this.credit, wire.DATA_BYTES_MAX);
      outbox.encoder.data(this.id, chunk, from, from + bytes);
      this.credit -= bytes;
      from += bytes;
      if (outbox.encoder.bytes >= wire.FLUSH_BYTES) outbox.schedule();
    }
    return from;
  }

  private keep(chunk: Uint8Array, from: number): void {
    if (this.pending !== null) {
      this.pending.push(chunk);
      return;
    }
    this.pending = [chunk];
    this.pendingIndex = 0;
    this.pendingOffset = from;
  }

  /** One frame's worth, from as many kept chunks as that takes. */
  private sendPending(pending: Uint8Array[]): void {
    let left = Math.min(this.credit, wire.DATA_BYTES_MAX);
    while (left > 0) {
      const chunk = pending[this.pendingIndex]!;
      const from = this.pendingOffset;
      const to = Math.min(chunk.length, from + left);
      this.outbox.encoder.data(this.id, chunk, from, to);
      this.credit -= to - from;
      left -= to - from;
      this.pendingOffset = to;
      if (to < chunk.length) return;
      this.pendingOffset = 0;
      this.pendingIndex += 1;
      if (this.pendingIndex === pending.length) {
        this.sentPending();
        return;
      }
      if (this.pendingIndex === 1024) {
        pending.splice(0, 1024);
        this.pendingIndex = 0;
      }
    }
  }

  private sentPending(): void {
    this.pending = null;
    this.pendingIndex = 0;
    if (this.trailers !== null) this.putEnd(this.trailers);
  }

  private putEnd(trailers: Fields): void {
    this.trailers = null;
    if (!this.outbox.encoder.end(this.id, trailers)) {
      this.onUnsendable();
      return;
    }
    this.sentEnd = true;
    this.wantsRoom = false;
    this.outbox.schedule();
    this.onSentEnd();
  }
}
