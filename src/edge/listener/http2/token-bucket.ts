// Counts what may come in bursts but not for ever.

/** `take` says no once more was taken than the bucket holds and time has put back. */
export class TokenBucket {
  private readonly capacity: number;
  private readonly perMs: number;
  private tokens: number;
  private filledMs: number;

  constructor(capacity: number, perSecond: number, nowMs: number) {
    this.capacity = capacity;
    this.perMs = perSecond / 1000;
    this.tokens = capacity;
    this.filledMs = nowMs;
  }

  take(count: number, nowMs: number): boolean {
    const filled = this.tokens + (nowMs - this.filledMs) * this.perMs;
    this.filledMs = nowMs;
    this.tokens = Math.min(this.capacity, filled) - count;
    return this.tokens >= 0;
  }
}
