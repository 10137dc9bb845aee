// When a certificate is renewed and when a failed try is repeated.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backoffMs, inTurn, mayTry, renewAtMs } from '../../src/edge/acme/schedule.ts';
import { randomFrom, seed } from '../helpers/random.ts';

const hour = 3_600_000;
const day = 24 * hour;
const now = Date.parse('2026-11-22T12:00:00Z');
const ninety = {
  notBeforeMs: now,
  notAfterMs: now + 90 * day,
  window: null,
  obtainedMs: now,
  nowMs: now,
  fraction: 0,
};

test('without a word of the CA a third of the life is left, spread over a fiftieth of it', () => {
  assert.equal(renewAtMs(ninety), now + 60 * day);
  assert.equal(renewAtMs({ ...ninety, fraction: 1 }), now + 61.8 * day);
  const six = { ...ninety, notAfterMs: now + 6 * day };
  assert.equal(renewAtMs(six), now + 4 * day);
});

test('a window of the CA comes before that, as long as a tenth of the life is left', () => {
  const window = { startMs: now + 10 * day, endMs: now + 20 * day };
  assert.equal(renewAtMs({ ...ninety, window, fraction: 0.5 }), now + 15 * day);
  const late = { startMs: now + 200 * day, endMs: now + 201 * day };
  assert.equal(renewAtMs({ ...ninety, window: late }), now + 81 * day);
  const past = { startMs: now - 20 * day, endMs: now - 10 * day };
  assert.equal(renewAtMs({ ...ninety, window: past }), now + hour);
});

test('a certificate that was just had is not replaced at once, whatever the clock says', () => {
  // The clock is a year ahead.
  const nowMs = now + 365 * day;
  const got = { ...ninety, obtainedMs: nowMs, nowMs };
  assert.equal(renewAtMs(got), nowMs + day);
  // It was a year ahead when the certificate was had, and is right now.
  assert.equal(renewAtMs({ ...got, nowMs: now + day }), now + 60 * day);
});

test('failed tries are repeated after 1, 3, 9 … minutes and at last every 6 hours', () => {
  const minutes = Array.from({ length: 8 }, (_, index) =>
    Math.round(backoffMs({ failures: index + 1, retryAfterMs: 0, random: 0.5 }) / 60_000),
  );
  assert.deepEqual(minutes, [1, 3, 9, 27, 81, 243, 360, 360]);
  assert.equal(backoffMs({ failures: 1e9, retryAfterMs: 0, random: 0.5 }), 6 * hour);
});

test('in the first hour there are five tries at most, which is what Let’s Encrypt allows', () => {
  const random = randomFrom(seed);
  const next = () => random(1e6) / 1e6;
  for (let round = 0; round < 1000; round++) {
    let atMs = 0;
    let tries = 0;
    for (; atMs < hour; tries++)
      atMs += backoffMs({ failures: tries + 1, retryAfterMs: 0, random: next() });
    assert.ok(tries <= 5, `${tries} tries with seed ${seed}`);
  }
});

test('the CA’s Retry-After is kept to, up to a day', () => {
  assert.ok(backoffMs({ failures: 1, retryAfterMs: 2 * hour, random: 0 }) >= 2 * hour);
  assert.ok(backoffMs({ failures: 9, retryAfterMs: 1000, random: 0 }) >= 4 * hour);
  const longest = backoffMs({ failures: 1, retryAfterMs: 365 * day, random: 1 });
  assert.ok(longest <= 1.2 * day);
  assert.ok(mayTry(now + longest, now) === false);
});

test('a try that a wrong clock has put off for years may be made', () => {
  assert.equal(mayTry(now + hour, now), false);
  assert.equal(mayTry(now, now), true);
  assert.equal(mayTry(now + 365 * day, now), true);
});

test('after a failure the other kind of challenge comes first', () => {
  assert.deepEqual(inTurn(['a', 'b'], 0), ['a', 'b']);
  assert.deepEqual(inTurn(['a', 'b'], 1), ['b', 'a']);
  assert.deepEqual(inTurn(['a', 'b'], 2), ['a', 'b']);
  assert.deepEqual(inTurn([], 3), []);
});
