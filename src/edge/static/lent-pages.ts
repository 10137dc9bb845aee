// Memory whose pages a socket is lent instead of being given a copy of what is in them.

import { pagesNow } from '../../native/send-now.ts';

/** One of the system's huge pages where it has one: to lend a part of that is one step, not one for each page. */
const SLAB_BYTES = 2 * 1024 * 1024;
/** Two contents in one page would do no harm, but be one page more to lend. */
const PAGE_BYTES = 4096;

/** Filled from front to back, and no byte of it twice: what was lent may still be on its way to a slow client when
 *  its file has changed. The memory is given back as a whole, when nobody refers to it any more. */
export class Slab {
  /** What is still wanted of it had better be put elsewhere. */
  isOver = false;
  private readonly bytes: Buffer;
  private used = 0;
  private contents = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  /** Null: there is no room. */
  take(content: Uint8Array): Buffer | null {
    const end = this.used + content.length;
    if (end > SLAB_BYTES) return null;
    const copy = this.bytes.subarray(this.used, end);
    copy.set(content);
    this.used += inPages(content.length);
    this.contents++;
    return copy;
  }

  /** True: that was the last. */
  giveBack(): boolean {
    this.contents--;
    return this.contents === 0;
  }
}

/** Takes at most 4 MiB more than twice what is in it. */
export class LentPages {
  private readonly slabs = new Set<Slab>();
  private newest: Slab | null = null;
  private bytes = 0;

  /** Null: there is no such memory here. */
  put(content: Uint8Array): { readonly slab: Slab; readonly bytes: Buffer } | null {
    if (content.length > SLAB_BYTES) return null;
    let slab = this.newest;
    let bytes = slab?.take(content) ?? null;
    if (slab === null || bytes === null) {
      slab = this.add();
      bytes = slab?.take(content) ?? null;
    }
    if (slab === null || bytes === null) return null;
    this.bytes += inPages(content.length);
    return { slab, bytes };
  }

  private add(): Slab | null {
    // Of many of them only little is left: all are let go of, and what is asked for is put together anew.
    if (this.slabs.size * SLAB_BYTES > 2 * (this.bytes + SLAB_BYTES)) {
      for (const slab of this.slabs) slab.isOver = true;
      this.slabs.clear();
      this.bytes = 0;
    }
    const bytes = pagesNow(SLAB_BYTES);
    this.newest = bytes === null ? null : new Slab(bytes);
    if (this.newest !== null) this.slabs.add(this.newest);
    return this.newest;
  }

  /** So many bytes are not wanted any more. */
  giveBack(slab: Slab, bytes: number): void {
    if (slab.isOver) return;
    this.bytes -= inPages(bytes);
    if (!slab.giveBack()) return;
    this.slabs.delete(slab);
    if (this.newest === slab) this.newest = null;
  }
}

function inPages(bytes: number): number {
  return Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;
}
