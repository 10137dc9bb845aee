// DER read and written as slices.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  bits,
  der,
  inside,
  readAll,
  readOne,
  tagOf,
  time,
  write,
} from '../../src/certificates/der-slices.ts';
import { randomFrom, seed } from '../helpers/random.ts';

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');

test('what is written is read again, at every size of length', () => {
  for (const size of [0, 1, 127, 128, 255, 256, 65_535, 65_536, 200_000]) {
    const inner = write(der.octetString, Buffer.alloc(size, 7));
    const whole = write(der.sequence, inner, write(tagOf(2), inner));
    const [first, second, ...rest] = inside(readOne(whole, der.sequence));
    assert.equal(rest.length, 0);
    assert.equal(first?.content.length, size);
    assert.ok(first.whole.equals(inner));
    assert.ok(inside(second, tagOf(2))[0]?.whole.equals(inner));
  }
  assert.equal(write(der.octetString, Buffer.alloc(128)).subarray(0, 3).toString('hex'), '048180');
  assert.equal(
    write(der.octetString, Buffer.alloc(256)).subarray(0, 4).toString('hex'),
    '04820100',
  );
  assert.deepEqual(readAll(Buffer.alloc(0)), []);
});

test('what is not DER is refused', () => {
  for (const [text, reason] of [
    ['30', /cut off/],
    ['3001', /cut off/],
    ['308201', /length that is none/],
    ['30800000', /length that is none/],
    ['308400000000', /length that is none/],
    ['30810100', /too long/],
    ['3082007f', /too long/],
    ['1f8101 00', /more than one byte/],
    ['3000 00', /behind the end/],
    ['0400', /expected tag 48/],
  ] as const)
    assert.throws(() => readOne(hex(text), der.sequence), reason, text);
});

test('times are to the second and in UTC, bit strings of whole bytes', () => {
  const at = (text: string) => time(readOne(write(0x18, Buffer.from(text)), 0x18));
  assert.equal(at('20261122141500Z'), Date.UTC(2026, 10, 22, 14, 15));
  for (const text of [
    '20261122141500',
    '20261322141500Z',
    '20261122141500.5Z',
    '261122141500Z',
    '',
  ])
    assert.throws(() => at(text), /a time that is none/, text);
  assert.equal(bits(readOne(hex('03020080'), 3)).toString('hex'), '80');
  assert.throws(() => bits(readOne(hex('03020780'), 3)), /within a byte/);
  assert.throws(() => bits(readOne(hex('0300'), 3)), /within a byte/);
});

test(`random bytes are read or refused, within their bounds (FUZZ_SEED=${seed})`, () => {
  const random = randomFrom(seed);
  for (let round = 0; round < 20_000; round++) {
    const bytes = Buffer.from(Array.from({ length: random(24) }, () => random(256)));
    try {
      const values = readAll(bytes);
      assert.ok(Buffer.concat(values.map(({ whole }) => whole)).equals(bytes));
    } catch (error) {
      assert.match((error as Error).message, /cut off|length|more than one byte/);
    }
  }
});
