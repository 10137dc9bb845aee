// What waits to be written to one socket: gathered, so that a response is one system call.

import type { Socket } from 'node:net';
import type { FilePart } from '../../http/exchange.ts';
import type { PolledSocket } from '../../native/poller.ts';
import { sendNow } from '../../native/send-now.ts';
import { RESPONSE_BUFFER_BYTES } from './bounds.ts';

/** Up to here pieces are copied into one buffer: for a small answer that costs no more than a writev
 *  of them, and over TLS it is one record. Above, copying would cost more. */
const COMBINE_BYTES = 16 * 1024;
/** Below this Node cuts buffers from a pool, which costs next to nothing. */
const REUSE_BYTES = 2 * 1024;

/** What a stream's own _write() gets as the encoding of bytes. */
const DIRECT = 'buffer' as BufferEncoding;

/** For answers of REUSE_BYTES and more; null = given away. */
let reused: Buffer | null = null;

/** The order is text, bytes, more: most responses need only the first two. */
export class Output {
  /** Bytes that wait here, not counting what the socket keeps. */
  pending = 0;
  private readonly socket: Socket;
  /** The socket looks at what it was given after write() has returned, and its handle takes one write
   *  at a time (Node ends the process at a second): that of TLS. */
  private readonly keepsBytes: boolean;
  private readonly polled: PolledSocket | null;
  /** Something may be on its way through the socket's stream. Nearly all goes past it, and to ask it costs
   *  more than to know. */
  private usesStream: boolean;
  /** Of the one write that went past the stream's queue and is not done. */
  private directBytes = 0;
  private text = '';
  private bytes: Uint8Array | null = null;
  private more: (string | Uint8Array)[] | null = null;
  /** Nothing was written since a head was added, and nothing was waiting before it. */
  private canTakeBack = false;

  constructor(socket: Socket, keepsBytes: boolean, polled: PolledSocket | null = null) {
    this.socket = socket;
    this.keepsBytes = keepsBytes;
    this.polled = polled;
    this.usesStream = polled === null;
  }

  /** Latin-1: heads and framing. */
  addText(text: string): void {
    this.pending += text.length;
    if (this.more !== null) this.more.push(text);
    else if (this.bytes === null) this.text = this.text === '' ? text : this.text + text;
    else this.more = [text];
  }

  addHead(text: string): void {
    this.canTakeBack = this.pending === 0;
    this.addText(text);
  }

  /** Forgets the head last added and all that came after; false when some of it may have left. */
  takeBack(): boolean {
    const { canTakeBack } = this;
    if (canTakeBack) this.drop();
    return canTakeBack;
  }

  addBytes(bytes: Uint8Array): void {
    this.pending += bytes.length;
    if (this.more !== null) this.more.push(bytes);
    else if (this.bytes === null) this.bytes = bytes;
    else this.more = [bytes];
  }

  /** Gives all to the socket in one write. */
  flush(): void {
    const { pending, text, bytes, more } = this;
    if (pending === 0) return;
    this.drop();
    const sent = more === null ? this.sendPast(text, bytes) : 0;
    if (sent < pending) this.writeToStream(sent, { pending, text, bytes, more });
  }

  private sendPast(text: string, bytes: Uint8Array | null): number {
    const { polled } = this;
    if (polled !== null) return this.isIdle(polled) ? polled.send(text, bytes) : 0;
    return this.isPlainAndIdle ? sendNow(this.socket, text, bytes) : 0;
  }

  /** Nothing is on its way through the stream, which is not ended, nor past it. */
  private isIdle(polled: PolledSocket): boolean {
    if (this.usesStream) this.usesStream = this.unsent > 0 || !this.socket.writable;
    return !this.usesStream && !polled.isSending;
  }

  /** What the kernel did not take, which is all or nothing mostly. */
  private writeToStream(sent: number, { pending, text, bytes, more }: Gathered): void {
    const { socket } = this;
    this.usesStream = true;
    if (socket.destroyed || socket.writableEnded) return;
    if (sent > 0) this.writeRest(sent, text, bytes);
    else if (bytes === null) this.writeSmall(text, pending);
    else if (text === '' && more === null) socket.write(bytes);
    else if (pending <= COMBINE_BYTES) this.writeCombined(pending, text, bytes, more);
    else {
      socket.cork();
      // As bytes: of buffers alone the native side makes no copy.
      if (text !== '') socket.write(Buffer.from(text, 'latin1'));
      socket.write(bytes);
      if (more !== null) for (const piece of more) writePiece(socket, piece);
      socket.uncork();
    }
  }

  /** All that was given was taken, and more will be: nobody need wait for a drain. */
  get takesMore(): boolean {
    if (this.polled !== null && !this.usesStream) return this.polled.isOpen;
    return !this.socket.writableNeedDrain && !this.socket.destroyed;
  }

  /** What the kernel did not take at once, because it is full. */
  private writeRest(sent: number, text: string, bytes: Uint8Array | null): void {
    const { socket } = this;
    if (bytes === null || sent < text.length) writePiece(socket, text.slice(sent));
    if (bytes === null) return;
    const rest = bytes.subarray(Math.max(0, sent - text.length));
    // Of so little that waits nobody is told, and whose bytes they are may put others in their place.
    socket.write(rest.length < RESPONSE_BUFFER_BYTES ? Buffer.from(rest) : rest);
  }

  /** Larger ones go through a buffer that is used again: to allocate 10 KB costs as much as all the
   *  rest of a small answer. Where the socket still looks at it when write() returns, as over TLS
   *  or when the kernel is full, it is given up. */
  private writeCombined(
    pending: number,
    text: string,
    bytes: Uint8Array,
    more: readonly (string | Uint8Array)[] | null,
  ): void {
    if (pending < REUSE_BYTES || this.keepsBytes) {
      this.writeSmall(combine(Buffer.allocUnsafe(pending), text, bytes, more), pending);
      return;
    }
    reused ??= Buffer.allocUnsafeSlow(COMBINE_BYTES);
    this.writeSmall(combine(reused.subarray(0, pending), text, bytes, more), pending);
    if (this.unsent > 0) reused = null;
  }

  /** Straight to the handle where nothing is before it: the kernel nearly always takes all at once,
   *  and the stream's queue would cost a twentieth of the edge's time for nothing. What comes while
   *  it is on its way goes through the queue, and the handle keeps the order. */
  private writeSmall(piece: string | Buffer, bytes: number): void {
    const { socket } = this;
    if (
      this.keepsBytes ||
      this.directBytes > 0 ||
      bytes > COMBINE_BYTES ||
      socket.writableLength > 0
    )
      writePiece(socket, piece);
    else {
      this.directBytes = bytes;
      socket._write(piece, typeof piece === 'string' ? 'latin1' : DIRECT, this.onWritten);
    }
  }

  private readonly onWritten = (error?: Error | null): void => {
    this.directBytes = 0;
    if (error) this.socket.destroy(error);
  };

  /** Behind all that waits: so many of these bytes, which never change, are with the kernel. */
  lend(bytes: Uint8Array): number {
    if (this.bytes !== null) this.flush();
    const { text, polled } = this;
    if (polled === null || !this.isIdle(polled)) return 0;
    return this.sentWithText(text, polled.lend(text, bytes));
  }

  /** Likewise of an open file, and goes on with it: PolledSocket.sendFileOn(). -1: it can't be. */
  sendFileOn(part: FilePart, onSent: (bytes: number) => void): number {
    if (this.bytes !== null) this.flush();
    const { text, polled } = this;
    if (polled === null || !this.isIdle(polled)) return -1;
    const sent = polled.sendFileOn(text, part, onSent);
    const ofPart = this.sentWithText(text, sent);
    return ofPart > 0 || polled.isSending ? ofPart : -1;
  }

  /** How many of the bytes sent were behind the text. */
  private sentWithText(text: string, sent: number): number {
    if (sent >= text.length) this.drop();
    else if (sent > 0) {
      this.text = text.slice(sent);
      this.pending -= sent;
      this.canTakeBack = false;
    }
    return Math.max(0, sent - text.length);
  }

  /** Its descriptor may be closed. */
  stopFile(): void {
    this.polled?.stopSending();
  }

  /** Bytes of a file that have gone since sendFileOn(). */
  get sentOfFile(): number {
    return this.polled?.sentBytes ?? 0;
  }

  /** lend() and sendFileOn() are worth a try. */
  get sendsFiles(): boolean {
    return this.polled !== null;
  }

  private get isPlainAndIdle(): boolean {
    return !this.keepsBytes && this.directBytes === 0;
  }

  /** Bytes that were written and that the kernel has not taken; of a file on its way, that there are some. */
  get unsent(): number {
    const ofFile = this.polled?.isSending === true ? 1 : 0;
    return this.usesStream ? this.socket.writableLength + this.directBytes + ofFile : ofFile;
  }

  /** Forgets what waits. */
  drop(): void {
    this.pending = 0;
    this.canTakeBack = false;
    this.text = '';
    this.bytes = null;
    this.more = null;
  }
}

interface Gathered {
  readonly pending: number;
  readonly text: string;
  readonly bytes: Uint8Array | null;
  readonly more: readonly (string | Uint8Array)[] | null;
}

function writePiece(socket: Socket, piece: string | Uint8Array): void {
  if (typeof piece === 'string') socket.write(piece, 'latin1');
  else socket.write(piece);
}

function combine(
  buffer: Buffer,
  text: string,
  bytes: Uint8Array,
  more: readonly (string | Uint8Array)[] | null,
): Buffer {
  let at = text === '' ? 0 : buffer.write(text, 0, 'latin1');
  buffer.set(bytes, at);
  at += bytes.length;
  if (more === null) return buffer;
  for (const piece of more) {
    if (typeof piece === 'string') at += buffer.write(piece, at, 'latin1');
    else {
      buffer.set(piece, at);
      at += piece.length;
    }
  }
  return buffer;
}
