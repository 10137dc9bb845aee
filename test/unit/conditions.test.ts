// Conditions and their order of precedence, as RFC 9110 section 13 has them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Asked,
  askedNothing,
  askedOf,
  evaluate,
  parseHttpDate,
  rangeApplies,
} from '../../src/http/conditions.ts';

const etag = '"a,b"';
const lastModified = 'Sun, 22 Nov 2026 10:00:00 GMT';
const earlier = 'Sun, 22 Nov 2026 09:59:59 GMT';
const later = 'Sun, 22 Nov 2026 10:00:01 GMT';
const validators = { etag, lastModified };

const asks = (asked: Partial<Asked>): Asked => ({ ...askedNothing, ...asked });

test('the fields are read whatever their case, repeated ones joined', () => {
  const asked = askedOf([
    'host',
    'x',
    'IF-NONE-MATCH',
    '"a"',
    'If-None-Match',
    '"b"',
    'Range',
    'r',
  ]);
  assert.deepEqual(asked, asks({ ifNoneMatch: '"a", "b"', range: 'r' }));
  assert.equal(askedOf(['Host', 'x', 'Accept', '*/*', 'X-If-Match', '*']), askedNothing);
});

test('each condition by itself', () => {
  const rows: readonly (readonly [Partial<Asked>, string])[] = [
    [{}, 'send'],
    [{ ifNoneMatch: etag }, 'not-modified'],
    [{ ifNoneMatch: `W/${etag}` }, 'not-modified'],
    [{ ifNoneMatch: `"x", W/"y" ,${etag}` }, 'not-modified'],
    [{ ifNoneMatch: '*' }, 'not-modified'],
    [{ ifNoneMatch: ' * ' }, 'not-modified'],
    [{ ifNoneMatch: '"a", "b"' }, 'send'],
    [{ ifNoneMatch: 'a,b' }, 'send'],
    [{ ifNoneMatch: '' }, 'send'],
    [{ ifMatch: etag }, 'send'],
    [{ ifMatch: `"x",${etag}` }, 'send'],
    [{ ifMatch: '*' }, 'send'],
    [{ ifMatch: `W/${etag}` }, 'failed'],
    [{ ifMatch: '"x"' }, 'failed'],
    [{ ifMatch: '' }, 'failed'],
    [{ ifModifiedSince: lastModified }, 'not-modified'],
    [{ ifModifiedSince: later }, 'not-modified'],
    [{ ifModifiedSince: earlier }, 'send'],
    [{ ifModifiedSince: 'yesterday' }, 'send'],
    [{ ifUnmodifiedSince: lastModified }, 'send'],
    [{ ifUnmodifiedSince: later }, 'send'],
    [{ ifUnmodifiedSince: earlier }, 'failed'],
    [{ ifUnmodifiedSince: 'yesterday' }, 'send'],
  ];
  for (const [asked, verdict] of rows)
    assert.equal(evaluate(asks(asked), validators), verdict, JSON.stringify(asked));
});

test('the order is If-Match, If-Unmodified-Since, If-None-Match, If-Modified-Since', () => {
  const rows: readonly (readonly [Partial<Asked>, string])[] = [
    [{ ifMatch: etag, ifUnmodifiedSince: earlier }, 'send'],
    [{ ifMatch: '"x"', ifNoneMatch: etag }, 'failed'],
    [{ ifMatch: etag, ifNoneMatch: etag }, 'not-modified'],
    [{ ifUnmodifiedSince: earlier, ifNoneMatch: etag }, 'failed'],
    [{ ifNoneMatch: '"x"', ifModifiedSince: later }, 'send'],
    [{ ifNoneMatch: etag, ifModifiedSince: earlier }, 'not-modified'],
  ];
  for (const [asked, verdict] of rows)
    assert.equal(evaluate(asks(asked), validators), verdict, JSON.stringify(asked));
});

test('a weak validator matches weakly only', () => {
  const weak = { etag: 'W/"a"', lastModified };
  assert.equal(evaluate(asks({ ifNoneMatch: '"a"' }), weak), 'not-modified');
  assert.equal(evaluate(asks({ ifMatch: 'W/"a"' }), weak), 'failed');
  assert.equal(rangeApplies(asks({ range: 'x', ifRange: 'W/"a"' }), weak), false);
});

test('If-Range lets through who has exactly this', () => {
  const rows: readonly (readonly [string | undefined, boolean])[] = [
    [undefined, true],
    [etag, true],
    [` ${etag}`, true],
    [lastModified, true],
    [`W/${etag}`, false],
    ['"x"', false],
    [earlier, false],
    [later, false],
    ['', false],
    ['nonsense', false],
  ];
  for (const [ifRange, applies] of rows)
    assert.equal(rangeApplies(asks({ range: 'bytes=0-1', ifRange }), validators), applies, ifRange);
  assert.equal(rangeApplies(asks({ ifRange: etag }), validators), false);
});

test('dates come in three forms', () => {
  const ms = Date.UTC(1994, 10, 6, 8, 49, 37);
  for (const text of [
    'Sun, 06 Nov 1994 08:49:37 GMT',
    'Sunday, 06-Nov-94 08:49:37 GMT',
    'Sun Nov  6 08:49:37 1994',
  ])
    assert.equal(parseHttpDate(text), ms, text);
  for (const text of [
    '',
    'now',
    '784111777',
    '1994-11-06T08:49:37Z',
    'Sun, 06 Nov 1994 08:49:37 +0100',
    'Sun, 06 Xxx 1994 08:49:37 GMT',
    'Sun, 06 Nov 1994 08:49:37 GMT; length=3',
  ])
    assert.equal(parseHttpDate(text), null, text);
});
