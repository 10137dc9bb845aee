// What may be stored, for how long it is fresh, and what a later request is given: as tables.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import CachePolicy from 'http-cache-semantics';
import { decide, type Judgement, judge, standsIn } from '../../src/edge/cache/policy.ts';
import { readWants, type Wants } from '../../src/edge/cache/wants.ts';
import type { ClientFacts, Fields } from '../../src/http/exchange.ts';
import { randomFrom, seed } from '../helpers/random.ts';

const nowMs = Date.UTC(2026, 0, 1);
const client: ClientFacts = {
  ...{ address: '192.0.2.1', port: 1, peerAddress: '192.0.2.1', localAddress: '127.0.0.1' },
  ...{ localPort: 80, scheme: 'http', tls: null },
};

function wantsOf(...fields: Fields): Wants {
  return readWants(fields, client);
}

function judged(
  fields: Fields,
  { status = 200, request = [] as Fields, defaultTtlMs = 0, dropSetCookie = false } = {},
): Judgement {
  const wants = wantsOf(...request);
  return judge({ wants, status, fields, nowMs, defaultTtlMs, dropSetCookie });
}

/** Seconds of freshness, or why it is not stored. */
function outcome(judgement: Judgement): number | string {
  if (!judgement.store) return judgement.why;
  const { bornMs, freshForMs } = judgement.freshness;
  return (bornMs + freshForMs - nowMs) / 1000;
}

const inAnHour = new Date(nowMs + 3_600_000).toUTCString();
const date = new Date(nowMs).toUTCString();

const storability: readonly (readonly [Fields, object, number | string])[] = [
  [['Cache-Control', 'max-age=60'], {}, 60],
  [['Cache-Control', 'Max-Age=60'], {}, 60],
  [['Cache-Control', 'max-age=60, s-maxage=5'], {}, 5],
  [['Cache-Control', 'max-age=60', 'Age', '50'], {}, 10],
  [['Expires', inAnHour, 'Date', date], {}, 3600],
  [['Expires', '0', 'ETag', '"a"'], {}, 0],
  [['Cache-Control', 'max-age=99999999999'], {}, 2 ** 31],
  [['Cache-Control', 'max-age=60, must-revalidate'], {}, 60],
  [['Cache-Control', 'max-age=60, proxy-revalidate'], {}, 60],
  [['Cache-Control', 'max-age=60, private'], {}, 'not-storable'],
  [['Cache-Control', 'max-age=60, PRIVATE="x"'], {}, 'not-storable'],
  [['Cache-Control', 'No-Store'], {}, 'not-storable'],
  [['Cache-Control', 'max-age=60; private'], {}, 'garbled'],
  [['Cache-Control', 'max-age=60; public'], {}, 'garbled'],
  [['Cache-Control', 'max-age=60 no-store'], {}, 'garbled'],
  [['Cache-Control', 'public max-age=60 No-Cache, s-maxage=5', 'ETag', '"a"'], {}, 'garbled'],
  [['Cache-Control', 'max-age=60, x="a;b"'], {}, 60],
  [['Cache-Control', 'max-age=60', 'Cache-Control', 'no-store'], {}, 'not-storable'],
  [['Cache-Control', 'no-cache'], {}, 'stale-at-once'],
  [['Cache-Control', 'no-cache', 'ETag', '"a"'], {}, 0],
  [['Pragma', 'no-cache'], {}, 'stale-at-once'],
  [['ETag', '"a"'], {}, 'no-freshness'],
  [['Last-Modified', new Date(0).toUTCString()], {}, 'no-freshness'],
  [[], {}, 'no-freshness'],
  [[], { defaultTtlMs: 1000 }, 1],
  [[], { defaultTtlMs: 1000, status: 404 }, 1],
  [[], { defaultTtlMs: 1000, status: 500 }, 'not-storable'],
  [[], { defaultTtlMs: 1000, status: 302 }, 'not-storable'],
  [[], { defaultTtlMs: 1000, request: ['Cookie', 'a=b'] }, 'personal'],
  [[], { defaultTtlMs: 1000, request: ['Authorization', 'x'] }, 'not-storable'],
  [['Cache-Control', 'public'], { defaultTtlMs: 1000, request: ['Cookie', 'a=b'] }, 1],
  [['Cache-Control', 'private'], { defaultTtlMs: 1000 }, 'not-storable'],
  [['Cache-Control', 'no-cache'], { defaultTtlMs: 1000 }, 'stale-at-once'],
  [['Cache-Control', 'max-age=5'], { status: 206 }, 'not-storable'],
  [['Cache-Control', 'max-age=5'], { status: 500 }, 'not-storable'],
  [['Cache-Control', 'max-age=5'], { status: 418 }, 'not-storable'],
  [['Cache-Control', 'max-age=5'], { status: 301 }, 5],
  [['Cache-Control', 'max-age=5', 'Set-Cookie', 'a=b'], {}, 'set-cookie'],
  [['Cache-Control', 'public, max-age=5', 'Set-Cookie', 'a=b'], {}, 'set-cookie'],
  [['Cache-Control', 'max-age=5', 'Set-Cookie', 'a=b'], { dropSetCookie: true }, 5],
  [['Cache-Control', 'max-age=5'], { request: ['Authorization', 'x'] }, 'not-storable'],
  [['Cache-Control', 'max-age=5, public'], { request: ['Authorization', 'x'] }, 5],
  [['Cache-Control', 's-maxage=5'], { request: ['Authorization', 'x'] }, 5],
  [['Cache-Control', 'max-age=5, must-revalidate'], { request: ['Authorization', 'x'] }, 5],
  [['Cache-Control', 'max-age=5'], { request: ['Cache-Control', 'no-store'] }, 'no-store'],
  [['Cache-Control', 'max-age=5', 'Vary', '*'], {}, 'vary'],
  [['Cache-Control', 'max-age=5', 'Vary', 'Accept, *'], {}, 'vary'],
  [['Cache-Control', 'max-age=5', 'Vary', 'Accept-Encoding'], {}, 5],
];

for (const [fields, options, expected] of storability)
  test(`stored: ${JSON.stringify(fields)} ${JSON.stringify(options)} → ${expected}`, () => {
    assert.equal(outcome(judged(fields, options)), expected);
  });

// Cache-Control of the response, its age in seconds, Cache-Control of the request → the verdict.
const reuse: readonly (readonly [string, number, string, string])[] = [
  ['max-age=60', 0, '', 'fresh'],
  ['max-age=60', 59, '', 'fresh'],
  ['max-age=60', 60, '', 'ask-stale'],
  ['max-age=60, must-revalidate', 59, '', 'fresh'],
  ['max-age=60', 30, 'no-cache', 'ask-request'],
  ['max-age=60', 30, 'max-age=0', 'ask-request'],
  ['max-age=60', 30, 'max-age=40', 'fresh'],
  ['max-age=60', 30, 'min-fresh=20', 'fresh'],
  ['max-age=60', 30, 'min-fresh=40', 'ask-request'],
  ['max-age=60', 70, 'max-stale=20', 'fresh'],
  ['max-age=60', 90, 'max-stale=20', 'ask-stale'],
  ['max-age=60', 9000, 'max-stale', 'fresh'],
  ['s-maxage=60', 70, 'max-stale=20', 'ask-stale'],
  ['max-age=60, must-revalidate', 70, 'max-stale=20', 'ask-stale'],
  ['max-age=60, proxy-revalidate', 70, 'max-stale=20', 'ask-stale'],
  ['max-age=60, stale-while-revalidate=30', 70, '', 'behind'],
  ['max-age=60, stale-while-revalidate=30', 90, '', 'ask-stale'],
  ['s-maxage=60, stale-while-revalidate=30', 70, '', 'behind'],
  ['max-age=60, stale-while-revalidate=30, must-revalidate', 70, '', 'ask-stale'],
  ['max-age=60, stale-while-revalidate=30', 70, 'no-cache', 'ask-request'],
  ['no-cache', 0, '', 'ask-stale'],
  ['max-age=60', 30, 'max-age=x, min-fresh=-1, max-stale=', 'fresh'],
];

for (const [said, age, asked, expected] of reuse)
  test(`reuse: "${said}" after ${age} s for "${asked}" → ${expected}`, () => {
    const judgement = judged(['Cache-Control', said, 'ETag', '"a"']);
    assert.ok(judgement.store);
    const wants = asked === '' ? wantsOf() : wantsOf('Cache-Control', asked);
    assert.equal(decide(judgement.freshness, wants, nowMs + age * 1000), expected);
  });

test('Pragma: no-cache counts only without Cache-Control', () => {
  assert.equal(wantsOf('Pragma', 'no-cache').noCache, true);
  assert.equal(wantsOf('Pragma', 'no-cache', 'Cache-Control', 'max-age=5').noCache, false);
});

test('a stored response stands in for an error as long as stale-if-error says', () => {
  const freshness = (said: string) => {
    const judgement = judged(['Cache-Control', said]);
    assert.ok(judgement.store);
    return judgement.freshness;
  };
  const allowed = freshness('max-age=10, stale-if-error=60');
  assert.equal(standsIn(allowed, nowMs + 69_000), true);
  assert.equal(standsIn(allowed, nowMs + 70_000), false);
  assert.equal(standsIn(freshness('max-age=10'), nowMs + 11_000), false);
  const strict = freshness('max-age=10, stale-if-error=60, must-revalidate');
  assert.equal(standsIn(strict, nowMs + 11_000), false);
});

test(`a hit is given where http-cache-semantics gives one (FUZZ_SEED=${seed})`, () => {
  const random = randomFrom(seed);
  const some = (values: readonly string[], percent: number) =>
    values.filter(() => random(100) < percent).join(', ');
  const said = ['max-age=60', 's-maxage=30', 'public', 'immutable', 'stale-while-revalidate=40'];
  const asked = ['no-cache', random(2) === 0 ? 'max-age=20' : 'max-age=90', 'max-stale=20'];
  const ages = [0, 15, 29, 31, 59, 61, 75, 99, 101];
  let compared = 0;
  for (let round = 0; round < 3000; round++) {
    const response = some(said, 40);
    const request = some(asked, 25);
    const ageMs = ages[random(ages.length)]! * 1000;
    const judgement = judged(['Cache-Control', response, 'ETag', '"a"']);
    if (!judgement.store) continue;
    // To the library max-stale moves s-maxage too; RFC 9111 section 4.2.4 says that it does not. And
    // where both may be stale it does not refresh behind, which is no harm.
    if (/max-stale/.test(request) && /s-maxage|stale-while/.test(response)) continue;
    let clock = nowMs;
    class Policy extends CachePolicy {
      now(): number {
        return clock;
      }
    }
    const ask = { method: 'GET', url: '/', headers: { host: 'a' } };
    const answer = { status: 200, headers: { 'cache-control': response, etag: '"a"' } };
    const options = { shared: true, cacheHeuristic: 0, immutableMinTimeToLive: 0 };
    const policy = new Policy(ask, answer, options);
    clock += ageMs;
    const directives = request === '' ? {} : { 'cache-control': request };
    const theirs = policy.evaluateRequest({ ...ask, headers: { host: 'a', ...directives } });
    const expected =
      theirs.revalidation === undefined ? 'fresh' : theirs.response ? 'behind' : 'ask';
    const wants = request === '' ? wantsOf() : wantsOf('Cache-Control', request);
    const ours = decide(judgement.freshness, wants, clock).replace(/-.*/, '');
    assert.equal(ours, expected, `"${response}" after ${ageMs} ms for "${request}"`);
    compared++;
  }
  assert.ok(compared > 300);
});
