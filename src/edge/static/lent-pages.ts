// Memory whose pages a socket is lent instead of being given a copy of what is in them.

import { pagesNow } from '../../native/send-now.ts';

/** One of the system's huge pages where it has one: to lend a part of that is one step, not one for each page. */
const SLAB_BYTES = 2 * 1024 * 1024;
/** Two contents in one page would do no harm, but be one page more to lend. */
const PAGE_BYTES = 4096;

/** What is kept in such memory; LentPages changes both when it moves it. */
export interface Lent {
  bytes: Buffer;
  slab: Slab | null;
}

/** Filled from front to back, and no byte of it twice: what was lent may still be on its way to a slow client when
 *  its file has changed. The memory is given back as a whole, when nobody refers to it any more. */
export class Slab {
  readonly contents = new Set<Lent>();
  /** Of its contents, in whole pages. */
  wantedBytes = 0;
  private readonly bytes: Buffer;
  private used = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  /** False: there is no room. */
  take(content: Lent): boolean {
    const { length } = content.bytes;
    if (this.used + length > SLAB_BYTES) return false;
    const copy = this.bytes.subarray(this.used, this.used + length);
    copy.set(content.bytes);
    this.used += inPages(length);
    content.bytes = copy;
    content.slab = this;
    this.contents.add(content);
    this.wantedBytes += inPages(length);
    return true;
  }

  giveBack(content: Lent): void {
    this.contents.delete(content);
    this.wantedBytes -= inPages(content.bytes.length);
  }
}

/** Takes at most 8 MiB more than twice what is in it, and what is on its way to clients. */
export class LentPages {
  private readonly slabs = new Set<Slab>();
  private newest: Slab | null = null;
  private wantedBytes = 0;

  /** Moves a content here. False: there is no such memory. */
  put(content: Lent): boolean {
    if (content.bytes.length > SLAB_BYTES || !this.place(content)) return false;
    this.compact();
    return true;
  }

  giveBack(content: Lent): void {
    const { slab } = content;
    if (slab === null) return;
    this.remove(content, slab);
    if (slab.contents.size === 0 && slab !== this.newest) this.slabs.delete(slab);
  }

  private place(content: Lent): boolean {
    if (this.newest?.take(content) !== true) {
      const bytes = pagesNow(SLAB_BYTES);
      if (bytes === null) return false;
      if (this.newest?.contents.size === 0) this.slabs.delete(this.newest);
      this.newest = new Slab(bytes);
      this.slabs.add(this.newest);
      this.newest.take(content);
    }
    this.wantedBytes += inPages(content.bytes.length);
    return true;
  }

  private remove(content: Lent, slab: Slab): void {
    slab.giveBack(content);
    content.slab = null;
    this.wantedBytes -= inPages(content.bytes.length);
  }

  /** Of many slabs only little is wanted: what is left of the emptiest moves on. */
  private compact(): void {
    while (this.slabs.size * SLAB_BYTES > 2 * (this.wantedBytes + 2 * SLAB_BYTES)) {
      const slab = this.emptiest();
      for (const content of slab.contents) {
        this.remove(content, slab);
        // Where there is no memory it stays, as a content that was never lent.
        this.place(content);
      }
      this.slabs.delete(slab);
    }
  }

  private emptiest(): Slab {
    let found: Slab | null = null;
    for (const slab of this.slabs)
      if (slab !== this.newest && (found === null || slab.wantedBytes < found.wantedBytes))
        found = slab;
    return found!;
  }
}

function inPages(bytes: number): number {
  return Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;
}
