// The hsts setting, and which answers carry it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hstsPolicy } from '../../src/config/hsts.ts';
import { Unfit } from '../../src/config/kinds.ts';

test('a time or a field value makes the policy', () => {
  for (const [given, policy] of [
    ['365d', 'max-age=31536000'],
    [300, 'max-age=300'],
    ['0', 'max-age=0'],
    ['max-age=60', 'max-age=60'],
    ['Max-Age=60; INCLUDESUBDOMAINS', 'max-age=60; includeSubDomains'],
    ['365d; includeSubDomains; preload', 'max-age=31536000; includeSubDomains; preload'],
    [null, null],
  ] as const)
    assert.equal(hstsPolicy.read(given), policy);
});

test('what browsers or the preload list would not take is refused', () => {
  for (const given of [
    '',
    'soon',
    'max-age',
    'max-age=1; other',
    'includeSubDomains',
    true,
    '-1',
  ]) {
    assert.ok(hstsPolicy.read(given) instanceof Unfit, String(given));
  }
  for (const given of ['365d; preload', '1d; includeSubDomains; preload']) {
    const read = hstsPolicy.read(given);
    assert.ok(read instanceof Unfit && read.hint.startsWith('preload needs'), given);
  }
});
