// Takes down the content of a response while it is on its way to a client.

/** First piece of memory where the length is not known. */
const firstBytes = 4096;

export class Recorder {
  length = 0;
  /** Memory that is taken. */
  get capacity(): number {
    return this.buffer.length;
  }
  private buffer: Buffer;
  private readonly bytesMax: number;

  /** `expected`: what Content-Length says, or null. */
  constructor(expected: number | null, bytesMax: number) {
    this.bytesMax = bytesMax;
    this.buffer = Buffer.allocUnsafeSlow(Math.min(bytesMax, expected ?? firstBytes));
  }

  /** Copies: what a link delivers is a view of a read of 64 KB, all of which it would keep alive.
   *  False: too much. */
  add(chunk: Uint8Array): boolean {
    const length = this.length + chunk.length;
    if (length > this.bytesMax) return false;
    if (length > this.buffer.length) this.grow(length);
    this.buffer.set(chunk, this.length);
    this.length = length;
    return true;
  }

  /** The content, in memory of just its size. */
  finish(): Buffer {
    if (this.length === this.buffer.length) return this.buffer;
    const exact = Buffer.allocUnsafeSlow(this.length);
    this.buffer.copy(exact, 0, 0, this.length);
    return exact;
  }

  private grow(atLeast: number): void {
    const larger = Buffer.allocUnsafeSlow(
      Math.min(this.bytesMax, Math.max(2 * this.buffer.length, atLeast)),
    );
    this.buffer.copy(larger, 0, 0, this.length);
    this.buffer = larger;
  }
}
