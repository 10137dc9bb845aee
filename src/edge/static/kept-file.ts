// The descriptor of a large hot file, kept open from one request to the next (nginx's open_file_cache): to open a file
// and to look where it is costs a tenth of what it takes to send 10 MB.

import { closeFile, isStillUnchanged, openChecked } from './open-checked.ts';
import type { LocatedFile } from './representation.ts';

/** When nobody has asked for it for so long: a file that was removed takes up the disk as long as it is open. */
const UNUSED_MS = 10_000;
/** How long all of it is believed to be in the kernel's memory after it was: to look takes a system call for each
 *  256 KB, together a tenth of what it takes to send them. */
const BELIEVED_MS = 1_000;
/** Descriptors kept in all. */
const KEPT_MAX = 256;

let kept = 0;

export class KeptFile {
  /** Until then nobody need look whether all of it is in the kernel's memory. */
  inMemoryUntilMs = 0;
  private readonly file: LocatedFile;
  /** -1: none is kept. */
  private fd = -1;
  private users = 0;
  private isOver = false;
  private timer: NodeJS.Timeout | null = null;
  private usedAtMs = 0;

  constructor(file: LocatedFile) {
    this.file = file;
  }

  /** To be given back. -1: it is not open, or not what it was. */
  take(nowMs: number): number {
    if (this.fd === -1) return -1;
    if (!isStillUnchanged(this.fd, this.file)) {
      this.close();
      return -1;
    }
    this.users++;
    this.usedAtMs = nowMs;
    return this.fd;
  }

  /** As openChecked(); to be given back. */
  async open(): Promise<number | null> {
    const fd = await openChecked(this.file);
    if (fd === null || this.fd !== -1 || this.isOver || kept >= KEPT_MAX) return fd;
    kept++;
    this.fd = fd;
    this.users++;
    this.usedAtMs = performance.now();
    return fd;
  }

  /** Of all of it, at that time. */
  wasInMemory(nowMs: number): void {
    this.inMemoryUntilMs = nowMs + BELIEVED_MS;
  }

  giveBack(fd: number): void {
    if (fd !== this.fd) {
      closeFile(fd);
      return;
    }
    this.users--;
    if (this.users === 0 && this.isOver) this.closeNow();
    else this.timer ??= this.watch(UNUSED_MS);
  }

  /** No more is kept; whoever uses it goes on. */
  close(): void {
    this.isOver = true;
    if (this.users === 0) this.closeNow();
  }

  private watch(ms: number): NodeJS.Timeout {
    return setTimeout(() => {
      const leftMs = this.usedAtMs + UNUSED_MS - performance.now();
      this.timer = null;
      if (this.users > 0 || leftMs > 0) this.timer = this.watch(Math.max(leftMs, 1000));
      else this.closeNow();
    }, ms).unref();
  }

  private closeNow(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    if (this.fd === -1) return;
    closeFile(this.fd);
    this.fd = -1;
    kept--;
  }
}
