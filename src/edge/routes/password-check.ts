// Whether a password fits a hash: asked of a thread, within limits, and remembered for a while.

import { createHmac, randomBytes } from 'node:crypto';
import type { Worker } from 'node:worker_threads';
import { startThread } from '../../executable/self.ts';

export interface PasswordQuestion {
  readonly id: number;
  readonly hash: string;
  readonly password: Uint8Array;
}

export interface PasswordAnswer {
  readonly id: number;
  readonly fits: boolean;
}

/** Some seconds' work: who comes then is told to come later. */
const WAITING_MAX = 64;
/** A browser sends the password with each request. */
const RIGHT_MS = 5 * 60_000;
/** Who tries the same wrong one again costs nothing. */
const WRONG_MS = 10_000;
const REMEMBERED_MAX = 4_096;

/** 'busy': too many wait already. */
export type Verdict = boolean | 'busy';

export class PasswordCheck {
  private readonly key = randomBytes(32);
  /** By what hash and password make together: until when the outcome holds. */
  private readonly known = new Map<string, { fits: boolean; untilMs: number }>();
  private readonly asked = new Map<string, Promise<Verdict>>();
  private readonly waiting = new Map<number, (fits: boolean) => void>();
  private thread: Worker | null = null;
  private lastId = 0;

  /** At once where it is known. */
  check(hash: string, password: Buffer): Verdict | Promise<Verdict> {
    // What is remembered are no passwords, and how long the look-up takes says nothing about them.
    const mark = createHmac('sha256', this.key)
      .update(`${hash}\n`)
      .update(password)
      .digest('base64');
    const known = this.known.get(mark);
    if (known !== undefined && known.untilMs > performance.now()) return known.fits;
    const asked = this.asked.get(mark);
    if (asked !== undefined) return asked;
    if (this.waiting.size >= WAITING_MAX) return 'busy';
    const verdict = this.ask(hash, password).then((fits) => {
      this.asked.delete(mark);
      if (fits !== 'busy') this.remember(mark, fits);
      return fits;
    });
    this.asked.set(mark, verdict);
    return verdict;
  }

  close(): void {
    void this.thread?.terminate();
    this.onThreadGone();
  }

  private remember(mark: string, fits: boolean): void {
    // Wrong ones come in any number; the oldest leaves first.
    const [oldest] = this.known.keys();
    if (this.known.size >= REMEMBERED_MAX && oldest !== undefined) this.known.delete(oldest);
    this.known.set(mark, { fits, untilMs: performance.now() + (fits ? RIGHT_MS : WRONG_MS) });
  }

  private ask(hash: string, password: Buffer): Promise<Verdict> {
    const id = ++this.lastId;
    const thread = this.running();
    return new Promise((resolve) => {
      this.waiting.set(id, resolve);
      const question: PasswordQuestion = { id, hash, password };
      thread.postMessage(question);
    });
  }

  /** Started with the first password: most edges never see one. */
  private running(): Worker {
    if (this.thread !== null) return this.thread;
    const thread = startThread('password-thread', {
      name: 'portico: passwords',
      env: {},
      execArgv: [],
    });
    thread.unref();
    thread.on('message', ({ id, fits }: PasswordAnswer) => {
      this.waiting.get(id)?.(fits);
      this.waiting.delete(id);
    });
    thread.on('error', () => {});
    thread.on('exit', () => {
      if (this.thread === thread) this.onThreadGone();
    });
    this.thread = thread;
    return thread;
  }

  /** Whoever waits is not let in. */
  private onThreadGone(): void {
    this.thread = null;
    for (const answer of this.waiting.values()) answer(false);
    this.waiting.clear();
  }
}
