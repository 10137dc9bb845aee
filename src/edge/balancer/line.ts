// Requests that wait in a worker's socket in place of the queue, so that one that takes a single request at a time
// finds the next when it has answered. Only where answers come fast, for requests that can be taken back, and for
// a moment: behind a slow one they come back to the queue. Pure.

import type { Waiter } from './wait-list.ts';

/** Requests that a worker has in its socket at most, beside those it works on. */
export const lineMax = 3;
/** How long one may wait there. */
export const lineMs = 10;
/** Where answers take no longer, others may wait for the next: an average of the last eight or so, for on a busy
 *  machine each may once have to wait for a processor. */
const fastMs = 5;
const averagedOver = 8;
/** Longer ones count as this: a slow one closes the line for a few answers, not for hundreds. */
const countedMsMax = fastMs * averagedOver;

interface Waiting {
  readonly waiter: Waiter;
  readonly sinceMs: number;
}

/** Of one backend that takes its requests in the order they came. */
export class Line {
  private waiting: Waiting[] = [];
  private beganMs = 0;
  private answerMs = Number.POSITIVE_INFINITY;
  /** The request under way is a slow one. */
  private isStuck = false;

  /** Whether one more may wait. */
  get takes(): boolean {
    return !this.isStuck && this.answerMs <= fastMs && this.waiting.length < lineMax;
  }

  get isEmpty(): boolean {
    return this.waiting.length === 0;
  }

  /** The worker begins on a request at once. */
  begin(nowMs: number): void {
    this.beganMs = nowMs;
  }

  join(waiter: Waiter, sinceMs: number): void {
    this.waiting.push({ waiter, sinceMs });
  }

  /** A request is over. False: it had still been waiting. */
  leave(waiter: Waiter, nowMs: number): boolean {
    const at = this.waiting.findIndex((it) => it.waiter === waiter);
    if (at !== -1) {
      this.waiting.splice(at, 1);
      return false;
    }
    const tookMs = Math.min(nowMs - this.beganMs, countedMsMax);
    const isFirst = this.answerMs === Number.POSITIVE_INFINITY;
    this.answerMs = isFirst ? tookMs : this.answerMs + (tookMs - this.answerMs) / averagedOver;
    this.isStuck = false;
    this.beganMs = nowMs;
    this.waiting.shift();
    return true;
  }

  /** Those that have waited for too long, the oldest first. They are in the line until they leave it. */
  overdue(nowMs: number): readonly Waiting[] {
    const late = this.waiting.filter(({ sinceMs }) => nowMs - sinceMs >= lineMs);
    if (late.length > 0) this.isStuck = true;
    return late;
  }
}
