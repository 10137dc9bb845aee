// Thousands of lives of the arbiter, each played from a seed, none of which may break a rule.
// SIMULATION_SEED=n plays one life; SIMULATION_LIVES=n plays so many.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decide } from '../../src/arbiter/decide.ts';
import { live } from './life.ts';

const lives = Number(process.env.SIMULATION_LIVES ?? 300);
const firstSeed = Number(process.env.SIMULATION_SEED ?? Math.floor(Math.random() * 1e9));

test(`no life breaks a rule (${lives} lives from seed ${firstSeed})`, (t) => {
  const codes = new Map<number, number>();
  let decisions = 0;
  let reloads = 0;
  for (let seed = firstSeed; seed < firstSeed + lives; seed += 1) {
    const life = live(seed, decide);
    codes.set(life.exitCode, (codes.get(life.exitCode) ?? 0) + 1);
    decisions += life.decisions;
    reloads += life.reloads;
    assert.ok([0, 3, 4].includes(life.exitCode), `seed ${seed}: exit code ${life.exitCode}`);
  }
  t.diagnostic(
    `${decisions} decisions, ${reloads} reloads, exit codes ${JSON.stringify([...codes])}`,
  );
  // A simulation in which nothing happens finds nothing.
  if (lives >= 100) assert.ok(reloads > lives / 2, `only ${reloads} reloads`);
});
