// Follows one direction of a WebSocket connection (RFC 6455 section 5.2) far enough to know where a frame
// ends: only there can a Close of our own be put in. Pure.

const CLOSE = 8;

/** "Going away" (RFC 6455 section 7.4.1), unmasked as servers send. */
export const GOING_AWAY = Buffer.from([0x88, 0x02, 0x03, 0xe9]);

export class FrameFollower {
  /** A Close went by: there will be no more frames. */
  closed = false;
  /** Of the frame under way; Infinity where its length can't be. */
  private left = 0;
  /** Of a head that is not whole. */
  private readonly head = new Uint8Array(10);
  private headBytes = 0;

  get isBetween(): boolean {
    return this.left === 0 && this.headBytes === 0;
  }

  follow(bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.left > 0) {
        const here = Math.min(this.left, bytes.length - at);
        this.left -= here;
        at += here;
      } else at = this.readHead(bytes, at);
    }
  }

  private readHead(bytes: Uint8Array, start: number): number {
    let at = start;
    const { head } = this;
    head[this.headBytes++] = bytes[at++]!;
    if (this.headBytes === 1 && at < bytes.length) head[this.headBytes++] = bytes[at++]!;
    if (this.headBytes < 2) return at;
    const short = head[1]! & 0x7f;
    const needed = short < 126 ? 2 : short === 126 ? 4 : 10;
    while (this.headBytes < needed && at < bytes.length) head[this.headBytes++] = bytes[at++]!;
    if (this.headBytes < needed) return at;
    this.headBytes = 0;
    if ((head[0]! & 0x0f) === CLOSE) this.closed = true;
    this.left = lengthOf(head, short) + (head[1]! & 0x80 ? 4 : 0);
    return at;
  }
}

function lengthOf(head: Uint8Array, short: number): number {
  if (short < 126) return short;
  if (short === 126) return head[2]! * 256 + head[3]!;
  let length = 0;
  for (let at = 2; at < 10; at++) length = length * 256 + head[at]!;
  return Number.isSafeInteger(length) ? length : Number.POSITIVE_INFINITY;
}
