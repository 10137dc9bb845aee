// A clock that jumps from one planned thing to the next.

interface Planned {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

export interface Clock {
  now(): number;
  after(ms: number, run: () => void): void;
  /** Does the next thing planned; false when there is none. */
  step(): boolean;
}

export function createClock(): Clock {
  // A binary heap: earliest first, and what was planned first among equals.
  const heap: Planned[] = [];
  let nowMs = 0;
  let order = 0;
  const isBefore = (a: Planned, b: Planned): boolean =>
    a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);

  function push(item: Planned): void {
    let at = heap.push(item) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(item, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = item;
  }

  function pop(): Planned | undefined {
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
      if (!isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return first;
  }

  return {
    now: () => nowMs,
    after(ms, run) {
      // Never whole milliseconds, as with a real clock.
      push({ atMs: nowMs + ms + (order % 7) / 10, order, run });
      order += 1;
    },
    step() {
      const item = pop();
      if (item === undefined) return false;
      nowMs = item.atMs;
      item.run();
      return true;
    },
  };
}
