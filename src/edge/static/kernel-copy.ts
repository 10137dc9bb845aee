// A hot file's content in the kernel's own memory, from where a socket takes it without a copy.

import { close } from 'node:fs';
import { keepNow } from '../../native/send-now.ts';
import { keptDescriptorClosed, mayKeepDescriptor } from './descriptors.ts';

/** Below this a copy costs less than the pages' being lent. */
export const KERNEL_COPY_BYTES_MIN = 64 * 1024;

export class KernelCopy {
  private readonly content: Uint8Array;
  /** Asked once: whether there is room for another so many bytes. */
  private readonly mayKeep: (bytes: number) => boolean;
  /** -1: not made yet, or closed. */
  private file = -1;
  private isOver = false;

  constructor(content: Uint8Array, mayKeep: (bytes: number) => boolean) {
    this.content = content;
    this.mayKeep = mayKeep;
  }

  /** To be used at once: after close() its number is soon another file's. -1: there is none. */
  get descriptor(): number {
    if (this.file === -1 && !this.isOver) this.make();
    return this.file;
  }

  private make(): void {
    if (!mayKeepDescriptor()) return;
    this.file = keepNow(this.content);
    if (this.file === -1) {
      this.isOver = true;
      keptDescriptorClosed();
    } else if (!this.mayKeep(this.content.length)) this.close();
  }

  close(): void {
    this.isOver = true;
    if (this.file === -1) return;
    close(this.file, () => {});
    this.file = -1;
    keptDescriptorClosed();
  }
}
