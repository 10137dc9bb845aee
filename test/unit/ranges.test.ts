// Range fields of every kind, and the parts they lead to.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { contentRange, multipart, parseRanges, type Ranges } from '../../src/http/ranges.ts';

const pairs = (ranges: Ranges) =>
  typeof ranges === 'string' ? ranges : ranges.map(({ start, end }) => [start, end]);

test('a range is cut to what is there', () => {
  const rows: readonly (readonly [string, unknown])[] = [
    ['bytes=0-0', [[0, 0]]],
    ['bytes=0-', [[0, 999]]],
    ['bytes=2-4', [[2, 4]]],
    ['bytes=990-2000', [[990, 999]]],
    ['bytes=-1', [[999, 999]]],
    ['bytes=-2000', [[0, 999]]],
    ['Bytes = 1-2', [[1, 2]]],
    ['bytes=, 1-2 ,', [[1, 2]]],
    ['bytes=999999999999999999999-', 'none'],
    ['bytes=1000-', 'none'],
    ['bytes=-0', 'none'],
    ['bytes=1000-, -0', 'none'],
    ['bytes=1000-, 5-5', [[5, 5]]],
    ['bytes=0-999999999999999999999999', [[0, 999]]],
  ];
  for (const [field, expected] of rows)
    assert.deepEqual(pairs(parseRanges(field, 1000)), expected, field);
});

test('what is malformed or of another unit is ignored', () => {
  for (const field of [
    '',
    'bytes',
    'bytes=',
    'bytes=,',
    'bytes=-',
    'bytes=4-2',
    'bytes=a-b',
    'bytes=1-2-3',
    'bytes=+1-2',
    'bytes=1.5-2',
    'bytes=0x1-2',
    'bytes=1-2,x',
    'items=0-1',
    'bytes 0-1',
    'bytes=١-٢',
  ])
    assert.equal(parseRanges(field, 1000), 'whole', field);
  assert.equal(parseRanges('bytes=0-', 0), 'whole');
});

test('several ranges keep their order, and are joined where they touch', () => {
  const rows: readonly (readonly [string, unknown])[] = [
    [
      'bytes=0-9,500-509',
      [
        [0, 9],
        [500, 509],
      ],
    ],
    [
      'bytes=500-509,0-9',
      [
        [500, 509],
        [0, 9],
      ],
    ],
    ['bytes=0-9,5-20', [[0, 20]]],
    ['bytes=0-9,10-20', [[0, 20]]],
    ['bytes=0-9,80-90', [[0, 90]]],
    ['bytes=0-9,0-9,0-9', [[0, 9]]],
    [
      'bytes=500-509,0-9,505-600',
      [
        [0, 9],
        [500, 600],
      ],
    ],
    ['bytes=0-,-5,3-4', [[0, 999]]],
  ];
  for (const [field, expected] of rows)
    assert.deepEqual(pairs(parseRanges(field, 1000)), expected, field);
});

test('ranges by the thousand get the whole', () => {
  const many = Array.from({ length: 1000 }, (_, at) => `${at * 1000}-${at * 1000}`).join(',');
  assert.equal(parseRanges(`bytes=${many}`, 1_000_000), 'whole');
  assert.equal(parseRanges(`bytes=${'0-,'.repeat(1000)}`, 1_000_000), 'whole');
  const fifty = Array.from({ length: 50 }, (_, at) => `${at * 1000}-${at * 1000}`).join(',');
  assert.equal(pairs(parseRanges(`bytes=${fifty}`, 1_000_000)).length, 50);
});

test('the parts of a multipart answer add up to its length', () => {
  const content = '0123456789'.repeat(100);
  const ranges = parseRanges('bytes=0-9,500-509,-1', content.length);
  assert.ok(typeof ranges !== 'string');
  const { contentType, contentLength, pieces } = multipart(ranges, {
    size: content.length,
    contentType: 'text/plain',
    boundary: 'B',
  });
  const text = pieces
    .map((piece) => (typeof piece === 'string' ? piece : content.slice(piece.start, piece.end + 1)))
    .join('');
  assert.equal(text.length, contentLength);
  assert.equal(contentType, 'multipart/byteranges; boundary=B');
  const part = (range: string, body: string) =>
    `--B\r\nContent-Type: text/plain\r\nContent-Range: bytes ${range}/1000\r\n\r\n${body}\r\n`;
  const expected = `${part('0-9', '0123456789')}${part('500-509', '0123456789')}${part('999-999', '9')}`;
  assert.equal(text, `${expected}--B--\r\n`);
  assert.equal(contentRange({ start: 1, end: 2 }, 3), 'bytes 1-2/3');
});
