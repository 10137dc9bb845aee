// Which backend gets the next request: least in flight, round robin among equals. Pure.

/** What the policy needs to know of a backend: one socket of one worker. */
export interface Candidate {
  readonly workerId: number;
  /** Requests on it now. */
  readonly inFlight: number;
  /** Requests it may have at a time. */
  readonly capacity: number;
  /** False while its link is down, or once its worker was withdrawn. */
  readonly takesRequests: boolean;
}

/** A backend before which requests may wait. */
export interface Lined extends Candidate {
  readonly line: { readonly takes: boolean } | null;
}

/** Index of the backend before which the fewest wait, or -1 when none takes one more. */
export function chooseInLine(candidates: readonly Lined[], avoidWorkerId: number): number {
  let best = -1;
  let bestInFlight = Number.MAX_SAFE_INTEGER;
  for (let index = 0; index < candidates.length; index++) {
    const { line, takesRequests, workerId, inFlight } = candidates[index]!;
    if (line === null || !line.takes || !takesRequests || workerId === avoidWorkerId) continue;
    if (inFlight >= bestInFlight) continue;
    best = index;
    bestInFlight = inFlight;
  }
  return best;
}

/** Index of the backend to use, or -1 when none has room. `start` is where the last choice left
 *  off (its index + 1), so that equals take turns. A retried request gives the worker that failed
 *  it as `avoidWorkerId` (0 = none): that one is chosen only when no other has room. */
export function choose(
  candidates: readonly Candidate[],
  start: number,
  avoidWorkerId: number,
): number {
  const count = candidates.length;
  let best = -1;
  let bestInFlight = Number.MAX_SAFE_INTEGER;
  let avoided = -1;
  let index = start < count ? start : 0;
  for (let step = 0; step < count; step++) {
    const candidate = candidates[index]!;
    if (candidate.takesRequests && candidate.inFlight < candidate.capacity) {
      if (candidate.workerId === avoidWorkerId) {
        if (avoided === -1) avoided = index;
      } else if (candidate.inFlight < bestInFlight) {
        best = index;
        bestInFlight = candidate.inFlight;
        if (bestInFlight === 0) break; // nobody has fewer, and the first found is next in turn
      }
    }
    index = index + 1 === count ? 0 : index + 1;
  }
  return best === -1 ? avoided : best;
}
