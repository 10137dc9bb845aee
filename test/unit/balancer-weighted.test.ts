// Shares of the requests by weight, whatever is in flight.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseWeighted, type Weighted } from '../../src/edge/balancer/weighted.ts';
import { randomFrom, seed } from '../helpers/random.ts';

type Backend = { -readonly [K in keyof Weighted]: Weighted[K] };

function backends(...weights: number[]): Backend[] {
  return weights.map((weight, at) => ({
    ...{ workerId: at + 1, inFlight: 0, capacity: 100, takesRequests: true, weight, turn: 0 },
  }));
}

function sequence(all: Backend[], count: number, clock = { at: 0 }): string {
  return Array.from({ length: count }, () => chooseWeighted(all, clock, 0)).join('');
}

test('one after another: each as often as its weight says, and never in a bunch', () => {
  assert.equal(sequence(backends(2, 1, 1), 8), '01200120');
  assert.match(sequence(backends(5, 1, 1), 7), /^0{2,3}(12|21)0{2,3}$/);
  assert.equal(sequence(backends(1, 1, 1), 6), '012012');
});

test('fewest in flight for its weight comes first', () => {
  const [heavy, light] = backends(3, 1) as [Backend, Backend];
  const clock = { at: 0 };
  for (let n = 0; n < 40; n++) {
    const at = chooseWeighted([heavy, light], clock, 0);
    [heavy, light][at]!.inFlight++;
  }
  assert.deepEqual([heavy.inFlight, light.inFlight], [30, 10]);
  heavy.inFlight = 3;
  assert.equal(chooseWeighted([heavy, light], clock, 0), 0);
});

test('who comes late or was away does not make up for it', () => {
  const all = backends(1, 1);
  const clock = { at: 0 };
  all[1]!.takesRequests = false;
  assert.equal(sequence(all, 50, clock), '0'.repeat(50));
  all[1]!.takesRequests = true;
  assert.match(sequence(all, 10, clock), /^1?(01){4,5}0?$|^1?(10){4,5}1?$/);
});

test('one that failed the request is asked only where no other has room', () => {
  const all = backends(1, 1);
  assert.equal(chooseWeighted(all, { at: 0 }, 1), 1);
  all[1]!.inFlight = 100;
  assert.equal(chooseWeighted(all, { at: 0 }, 1), 0);
  all[0]!.takesRequests = false;
  assert.equal(chooseWeighted(all, { at: 0 }, 1), -1);
  assert.equal(chooseWeighted([], { at: 0 }, 0), -1);
});

test(`shares hold whatever the weights (seed ${seed})`, () => {
  const random = randomFrom(seed);
  for (let round = 0; round < 50; round++) {
    const all = backends(...Array.from({ length: 1 + random(6) }, () => 1 + random(20)));
    const sum = all.reduce((total, { weight }) => total + weight, 0);
    const counts = all.map(() => 0);
    const clock = { at: 0 };
    for (let n = 0; n < sum * 10; n++) counts[chooseWeighted(all, clock, 0)]!++;
    for (const [at, { weight }] of all.entries())
      assert.ok(
        Math.abs(counts[at]! - weight * 10) <= 2,
        `${counts} for ${all.map((it) => it.weight)}`,
      );
  }
});
