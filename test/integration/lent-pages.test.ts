// The memory that hot files are lent from: bounded, and no byte of it used twice.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HotContent } from '../../src/edge/static/hot-content.ts';
import { LentPages } from '../../src/edge/static/lent-pages.ts';
import { native, useNative } from '../../src/native/native.ts';
import { randomFrom, seed } from '../helpers/random.ts';

const needsNative = { skip: native === null ? 'needs native/' : false };
const SLAB_BYTES = 2 * 1024 * 1024;
const filled = (value: number, length = 64 * 1024) => Buffer.alloc(length, value);

/** All of it has this value. */
function isAll(value: number, bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === value);
}

test('contents share memory, each in pages of its own', needsNative, () => {
  const pages = new LentPages();
  const [first, second, third] = [
    pages.put(filled(1, 100_000))!,
    pages.put(filled(2, 100_000))!,
    pages.put(filled(3, SLAB_BYTES))!,
  ];
  assert.equal(first.slab, second.slab);
  assert.notEqual(third.slab, first.slab);
  assert.equal(second.bytes.byteOffset - first.bytes.byteOffset, 25 * 4096);
  assert.deepEqual(
    [first, second, third].map(({ bytes }, at) => [bytes.length, isAll(at + 1, bytes)]),
    [100_000, 100_000, SLAB_BYTES].map((length) => [length, true]),
  );
  assert.equal(pages.put(filled(4, SLAB_BYTES + 1)), null);
});

test(
  `no byte is used twice, and the memory stays within twice of what is wanted (seed ${seed})`,
  needsNative,
  () => {
    const random = randomFrom(seed);
    const pages = new LentPages();
    const lent: { readonly value: number; readonly bytes: Buffer }[] = [];
    let kept: HotContent[] = [];
    const stay = new Set<HotContent>();
    const wanted = () =>
      kept.reduce((sum, { bytes }) => sum + Math.ceil(bytes.length / 4096) * 4096, 0);
    for (let count = 0; count < 1500; count++) {
      const value = random(256);
      const content = new HotContent(filled(value, 8193 + random(60_000)), pages);
      lent.push({ value, bytes: content.lendable! });
      kept.push(content);
      // One of many stays for long: that is what leaves holes.
      if (random(30) === 0) stay.add(content);
      kept = kept.filter((other) => {
        const isKept = stay.has(other) || random(5) > 0;
        if (!isKept) other.close();
        return isKept;
      });
      for (const other of kept) assert.ok(other.lendable !== null);
      const slabs = new Set(kept.map(({ bytes }) => bytes.buffer));
      assert.ok(
        slabs.size * SLAB_BYTES <= 2 * wanted() + 3 * SLAB_BYTES,
        `${slabs.size} at ${count}`,
      );
    }
    for (const { value, bytes } of lent) assert.ok(isAll(value, bytes));
  },
);

test(
  'a content moves when it is first to be lent, and stays what it was when it is closed',
  needsNative,
  () => {
    const pages = new LentPages();
    const read = filled(1);
    const content = new HotContent(read, pages);
    assert.ok(content.mayBeLent);
    assert.equal(content.bytes, read);
    const lent = content.lendable!;
    assert.notEqual(lent, read);
    assert.equal(content.lendable, lent);
    assert.equal(content.bytes, lent);
    content.close();
    assert.equal(content.mayBeLent, false);
    assert.equal(content.lendable, null);
    assert.ok(content.bytes.equals(read));
    content.close();
  },
);

test('a small content stays where it is', () => {
  const content = new HotContent(filled(1, 8192), new LentPages());
  assert.equal(content.mayBeLent, false);
  assert.equal(content.lendable, null);
});

test('without native/ nothing is lent', (t) => {
  useNative(false);
  t.after(() => useNative(true));
  const read = filled(1);
  const content = new HotContent(read, new LentPages());
  assert.equal(content.lendable, null);
  assert.equal(content.mayBeLent, false);
  assert.equal(content.bytes, read);
});
