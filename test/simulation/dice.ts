// Chance as the simulation needs it, from a seed that repeats it.

import { randomFrom } from '../helpers/random.ts';

export interface Dice {
  /** from ≤ n ≤ to, whole. */
  between(from: number, to: number): number;
  chance(probability: number): boolean;
  pick<T>(from: readonly T[]): T;
}

export function diceFrom(seed: number): Dice {
  const below = randomFrom(seed);
  return {
    between: (from, to) => from + below(to - from + 1),
    chance: (probability) => below(2 ** 32) < probability * 2 ** 32,
    pick: (from) => from[below(from.length)]!,
  };
}
