// Sockets that native/poll.c looks after: read past Node's streams, and sent files as they take them.

import type { Socket } from 'node:net';
import { isMainThread } from 'node:worker_threads';
import type { FilePart } from '../http/exchange.ts';
import { native } from './native.ts';
import { lendTo, sendTo, TEXT_MAX } from './send-now.ts';

/** What libuv reads at most at a time. */
const READ_BYTES = 64 * 1024;
/** Reads of one socket before others have their turn: of one that brings more than can be dealt with. */
const READS_MAX = 16;
/** As in native/poll.c. */
const EVENTS_MAX = 256;
const CAN_BE_READ = 1;
const READ_TO_THE_END = 2;
const FILE_IS_OVER = 4;
const IS_GONE = 8;
const EAGAIN = -11;

/** Who a socket's bytes are for. */
export interface PolledReader {
  /** `isBorrowed`: they are the reader's until it returns. `readyMs`: when they were found, by performance.now(). */
  onBytes(bytes: Buffer, isBorrowed: true, readyMs: number): void;
  /** The peer sends no more. */
  onClientEnd(): void;
}

/** One for all: whoever wants to keep something copies it. Reading through a stream makes a buffer for each
 *  read and passes it through the stream's queue: 2 µs of 11 for a small request. */
export const sharedReadBuffer = Buffer.allocUnsafeSlow(READ_BYTES);

/** By their length: to make one costs as much as to parse a request line. */
const shortViews: (Buffer | undefined)[] = new Array(2048);

/** The first so many bytes of what all share. */
export function readSoFar(bytes: number): Buffer {
  if (bytes >= shortViews.length) return sharedReadBuffer.subarray(0, bytes);
  let view = shortViews[bytes];
  if (view === undefined) {
    view = sharedReadBuffer.subarray(0, bytes);
    shortViews[bytes] = view;
  }
  return view;
}

/** By name. Names are given out again once their socket has closed, which it never does while events are told. */
const polled: (PolledSocket | null)[] = [];
const freeNames: number[] = [];
/** Can be read, and nobody will tell again. */
let again: PolledSocket[] = [];

const told = new Int32Array(2 * EVENTS_MAX);
let state: 'not started' | 'works' | 'is missing' = 'not started';

/** Looks after a socket that its stream does not read: `reader` is to be set at once. Null: there is no native/
 *  here, or it cannot. */
export function pollSocket(socket: Socket): PolledSocket | null {
  if (native === null || !start()) return null;
  const { _handle } = socket as unknown as HandleOwner;
  const descriptor = _handle?.fd ?? -1;
  if (descriptor < 0) return null;
  const name = freeNames.pop() ?? polled.length;
  if (native.pollAdd(name, descriptor) !== 0) {
    freeNames.push(name);
    return null;
  }
  return new PolledSocket(socket, { name, descriptor });
}

interface HandleOwner {
  /** Null once the socket is destroyed, in the very moment in which its descriptor is closed. */
  readonly _handle: { readonly fd?: number } | null;
}

function start(): boolean {
  if (state !== 'not started') return state === 'works';
  // The loop that it is part of is the main thread's.
  const works = isMainThread && native!.pollStart(onReady, told, sharedReadBuffer) === 0;
  state = works ? 'works' : 'is missing';
  return works;
}

/** When the sockets of this turn were found ready: asked once for all, which for small requests is 3 % of all they cost. */
let readyMs = 0;

function onReady(count: number): void {
  readyMs = performance.now();
  for (let at = 0; at < count; at++) {
    try {
      polled[told[2 * at]!]?.onTold(told[2 * at + 1]!);
    } catch (error) {
      // What the others are told is not told again.
      process.nextTick(() => {
        throw error;
      });
    }
  }
}

function readAgain(): void {
  readyMs = performance.now();
  const sockets = again;
  again = [];
  for (const socket of sockets) socket.readOn();
}

export class PolledSocket {
  /** As long as it is open: the number is soon another socket's. */
  private readonly descriptor: number;
  reader: PolledReader | null = null;
  private readonly socket: Socket & HandleOwner;
  private readonly name: number;
  private isPaused = false;
  /** There may be more to read. */
  private canBeRead = false;
  /** More is behind what a read brings: an end, urgent data. That is not told again. */
  private goesOn = false;
  private hasEnded = false;
  private isInAgain = false;
  private isReleased = false;
  private onSent: ((bytes: number) => void) | null = null;

  constructor(
    socket: Socket,
    { name, descriptor }: { readonly name: number; readonly descriptor: number },
  ) {
    this.socket = socket as Socket & HandleOwner;
    this.name = name;
    this.descriptor = descriptor;
    polled[name] = this;
  }

  /** Its descriptor is not closed. */
  get isOpen(): boolean {
    return this.socket._handle !== null;
  }

  /** sendTo(), where nothing is on its way through the stream. */
  send(text: string, bytes: Uint8Array | null): number {
    return this.isOpen ? sendTo(this.descriptor, text, bytes) : 0;
  }

  /** lendTo(), likewise. */
  lend(text: string, bytes: Uint8Array): number {
    return this.isOpen ? lendTo(this.descriptor, text, bytes) : 0;
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
    if (this.canBeRead) this.readSoon();
  }

  /** From here on it is a socket as any other, and paused. To be called as well when it has closed. */
  release(): void {
    if (this.isReleased) return;
    this.stopSending();
    this.isReleased = true;
    native!.pollRemove(this.name, this.isOpen);
    polled[this.name] = null;
    freeNames.push(this.name);
  }

  onTold(what: number): void {
    // An end is told again with each event that follows.
    if ((what & CAN_BE_READ) !== 0 && !this.hasEnded) {
      this.canBeRead = true;
      if ((what & READ_TO_THE_END) !== 0) this.goesOn = true;
      if (!this.isPaused) this.read();
    }
    // Whatever is wrong, 'close' follows and says all there is to say.
    if ((what & IS_GONE) !== 0) this.socket.destroy();
    else if ((what & FILE_IS_OVER) !== 0 && this.isOpen) this.fileIsOver();
  }

  readOn(): void {
    this.isInAgain = false;
    if (this.canBeRead && !this.isPaused) this.read();
  }

  private readSoon(): void {
    if (this.isInAgain) return;
    this.isInAgain = true;
    if (again.length === 0) setImmediate(readAgain);
    again.push(this);
  }

  private read(): void {
    for (let reads = 0; reads < READS_MAX; reads++) {
      if (this.isReleased || !this.isOpen) return;
      const got = native!.pollRead(this.name);
      if (got <= 0) {
        this.onNothing(got);
        return;
      }
      // Less than there is room for: of more that comes there will be another event.
      if (got < READ_BYTES && !this.goesOn) this.canBeRead = false;
      this.reader!.onBytes(readSoFar(got), true, readyMs);
      if (!this.canBeRead || this.isPaused) return;
    }
    this.readSoon();
  }

  private onNothing(got: number): void {
    this.canBeRead = false;
    if (got === EAGAIN) return;
    // A reset, mostly.
    if (got < 0) this.socket.destroy();
    else {
      this.hasEnded = true;
      this.reader!.onClientEnd();
    }
  }

  // ── a file ──

  /** The socket is sent the text, and the part as it takes it. Gives how many bytes it has taken at once, 0 where this can't be;
   *  if these are more than the text and not all, `onSent` hears, once and later, how many more were: less than all
   *  where the rest is not in memory, or not there. Until then nothing else is written. */
  sendFileOn(text: string, part: FilePart, onSent: (bytes: number) => void): number {
    if (this.isReleased || !this.isOpen || text.length >= TEXT_MAX) return 0;
    const { file, offset, length, believedMs } = part;
    const sent = native!.pollSendFile(this.name, text, file, offset, length, believedMs);
    if (sent >= text.length && sent < text.length + length) this.onSent = onSent;
    return Math.max(0, sent);
  }

  /** A file is on its way. */
  get isSending(): boolean {
    return this.onSent !== null;
  }

  /** Bytes of it that have gone so far. */
  get sentBytes(): number {
    return this.onSent === null ? 0 : native!.pollSent(this.name, this.isOpen);
  }

  /** Nobody hears of the file any more, and its descriptor may be closed. */
  stopSending(): void {
    if (this.onSent === null) return;
    this.onSent = null;
    native!.pollStopSending(this.name);
  }

  private fileIsOver(): void {
    const { onSent } = this;
    if (onSent === null) return;
    this.onSent = null;
    onSent(native!.pollStopSending(this.name));
  }
}
