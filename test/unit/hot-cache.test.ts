// The cache of hot files keeps to its bytes, and forgets what is not asked for first.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HotCache, type HotFile } from '../../src/edge/static/hot-cache.ts';
import { Seen } from '../../src/edge/static/seen.ts';

const kilo = 1024;

/** Only what the cache looks at. */
function hotFile(key: string, bytes: number): HotFile {
  const plain = { content: null };
  return { key, bytes, plain, coded: [], paths: [], wasUsed: false } as unknown as HotFile;
}

test('memory stays within its limit, and what is asked for stays', () => {
  const cache = new HotCache(1000 * kilo);
  for (let at = 0; at < 1000; at++) {
    const file = hotFile(`k${at}`, 10 * kilo);
    cache.put(file);
    cache.link(`/k${at}`, file);
    assert.ok(cache.usedBytes <= 1000 * kilo);
    const first = cache.find('/k0');
    assert.ok(first, `gone after ${at}`);
    first.wasUsed = true;
  }
  assert.ok(cache.size > 60 && cache.size < 100);
  assert.equal(cache.find('/k1'), undefined);
  assert.equal(cache.get('k1'), undefined);
  assert.ok(cache.find('/k999'));
});

test('no file takes more than a quarter, also when it grows part by part', () => {
  const cache = new HotCache(1000 * kilo);
  const large = hotFile('large', 260 * kilo);
  cache.put(large);
  assert.equal(cache.get('large'), undefined);
  assert.equal(cache.grow(large, 1), false);
  const parts = hotFile('parts', 0);
  cache.put(parts);
  for (let at = 0; at < 20; at++) cache.put(hotFile(`k${at}`, 40 * kilo));
  for (let part = 0; part < 5; part++) {
    cache.grow(parts, 40 * kilo);
    assert.ok(cache.usedBytes <= 1000 * kilo);
  }
});

test('a path leads to one file at a time, and to none once that is dropped', () => {
  const cache = new HotCache(1000 * kilo);
  const a = hotFile('a', 1);
  const b = hotFile('b', 1);
  cache.put(a);
  cache.put(b);
  cache.link('/x', a);
  cache.link('/x', b);
  assert.equal(cache.find('/x'), b);
  cache.drop('a');
  assert.equal(cache.find('/x'), b);
  for (let at = 0; at < 100; at++) cache.link(`/b${at}`, b);
  assert.equal(cache.find('/b99'), undefined);
  cache.dropWhere((key) => key === 'b');
  assert.equal(cache.find('/x'), undefined);
  assert.deepEqual([cache.size, cache.usedBytes], [0, 0]);
  cache.link('/x', b);
  assert.equal(cache.find('/x'), undefined);
});

test('names that were seen are known again, the last many thousand of them', () => {
  const seen = new Seen();
  assert.equal(seen.before('a'), false);
  assert.equal(seen.before('a'), true);
  for (let at = 0; at < 40_000; at++) assert.equal(seen.before(`n${at}`), false);
  assert.equal(seen.before('n39999'), true);
  assert.equal(seen.before('a'), false);
});
