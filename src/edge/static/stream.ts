// Sends parts of an open file in large reads, no faster than the client takes them.

import { read } from 'node:fs';
import { failure } from '../../errors/failure.ts';
import type { Exchange, ExchangeHandler } from '../../http/exchange.ts';
import type { ByteRange } from '../../http/ranges.ts';
import { BLOCK_BYTES, type BlockStore } from './hot-cache.ts';
import type { KeptFile } from './kept-file.ts';
import { closeFile, isStillUnchanged, NO_FILE } from './open-checked.ts';
import type { LocatedFile } from './representation.ts';

/** A read in libuv's threads costs some 20 µs whatever its size; larger ones fall out of the second
 *  level cache between the read and the write. */
const READ_BYTES = 256 * 1024;
/** Parts that are in memory anyway cost nothing while they wait, and each wait costs a turn. */
const QUEUED_BYTES_MAX = 4 * 1024 * 1024;
/** Below this the memory is not used again: the end of the answer may still be on its way. */
const REUSE_BYTES_MIN = 64 * 1024;
/** Buffers kept for the next file: as many as two large downloads use. */
const SPARE_MAX = 8;

const spare: Buffer[] = [];

/** What is sent. */
export interface OpenFile {
  /** NO_FILE: all of it is in `blocks`. */
  readonly fd: number;
  readonly file: LocatedFile;
  /** Parts that are in memory, and where those read are put. */
  readonly blocks: BlockStore | null;
  /** Whose the descriptor is; null: nobody's. */
  readonly kept: KeptFile | null;
}

/** `pieces` are text, or bytes of the file; both ends of a range are included. Takes the file over,
 *  and the exchange, whose head has been sent. */
export function streamFile(
  exchange: Exchange,
  open: OpenFile,
  pieces: readonly (string | ByteRange)[],
): void {
  const stream = new FileStream(exchange, open, pieces);
  exchange.attach(stream);
  stream.start();
}

class FileStream implements ExchangeHandler {
  private readonly exchange: Exchange;
  private readonly open: OpenFile;
  private readonly pieces: readonly (string | ByteRange)[];
  private piece = 0;
  /** Next byte of the file to read. */
  private at = 0;
  /** While one is on its way to the client the next part is read into the other. */
  private readonly buffers: (Buffer | null)[] = [null, null];
  private turn = 0;
  /** Read, and waiting for room. */
  private ready: Uint8Array | null = null;
  /** Parts from memory that were written since there was room. */
  private queuedBytes = 0;
  /** What comes next the kernel has not in memory: it is read. */
  private mustRead = false;
  /** The kernel need not look for it: others have just been sent all of it. */
  private believedUntilMs: number;
  private readonly startedMs: number;
  /** All of it so far was in memory. */
  private wasLookedFor: boolean;
  private isReading = false;
  private isBlocked = false;
  private isOver = false;

  constructor(exchange: Exchange, open: OpenFile, pieces: readonly (string | ByteRange)[]) {
    this.exchange = exchange;
    this.open = open;
    this.pieces = pieces;
    this.at = startOf(pieces[0]);
    this.startedMs = exchange.record.startedMs;
    this.believedUntilMs = open.kept?.inMemoryUntilMs ?? 0;
    this.wasLookedFor = this.believedUntilMs <= this.startedMs;
  }

  start(): void {
    if (!this.isOver) this.next();
  }

  onRequestData(chunk: Uint8Array): void {
    this.exchange.consumed(chunk.length);
  }

  onRequestEnd(): void {}

  onDrain(): void {
    if (this.isOver) return;
    this.isBlocked = false;
    this.queuedBytes = 0;
    const { ready } = this;
    this.ready = null;
    if (ready !== null) this.send(ready);
    else if (!this.isReading) this.next();
  }

  onClose(reason: unknown): void {
    this.isOver = true;
    // After a failure a write may still be looking at them.
    if (reason === null) this.noteInMemory();
    if (reason === null && this.exchange.releasesBytes === true)
      for (const buffer of this.buffers)
        if (buffer !== null && spare.length < SPARE_MAX) spare.push(buffer);
    this.buffers.fill(null);
    if (!this.isReading) this.release();
  }

  /** All of the file was sent, and looked for before. */
  private noteInMemory(): void {
    const { kept, file } = this.open;
    const [whole] = this.pieces;
    if (kept === null || !this.wasLookedFor || typeof whole !== 'object') return;
    if (whole.end - whole.start + 1 === file.stats.size) kept.wasInMemory(this.startedMs);
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
        if (!this.sendPart(piece.end)) return;
        continue;
      }
      this.piece++;
      this.at = startOf(this.pieces[this.piece]);
      if (typeof piece === 'string' && !this.exchange.write(Buffer.from(piece, 'latin1'))) {
        this.isBlocked = true;
        return;
      }
    }
  }

  /** False: what comes next comes later. */
  private sendPart(end: number): boolean {
    if (this.queuedBytes >= QUEUED_BYTES_MAX) {
      // A client that takes all at once: others have their turn before it has more.
      if (!this.isBlocked) setImmediate(() => this.onDrain());
      return false;
    }
    const { fd, blocks } = this.open;
    const isByKernel = fd !== NO_FILE && this.exchange.sendsFiles === true;
    if (isByKernel && !this.mustRead && this.sendFile(fd, end)) return this.at > end;
    if (!isByKernel && blocks !== null) return this.sendBlock(blocks, end);
    this.mustRead = false;
    this.read(Math.min(READ_BYTES, end - this.at + 1));
    return false;
  }

  /** True: all of it was sent, or is on its way. */
  private sendFile(file: number, end: number): boolean {
    const { exchange } = this;
    const believedMs = Math.max(0, Math.floor(this.believedUntilMs - performance.now()));
    const part = { file, offset: this.at, length: end - this.at + 1, believedMs };
    const sent = exchange.sendFileOn!(part, this.onSent);
    if (sent > 0) this.at += sent;
    return sent >= 0;
  }

  private readonly onSent = (bytes: number): void => {
    this.at += bytes;
    const piece = this.pieces[this.piece];
    this.mustRead = typeof piece === 'object' && this.at <= piece.end;
    this.next();
  };

  /** The rest of the part that the next byte is in, as far as it is wanted; read whole if need be.
   *  False: what comes next comes later. */
  private sendBlock(blocks: BlockStore, end: number): boolean {
    const index = Math.floor(this.at / BLOCK_BYTES);
    const start = index * BLOCK_BYTES;
    const block = blocks.get(index);
    if (block === undefined) {
      this.readBlock(blocks, index, end);
      return false;
    }
    const chunk = block.subarray(this.at - start, end - start + 1);
    this.at += chunk.length;
    this.queuedBytes += chunk.length;
    this.isBlocked = !this.exchange.write(chunk);
    return true;
  }

  private readBlock(blocks: BlockStore, index: number, end: number): void {
    const { fd, file } = this.open;
    const start = index * BLOCK_BYTES;
    const bytes = Math.min(BLOCK_BYTES, file.stats.size - start);
    const block = Buffer.allocUnsafeSlow(bytes);
    this.beginRead();
    read(fd, block, 0, bytes, start, (error, bytesRead) => {
      this.isReading = false;
      if (this.isOver) this.release();
      else if (error !== null || bytesRead < bytes) this.onShort(error);
      else {
        // Of a file that was written to in place the parts need not fit each other.
        if (isStillUnchanged(fd, file)) blocks.put(index, block);
        const chunk = block.subarray(this.at - start, end - start + 1);
        this.at += chunk.length;
        if (this.isBlocked) this.ready = chunk;
        else this.send(chunk);
      }
    });
  }

  private onShort(error: NodeJS.ErrnoException | null): void {
    const detail = error === null ? 'it has become shorter' : `reading it failed (${error.code})`;
    this.exchange.fail(failure('FILE_CHANGED', detail, error));
  }

  private read(bytes: number): void {
    const buffer = this.bufferFor(bytes);
    const { fd } = this.open;
    this.beginRead();
    read(fd, buffer, 0, bytes, this.at, (error, bytesRead) => {
      this.isReading = false;
      if (this.isOver) {
        this.release();
        return;
      }
      if (error !== null || bytesRead === 0) {
        this.onShort(error);
        return;
      }
      this.at += bytesRead;
      let chunk = buffer.subarray(0, bytesRead);
      // Of so little nobody says when it has left: a file that is being cut short gives less than asked.
      if (bytesRead < REUSE_BYTES_MIN && bytes >= REUSE_BYTES_MIN) chunk = Buffer.from(chunk);
      if (this.isBlocked) this.ready = chunk;
      else this.send(chunk);
    });
  }

  private send(chunk: Uint8Array): void {
    this.isBlocked = !this.exchange.write(chunk);
    // Also where it is blocked: the next part is read while the client takes this one.
    this.next();
  }

  private beginRead(): void {
    this.isReading = true;
    this.believedUntilMs = 0;
    this.wasLookedFor = false;
  }

  private release(): void {
    const { kept, fd } = this.open;
    if (kept !== null) kept.giveBack(fd);
    else closeFile(fd);
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
