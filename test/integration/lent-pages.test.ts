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

function lent(pages: LentPages, value: number, length?: number): HotContent {
  const content = new HotContent(filled(value, length), pages);
  assert.ok(content.lendable !== null);
  return content;
}

test('contents share memory, each in pages of its own', needsNative, () => {
  const pages = new LentPages();
  const all = [100_000, 100_000, SLAB_BYTES].map((length, at) => lent(pages, at, length));
  const [first, second, third] = all.map(({ bytes }) => bytes) as [Buffer, Buffer, Buffer];
  assert.equal(first.buffer, second.buffer);
  assert.notEqual(third.buffer, first.buffer);
  assert.equal(second.byteOffset - first.byteOffset, 25 * 4096);
  assert.ok(all.every(({ bytes }, at) => isAll(at, bytes)));
  assert.equal(new HotContent(filled(4, SLAB_BYTES + 1), pages).lendable, null);
});

test(
  `no byte is used twice, and memory stays within twice of what is wanted (seed ${seed})`,
  needsNative,
  () => {
    const random = randomFrom(seed);
    const pages = new LentPages();
    const once: { readonly value: number; readonly bytes: Buffer }[] = [];
    // One of many stays for long, and nobody asks for it again: that is what leaves holes.
    const stay: { readonly value: number; readonly content: HotContent }[] = [];
    let others: HotContent[] = [];
    for (let count = 0; count < 1500; count++) {
      const value = random(256);
      const content = lent(pages, value, 8193 + random(60_000));
      once.push({ value, bytes: content.bytes });
      if (random(30) === 0) stay.push({ value, content });
      else others.push(content);
      others = others.filter((other) => {
        const isKept = random(5) > 0;
        if (!isKept) other.close();
        return isKept;
      });
      const kept = [...others, ...stay.map((entry) => entry.content)];
      const wanted = kept.reduce(
        (sum, { bytes }) => sum + Math.ceil(bytes.length / 4096) * 4096,
        0,
      );
      const slabs = new Set(kept.map(({ bytes }) => bytes.buffer)).size;
      assert.ok(slabs * SLAB_BYTES <= 2 * wanted + 5 * SLAB_BYTES, `${slabs} at ${count}`);
    }
    for (const { value, bytes } of once) assert.ok(isAll(value, bytes));
    for (const { value, content } of stay) {
      assert.ok(isAll(value, content.bytes));
      assert.equal(content.lendable, content.bytes);
    }
  },
);

test('large contents that take turns leave no memory behind small ones', needsNative, () => {
  const pages = new LentPages();
  const small: HotContent[] = [];
  let large: HotContent | null = null;
  for (let count = 0; count < 200; count++) {
    small.push(lent(pages, 1, 10_000));
    large?.close();
    large = lent(pages, 2, 1_990_000);
  }
  const slabs = new Set(small.map(({ bytes }) => bytes.buffer)).size;
  assert.ok(slabs <= 9, `${slabs}`);
  assert.ok(small.every(({ bytes }) => isAll(1, bytes)));
});

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
