// Which backend gets the next request where they have weights: fewest in flight for its weight, and among equals
// each as often as its weight says, evenly spread. Pure.

import type { Candidate } from './policy.ts';

export interface Weighted extends Candidate {
  /** Share of the requests; above 0, and may change (slow start). */
  weight: number;
  /** When its turn is, in a time that each request moves on by 1/weight. */
  turn: number;
}

/** What chooseWeighted() remembers of a pool: when the turn of the last chosen one was. */
export interface TurnClock {
  at: number;
}

/** Index of the backend to use, its turn taken; -1 when none has room. `avoidWorkerId` as in choose(). */
export function chooseWeighted(
  candidates: readonly Weighted[],
  clock: TurnClock,
  avoidWorkerId: number,
): number {
  let best = -1;
  let bestLoad = 0;
  let bestNext = 0;
  let avoided = -1;
  for (let index = 0; index < candidates.length; index++) {
    const candidate = candidates[index]!;
    if (!candidate.takesRequests || candidate.inFlight >= candidate.capacity) continue;
    if (candidate.workerId === avoidWorkerId) {
      if (avoided === -1) avoided = index;
      continue;
    }
    const load = candidate.inFlight / candidate.weight;
    // The middle of its turn: by their ends, all turns of a heavy one would come before the first of a light one.
    const next = nextTurn(candidate, clock) - 0.5 / candidate.weight;
    if (best !== -1 && (load > bestLoad || (load === bestLoad && next >= bestNext))) continue;
    best = index;
    bestLoad = load;
    bestNext = next;
  }
  const index = best === -1 ? avoided : best;
  if (index === -1) return -1;
  const chosen = candidates[index]!;
  const next = nextTurn(chosen, clock);
  clock.at = Math.max(clock.at, next - 1 / chosen.weight);
  chosen.turn = next;
  return index;
}

/** Whoever comes late, or was away, does not make up for it; nor does one pay for a weight that it no longer has. */
function nextTurn(candidate: Weighted, { at }: TurnClock): number {
  const step = 1 / candidate.weight;
  if (candidate.turn > at + step) candidate.turn = at + step;
  return Math.max(candidate.turn + step, at);
}
