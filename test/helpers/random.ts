// Random numbers that can be had again: FUZZ_SEED=n repeats a run that failed.

export type Random = (below: number) => number;

/** To be put into the test's name. */
export const seed = Number(process.env.FUZZ_SEED ?? Math.floor(Math.random() * 1e9));

/** Mulberry32: small, and the same on every machine. Whole numbers 0 … below - 1. */
export function randomFrom(start: number): Random {
  let state = start;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}
