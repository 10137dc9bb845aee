// Sends parts of an open file in large reads, no faster than the client takes them.

import { read } from 'node:fs';
import { failure } from '../../errors/failure.ts';
import type { Exchange, ExchangeHandler } from '../../http/exchange.ts';
import type { ByteRange } from '../../http/ranges.ts';
import { closeFile } from './open-checked.ts';

/** A read in libuv's threads costs some 20 µs whatever its size; larger ones fall out of the second
 *  level cache between the read and the write. */
const READ_BYTES = 256 * 1024;
/** Below this the memory is not used again: the end of the answer may still be on its way. */
const REUSE_BYTES_MIN = 64 * 1024;
/** Buffers kept for the next file: as many as two large downloads use. */
const SPARE_MAX = 8;

const spare: Buffer[] = [];

/** `pieces` are text, or bytes of the file; both ends of a range are included. Takes the descriptor
 *  over, and the exchange, whose head has been sent. */
export function streamFile(
  exchange: Exchange,
  fd: number,
  pieces: readonly (string | ByteRange)[],
): void {
  const stream = new FileStream(exchange, fd, pieces);
  exchange.attach(stream);
  stream.start();
}

class FileStream implements ExchangeHandler {
  private readonly exchange: Exchange;
  private readonly fd: number;
  private readonly pieces: readonly (string | ByteRange)[];
  private piece = 0;
  /** Next byte of the file to read. */
  private at = 0;
  /** While one is on its way to the client the next part is read into the other. */
  private readonly buffers: (Buffer | null)[] = [null, null];
  private turn = 0;
  /** Read, and waiting for room. */
  private ready: Uint8Array | null = null;
  private isReading = false;
  private isBlocked = false;
  private isOver = false;

  constructor(exchange: Exchange, fd: number, pieces: readonly (string | ByteRange)[]) {
    this.exchange = exchange;
    this.fd = fd;
    this.pieces = pieces;
    this.at = startOf(pieces[0]);
  }

  start(): void {
    if (!this.isOver) this.next();
  }

  onRequestData(chunk: Uint8Array): void {
    this.exchange.consumed(chunk.length);
  }

  onRequestEnd(): void {}

  onDrain(): void {
    this.isBlocked = false;
    const { ready } = this;
    this.ready = null;
    if (ready !== null) this.send(ready);
    else if (!this.isReading) this.next();
  }

  onClose(reason: unknown): void {
    this.isOver = true;
    // After a failure a write may still be looking at them.
    if (reason === null && this.exchange.releasesBytes === true)
      for (const buffer of this.buffers)
        if (buffer !== null && spare.length < SPARE_MAX) spare.push(buffer);
    this.buffers.fill(null);
    if (!this.isReading) closeFile(this.fd);
  }

  /** Goes on with what comes next: text, a read, or the end. */
  private next(): void {
    while (!this.isOver && !this.isReading) {
      const piece = this.pieces[this.piece];
      if (piece === undefined) {
        this.exchange.end([]);
        return;
      }
      if (typeof piece !== 'string' && this.at <= piece.end) {
        this.read(Math.min(READ_BYTES, piece.end - this.at + 1));
        return;
      }
      this.piece++;
      this.at = startOf(this.pieces[this.piece]);
      if (typeof piece === 'string' && !this.exchange.write(Buffer.from(piece, 'latin1'))) {
        this.isBlocked = true;
        return;
      }
    }
  }

  private read(bytes: number): void {
    const buffer = this.bufferFor(bytes);
    this.isReading = true;
    read(this.fd, buffer, 0, bytes, this.at, (error, bytesRead) => {
      this.isReading = false;
      if (this.isOver) {
        closeFile(this.fd);
        return;
      }
      if (error !== null || bytesRead === 0) {
        const detail =
          error === null ? 'it has become shorter' : `reading it failed (${error.code})`;
        this.exchange.fail(failure('FILE_CHANGED', detail, error));
        return;
      }
      this.at += bytesRead;
      const chunk = buffer.subarray(0, bytesRead);
      if (this.isBlocked) this.ready = chunk;
      else this.send(chunk);
    });
  }

  private send(chunk: Uint8Array): void {
    this.isBlocked = !this.exchange.write(chunk);
    // Also where it is blocked: the next part is read while the client takes this one.
    this.next();
  }

  private bufferFor(bytes: number): Buffer {
    if (this.exchange.releasesBytes !== true || bytes < REUSE_BYTES_MIN)
      return Buffer.allocUnsafeSlow(bytes);
    this.turn = 1 - this.turn;
    this.buffers[this.turn] ??= spare.pop() ?? Buffer.allocUnsafeSlow(READ_BYTES);
    return this.buffers[this.turn]!;
  }
}

function startOf(piece: string | ByteRange | undefined): number {
  return piece === undefined || typeof piece === 'string' ? 0 : piece.start;
}
