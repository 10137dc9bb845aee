// The content of a hot file, as it is on disk: moved to where it can be lent when that is first asked for.

import type { Lent, LentPages, Slab } from './lent-pages.ts';

/** Up to here a copy costs less than the pages' being lent. */
export const COPIED_BYTES_MAX = 8 * 1024;

export class HotContent implements Lent {
  /** Nobody writes to them. */
  bytes: Buffer;
  slab: Slab | null = null;
  /** Null: it is not lent, being too small, or no longer kept. */
  private pages: LentPages | null;

  constructor(bytes: Buffer, pages: LentPages) {
    this.bytes = bytes;
    this.pages = bytes.length > COPIED_BYTES_MAX ? pages : null;
  }

  get mayBeLent(): boolean {
    return this.pages !== null;
  }

  /** `bytes`, in pages to be lent; null: they are not. */
  get lendable(): Buffer | null {
    if (this.slab === null && this.pages?.put(this) !== true) this.pages = null;
    return this.slab === null ? null : this.bytes;
  }

  /** It is kept no longer. Who has its bytes may go on with them. */
  close(): void {
    this.pages?.giveBack(this);
    this.pages = null;
  }
}
