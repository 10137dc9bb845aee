// The content of a hot file, as it is on disk: moved to where it can be lent when that is first asked for.

import type { LentPages, Slab } from './lent-pages.ts';

/** Up to here a copy costs less than the pages' being lent. */
const COPIED_BYTES_MAX = 8 * 1024;

export class HotContent {
  /** Nobody writes to them. */
  bytes: Buffer;
  /** Null: it is not lent, being too small, or no longer kept. */
  private pages: LentPages | null;
  private slab: Slab | null = null;

  constructor(bytes: Buffer, pages: LentPages) {
    this.bytes = bytes;
    this.pages = bytes.length > COPIED_BYTES_MAX ? pages : null;
  }

  get mayBeLent(): boolean {
    return this.pages !== null;
  }

  /** `bytes`, in pages to be lent; null: they are not. */
  get lendable(): Buffer | null {
    if (this.slab === null || this.slab.isOver) this.move();
    return this.slab === null ? null : this.bytes;
  }

  private move(): void {
    const moved = this.pages?.put(this.bytes) ?? null;
    if (moved === null) {
      this.pages = null;
      return;
    }
    this.bytes = moved.bytes;
    this.slab = moved.slab;
  }

  /** It is kept no longer. Who has its bytes may go on with them. */
  close(): void {
    if (this.slab !== null) this.pages?.giveBack(this.slab, this.bytes.length);
    this.slab = null;
    this.pages = null;
  }
}
