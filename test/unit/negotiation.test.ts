// Accept-Encoding in every form that is met, and which coding it leads to.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { negotiateEncoding } from '../../src/http/negotiation.ts';

const all = ['br', 'zstd', 'gzip'];

test('the coding of highest quality is taken, of equals the server’s first', () => {
  const rows: readonly (readonly [string | undefined, string | null])[] = [
    [undefined, null],
    ['', null],
    ['gzip', 'gzip'],
    ['GZIP', 'gzip'],
    ['gzip, deflate, br, zstd', 'br'],
    ['gzip, deflate, zstd', 'zstd'],
    ['gzip;q=1.0, br;q=0.9', 'gzip'],
    ['gzip;q=0.001', 'gzip'],
    ['br;q=0.5 , gzip ; q=0.501', 'gzip'],
    ['br\t;\tq=0.5,gzip;Q=0.4', 'br'],
    ['x-gzip', 'gzip'],
    ['deflate', null],
    ['*', 'br'],
    ['*;q=0.1, gzip', 'gzip'],
    ['br;q=0, *', 'zstd'],
    ['*;q=0', null],
    ['br;q=0, gzip;q=0', null],
    ['identity', null],
    ['identity, gzip', 'gzip'],
    ['identity;q=0', null],
    ['identity;q=0, gzip', 'gzip'],
    ['identity;q=0, *;q=0', null],
    ['identity;q=1, gzip;q=0.5', null],
    ['identity;q=0.5, gzip;q=0.5', 'gzip'],
    ['identity;q=0.5, *;q=0.4', null],
    [', ,gzip,', 'gzip'],
  ];
  for (const [field, expected] of rows)
    assert.equal(negotiateEncoding(field, all), expected, `${field}`);
});

test('what is no weight makes its element no offer', () => {
  for (const weight of ['q=2', 'q=1.1', 'q=-1', 'q=0.0001', 'q=', 'q', '', 'level=1', 'q=1;q=1'])
    assert.equal(negotiateEncoding(`br;${weight}, gzip;q=0.1`, all), 'gzip', weight);
  for (const name of ['b r', 'br/1', '"br"', '(br)', 'b\u00e9'])
    assert.equal(negotiateEncoding(`${name}, gzip`, all), 'gzip', name);
});

test('only what is offered is chosen, and a long field is not read to its end', () => {
  assert.equal(negotiateEncoding('br, gzip', ['gzip']), 'gzip');
  assert.equal(negotiateEncoding('br', []), null);
  assert.equal(negotiateEncoding('*', []), null);
  const long = `${'x,'.repeat(20_000)}gzip`;
  assert.equal(negotiateEncoding(long, all), null);
  assert.equal(negotiateEncoding(`gzip,${long}`, all), 'gzip');
});
