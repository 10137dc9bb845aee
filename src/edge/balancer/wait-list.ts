// A list of waiting requests with a deadline each. Intrusive and doubly linked: joining, leaving
// and being first cost nothing, and a sweep in place of a timer per request finds who is overdue.

import type { Failure } from '../../errors/failure.ts';
import type { Backend } from './backend.ts';
import type { Stick } from './sticky.ts';

/** A request on its way to a worker. It is on one list at most: the queue, or the list of those
 *  that wait for an answer. */
export abstract class Waiter {
  previous: Waiter | null = null;
  next: Waiter | null = null;
  list: WaitList | null = null;
  deadlineMs = 0;
  /** A worker that failed this request; 0 = none. */
  avoidWorkerId = 0;
  /** Where it would like to go; null = anywhere. */
  stick: Stick | null = null;

  /** The backend has been claimed for this request, which releases it when it is over. */
  abstract start(backend: Backend): void;
  /** It may wait at a worker, for it can be taken back: nothing came of it, and nothing changes if it was begun. */
  get canComeBack(): boolean {
    return false;
  }

  /** Leaves the worker at which it waits, for the queue. */
  comeBack(): void {}

  /** The wait was in vain. The waiter is on no list any more. */
  abstract giveUp(failure: Failure): void;
}

export class WaitList {
  first: Waiter | null = null;
  last: Waiter | null = null;
  size = 0;

  push(waiter: Waiter, deadlineMs: number): void {
    waiter.deadlineMs = deadlineMs;
    waiter.list = this;
    waiter.previous = this.last;
    waiter.next = null;
    if (this.last === null) this.first = waiter;
    else this.last.next = waiter;
    this.last = waiter;
    this.size++;
  }

  /** To the front: it has waited before. */
  unshift(waiter: Waiter, deadlineMs: number): void {
    waiter.deadlineMs = deadlineMs;
    waiter.list = this;
    waiter.previous = null;
    waiter.next = this.first;
    if (this.first === null) this.last = waiter;
    else this.first.previous = waiter;
    this.first = waiter;
    this.size++;
  }

  /** Takes the waiter off; nothing happens when it isn't on this list. */
  remove(waiter: Waiter): void {
    if (waiter.list !== this) return;
    if (waiter.previous === null) this.first = waiter.next;
    else waiter.previous.next = waiter.next;
    if (waiter.next === null) this.last = waiter.previous;
    else waiter.next.previous = waiter.previous;
    waiter.previous = null;
    waiter.next = null;
    waiter.list = null;
    this.size--;
  }

  /** Takes off and returns those whose deadline has passed. Looks at all: after a reload that
   *  shortened the wait, the order of arrival is not the order of deadlines. */
  overdue(nowMs: number): Waiter[] {
    const late: Waiter[] = [];
    let waiter = this.first;
    while (waiter !== null) {
      const next: Waiter | null = waiter.next;
      if (waiter.deadlineMs <= nowMs) {
        this.remove(waiter);
        late.push(waiter);
      }
      waiter = next;
    }
    return late;
  }
}
