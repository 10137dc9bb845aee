// What leaves through one socket: frames gathered in a batch that goes to the kernel once per turn
// of the event loop, and the queue of streams that wait until the socket takes more.

import type { Socket } from 'node:net';
import { sendPiecesNow } from '../native/send-now.ts';
import { Encoder } from './encoder.ts';
import * as wire from './protocol.ts';

/** A stream that may have to wait for the socket. */
export interface Waiter {
  isWaiting: boolean;
  /** The socket takes more: send one frame, or say that there is room. True to be called again. */
  service(): boolean;
}

// At most one batch is with the kernel at a time; what follows is gathered meanwhile. So it is known
// exactly which frames the peer can't have seen, and a busy socket makes batches larger by itself.

export class Outbox {
  readonly encoder: Encoder = new Encoder();
  /** Bytes handed to the kernel, or that it was asked to take. */
  handedDown = 0;
  /** Called when all that was gathered has been handed down; never while frames are being put in. */
  private readonly onHandedDown: () => void;
  private readonly socket: Socket;
  private readonly onWritten = (): void => this.written();
  private isOpen = false;
  private isScheduled = false;
  private isWriting = false;
  private endsWhenEmpty = false;
  /** The buffer of the batch that the kernel is taking. */
  private inUse: Buffer | null = null;
  private waiters: Waiter[] = [];
  private serving: Waiter[] = [];

  constructor(socket: Socket, onHandedDown: () => void) {
    this.socket = socket;
    this.onHandedDown = onHandedDown;
  }

  /** Until then frames are only gathered. */
  open(): void {
    this.isOpen = true;
    this.schedule();
  }

  /** Ends the socket behind what has been gathered. */
  endSocket(): void {
    this.endsWhenEmpty = true;
    this.flush();
    this.endIfEmpty();
  }

  /** The answer to PING. None for a peer that reads nothing: its pings would fill the memory. */
  pong(value: Uint8Array): void {
    if (this.isClogged) return;
    this.encoder.ping(wire.PONG, value);
    this.schedule();
  }

  /** Nothing more is sent. */
  close(): void {
    this.isOpen = false;
    this.waiters = [];
    this.encoder.clear(this.isWriting);
  }

  /** Whether a stream's content must wait. Heads never do: their number is bounded by the streams. */
  get isClogged(): boolean {
    return this.encoder.bytes >= wire.FLUSH_BYTES && (this.isWriting || !this.isOpen);
  }

  /** The position in all that ever leaves where the next frame will begin. */
  get position(): number {
    return this.handedDown + this.encoder.bytes;
  }

  /** To be called after frames were put into the encoder. setImmediate runs after all sockets that
   *  were readable in this turn; nextTick would run between them and gather nothing. */
  schedule(): void {
    if (this.encoder.bytes >= wire.FLUSH_BYTES) this.flush();
    if (this.isScheduled || !this.isOpen) return;
    this.isScheduled = true;
    setImmediate(flushScheduled, this);
  }

  /** Puts a stream into the round of those that wait for the socket. */
  wait(waiter: Waiter): void {
    if (waiter.isWaiting) return;
    waiter.isWaiting = true;
    this.waiters.push(waiter);
    this.schedule();
  }

  /** For the scheduled call alone. */
  runScheduled(): void {
    this.isScheduled = false;
    this.turn();
  }

  private turn(): void {
    this.flush();
    if (this.encoder.bytes === 0) this.onHandedDown();
    this.serve();
    this.endIfEmpty();
  }

  private flush(): void {
    const { encoder } = this;
    if (!this.isOpen || this.isWriting || encoder.bytes === 0) return;
    this.handedDown += encoder.bytes;
    this.write();
    // libuv tries to write at once. What the kernel took whole is done with, and its buffer free.
    this.isWriting = this.socket.writableLength > 0;
    this.inUse = encoder.clear(this.isWriting);
  }

  private write(): void {
    const { encoder, socket } = this;
    encoder.seal();
    const { parts } = encoder;
    const sent = sendPiecesNow(socket, parts);
    const rest = sent === 0 ? parts : behind(parts, sent);
    const last = rest.length - 1;
    if (last < 0) return;
    if (last > 0) socket.cork();
    for (let index = 0; index < last; index++) socket.write(rest[index]!);
    socket.write(rest[last]!, this.onWritten);
    if (last > 0) socket.uncork();
  }

  private written(): void {
    if (!this.isWriting || this.socket.writableLength > 0) return;
    this.isWriting = false;
    if (this.inUse !== null) this.encoder.recycle(this.inUse);
    this.inUse = null;
    this.turn();
  }

  private endIfEmpty(): void {
    if (this.endsWhenEmpty && !this.isWriting && this.encoder.bytes === 0) this.socket.end();
  }

  /** Streams that wait get one frame each in turn until the socket is full again. */
  private serve(): void {
    if (this.waiters.length === 0) return;
    while (this.waiters.length > 0 && !this.isClogged) {
      const round = this.waiters;
      this.waiters = this.serving;
      this.serving = round;
      let index = 0;
      for (; index < round.length && !this.isClogged; index++) {
        const waiter = round[index]!;
        waiter.isWaiting = false;
        if (waiter.service()) this.wait(waiter);
      }
      // Those not reached come first the next time.
      if (index < round.length) this.waiters = round.slice(index).concat(this.waiters);
      round.length = 0;
      this.serving = round;
    }
    this.flush();
  }
}

/** What is left of `parts` behind the first `bytes`. */
function behind(parts: readonly Uint8Array[], bytes: number): Uint8Array[] {
  const rest: Uint8Array[] = [];
  let sent = bytes;
  for (const part of parts) {
    if (sent < part.length) rest.push(part.subarray(sent));
    sent = Math.max(0, sent - part.length);
  }
  return rest;
}

function flushScheduled(outbox: Outbox): void {
  outbox.runScheduled();
}
