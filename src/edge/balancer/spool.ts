// The whole content of a request, taken in before a worker is claimed: in memory up to a limit,
// then in a temporary file. So a slow upload never holds a worker that does one thing at a time.

import { randomBytes } from 'node:crypto';
import { close, open, read, unlink, writev } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LinkStream } from '../../link/link.ts';

/** Content held in memory. Most forms and JSON documents fit; 1,000 uploads at once cost 64 MB. */
export const spoolMemoryBytesMax = 64 * 1024;
/** Content read from the file ahead of what the worker has taken. */
const readAheadBytes = 512 * 1024;
const readBytes = 64 * 1024;

export interface SpoolEvents {
  /** So many bytes are stored: the client may send as many more. */
  onStored(bytes: number): void;
  /** All of the content is stored. */
  onComplete(): void;
  /** The file system would not. */
  onError(error: Error): void;
}

/** Life: memory → file (once it has grown too large) → closed. */
export class Spool {
  /** Content so far. */
  bytes = 0;

  private readonly events: SpoolEvents;
  private ended = false;
  private closed = false;

  private memory: Buffer = Buffer.alloc(0);
  private memoryBytes = 0;

  private spilled = false;
  private fd = -1;
  /** A call of the file system is under way: the descriptor may not be closed. */
  private busy = false;
  /** Not yet in the file. The exchange is told once they are, so its window bounds them. */
  private pending: Uint8Array[] = [];
  private writtenBytes = 0;
  private toldBytes = 0;

  // Sending: to which stream, how far, and how far the worker has taken it.
  private stream: LinkStream | null = null;
  private sentBytes = 0;
  private takenBytes = 0;

  constructor(events: SpoolEvents) {
    this.events = events;
  }

  add(chunk: Uint8Array): void {
    if (this.closed) return;
    this.bytes += chunk.length;
    if (!this.spilled && this.bytes <= spoolMemoryBytesMax) {
      this.remember(chunk);
      this.tell(this.bytes);
      return;
    }
    if (this.spilled) {
      this.pending.push(chunk);
      this.write();
      return;
    }
    this.spilled = true;
    this.pending = [this.memory.subarray(0, this.memoryBytes), chunk];
    this.memory = Buffer.alloc(0);
    this.openFile();
  }

  end(): void {
    if (this.closed) return;
    this.ended = true;
    if (this.spilled) this.write();
    else this.events.onComplete();
  }

  /** Sends all of it, from the beginning. May be called again for another stream. */
  sendTo(stream: LinkStream): void {
    this.stream = stream;
    this.sentBytes = 0;
    this.takenBytes = 0;
    if (this.spilled) {
      this.read();
      return;
    }
    if (this.memoryBytes > 0) stream.write(this.memory.subarray(0, this.memoryBytes));
    stream.end([]);
  }

  /** The worker took so many bytes. */
  consumed(bytes: number): void {
    this.takenBytes += bytes;
    if (this.spilled) this.read();
  }

  /** The stream it was sent to is over. */
  stop(): void {
    this.stream = null;
  }

  /** Frees memory and file. May be called twice. */
  close(): void {
    this.closed = true;
    this.stream = null;
    this.memory = Buffer.alloc(0);
    this.pending = [];
    if (this.fd === -1 || this.busy) return;
    close(this.fd, () => {});
    this.fd = -1;
  }

  /** Copies into one block that doubles: a piece of one byte costs one byte. */
  private remember(chunk: Uint8Array): void {
    const needed = this.memoryBytes + chunk.length;
    if (needed > this.memory.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed, this.memory.length * 2, 1024));
      larger.set(this.memory.subarray(0, this.memoryBytes));
      this.memory = larger;
    }
    this.memory.set(chunk, this.memoryBytes);
    this.memoryBytes = needed;
  }

  private tell(storedBytes: number): void {
    if (storedBytes <= this.toldBytes) return;
    const news = storedBytes - this.toldBytes;
    this.toldBytes = storedBytes;
    this.events.onStored(news);
  }

  private openFile(): void {
    this.busy = true;
    const path = join(tmpdir(), `portico-${process.pid}-${randomBytes(12).toString('hex')}`);
    // wx: never a file or link that somebody else put there.
    open(path, 'wx+', 0o600, (error, fd) => {
      if (error !== null) {
        this.settle(error);
        return;
      }
      this.fd = fd;
      // Unlinked at once: the space comes back however this process ends.
      unlink(path, (unlinkError) => {
        if (this.settle(unlinkError)) this.write();
      });
    });
  }

  /** Writes what has come, all at once. */
  private write(): void {
    if (this.busy || this.closed) return;
    if (this.pending.length === 0) {
      if (this.ended) this.events.onComplete();
      return;
    }
    const chunks = this.pending;
    this.pending = [];
    let length = 0;
    for (const chunk of chunks) length += chunk.length;
    this.busy = true;
    writev(this.fd, chunks, this.writtenBytes, (error, count) => {
      const short = error === null && count < length ? new Error('the disk is full') : error;
      if (!this.settle(short)) return;
      this.writtenBytes += length;
      this.tell(this.writtenBytes);
      this.write();
    });
  }

  /** Reads on while the worker keeps up. */
  private read(): void {
    const stream = this.stream;
    if (this.busy || this.closed || stream === null) return;
    const start = this.sentBytes;
    const left = this.bytes - start;
    if (left === 0) {
      this.stream = null;
      stream.end([]);
      return;
    }
    if (start - this.takenBytes >= readAheadBytes) return;
    this.busy = true;
    const target = Buffer.allocUnsafe(Math.min(readBytes, left));
    read(this.fd, target, 0, target.length, start, (error, count) => {
      const short = error === null && count === 0 ? new Error('the file is too short') : error;
      if (!this.settle(short)) return;
      // Meanwhile the content may have been sent anew, from the beginning.
      if (this.stream === stream && this.sentBytes === start) {
        this.sentBytes += count;
        stream.write(target.subarray(0, count));
      }
      this.read();
    });
  }

  /** After each call of the file system. False: it is all over. */
  private settle(error: Error | null): boolean {
    this.busy = false;
    if (this.closed) {
      this.close();
      return false;
    }
    if (error === null) return true;
    this.close();
    this.events.onError(error);
    return false;
  }
}
