// The content of a request that is streamed to a worker, kept as long as the request may have to
// be sent to another.

/** Content kept for a second try. Uploads beyond it are streamed and can't be sent again: 64 KB
 *  is what the common PUT of a form or a JSON document fits in, and 1,000 of them at once cost
 *  64 MB. */
export const replayBytesMax = 64 * 1024;
/** Pieces kept apart. A client that sends single bytes would make each cost a hundred. */
const chunksMax = 64;

export class Replay {
  /** In order, from the first byte. Empty once dropped. */
  chunks: Uint8Array[] = [];
  /** The chunks are all the content that came so far. */
  complete = true;

  private bytes = 0;
  /** Content the worker now at it has taken. */
  private taken = 0;
  /** Content that the exchange has been told is dealt with: never told twice. */
  private credited = 0;
  private readonly keep: boolean;

  /** `keep`: the method allows a second try after a worker has got the request. */
  constructor(keep: boolean) {
    this.keep = keep;
  }

  /** Until the exchange is told that a chunk is dealt with its bytes are ours, so they are kept
   *  where they are, and the exchange's window bounds them. */
  add(chunk: Uint8Array): void {
    if (!this.complete) return;
    this.bytes += chunk.length;
    if (this.credited > 0 && this.bytes > replayBytesMax) {
      this.drop();
      return;
    }
    this.chunks.push(this.credited === 0 ? chunk : chunk.slice());
    if (this.chunks.length > chunksMax) this.chunks = [Buffer.concat(this.chunks)];
  }

  /** The worker took so many bytes. Returns how many the exchange is to be told. */
  consumed(bytes: number): number {
    this.taken += bytes;
    const credit = this.taken - this.credited;
    if (credit <= 0) return 0; // taken again by a second worker
    if (this.credited === 0 && this.complete) {
      if (this.keep && this.bytes <= replayBytesMax) this.chunks = [Buffer.concat(this.chunks)];
      else this.drop();
    }
    this.credited = this.taken;
    return credit;
  }

  /** The content is about to be sent anew. */
  restart(): void {
    this.taken = 0;
  }

  drop(): void {
    this.complete = false;
    this.chunks = [];
  }
}
