// The beginning of a line whose end has not come yet.

const CAPACITY_MIN = 128;

export class PendingLine {
  length = 0;
  private bytes: Buffer;

  constructor(length: number) {
    // Unpooled, so that a slow client pins no 8 KiB slab.
    this.bytes = Buffer.allocUnsafeSlow(Math.max(CAPACITY_MIN, length));
  }

  /** Adds the bytes from `start` on. The caller has seen to the limit. */
  add(chunk: Buffer, start: number): void {
    const total = this.length + chunk.length - start;
    if (total > this.bytes.length) {
      // Doubling keeps a line that comes in single bytes linear.
      const grown = Buffer.allocUnsafeSlow(Math.max(total, this.bytes.length * 2));
      this.bytes.copy(grown, 0, 0, this.length);
      this.bytes = grown;
    }
    chunk.copy(this.bytes, this.length, start);
    this.length = total;
  }

  /** The whole line, with the bytes of `chunk` from `start` to `end`; nothing is left. */
  finish(chunk: Buffer, start: number, end: number): Buffer {
    const line = Buffer.allocUnsafe(this.length + end - start);
    this.bytes.copy(line, 0, 0, this.length);
    chunk.copy(line, this.length, start, end);
    this.length = 0;
    return line;
  }
}
