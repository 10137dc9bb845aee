// Which responses are compressed, by their heads, and what their fields become.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  addVary,
  type CompressionRules,
  compressedFields,
  decide,
  type Verdict,
  weaken,
} from '../../src/edge/compression/decide.ts';
import { isCompressible } from '../../src/edge/compression/media-types.ts';
import { remembering } from '../../src/edge/compression/remember.ts';
import type { Fields, HttpVersion } from '../../src/http/exchange.ts';
import { negotiateEncoding } from '../../src/http/negotiation.ts';

const rules: CompressionRules = {
  minBytes: 1024,
  isCompressible: (type) => isCompressible(type, ['application/x-own']),
  negotiate: (accepted) => negotiateEncoding(accepted, ['zstd', 'gzip', 'br']),
};

interface Case {
  readonly method?: string;
  readonly version?: HttpVersion;
  readonly asked?: Fields;
  readonly status?: number;
  readonly fields?: Fields;
}

const html = ['Content-Type', 'text/html; charset=utf-8'];
const gzip = ['Accept-Encoding', 'gzip'];
const browser = ['Accept-Encoding', 'gzip, deflate, br, zstd'];

function verdict(of: Case): string {
  const request = {
    method: of.method ?? 'GET',
    target: '/',
    version: of.version ?? '1.1',
    fields: of.asked ?? gzip,
  };
  return shown(decide(request, of.status ?? 200, of.fields ?? html, rules));
}

function shown(verdict: Verdict): string {
  switch (verdict.kind) {
    case 'compress':
      return `${verdict.encoding} ${verdict.length}`;
    case 'head':
      return `head ${verdict.encoding}`;
    default:
      return verdict.kind;
  }
}

const cases: readonly [string, Case, string][] = [
  ['text of unknown length', {}, 'gzip null'],
  ['text over the size', { fields: [...html, 'Content-Length', '1024'] }, 'gzip 1024'],
  ['text under the size', { fields: [...html, 'content-length', '1023'] }, 'leave'],
  ['an empty answer', { fields: [...html, 'Content-Length', '0'] }, 'leave'],
  ['a length that is none', { fields: [...html, 'Content-Length', 'x'] }, 'leave'],
  ['no content type', { fields: [] }, 'leave'],
  ['an image', { fields: ['Content-Type', 'image/png'] }, 'leave'],
  ['a type of the settings', { fields: ['content-TYPE', 'Application/X-Own'] }, 'gzip null'],
  ['events', { fields: ['Content-Type', 'text/event-stream'] }, 'gzip null'],
  ['an error page', { status: 500 }, 'gzip null'],
  ['204', { status: 204 }, 'leave'],
  ['205', { status: 205 }, 'leave'],
  ['206', { status: 206, fields: [...html, 'Content-Range', 'bytes 0-9/99'] }, 'leave'],
  ['multipart 206', { status: 206 }, 'leave'],
  ['416 with its range', { status: 416, fields: [...html, 'Content-Range', 'bytes */9'] }, 'leave'],
  ['the whole, where a range was asked for', { asked: [...gzip, 'Range', 'bytes=0-9'] }, 'vary'],
  ['encoded already', { fields: [...html, 'Content-Encoding', 'br'] }, 'leave'],
  ['identity, said aloud', { fields: [...html, 'content-encoding', 'identity'] }, 'leave'],
  ['no-transform', { fields: [...html, 'Cache-Control', 'public, No-Transform'] }, 'leave'],
  ['other Cache-Control', { fields: [...html, 'Cache-Control', 'no-store'] }, 'gzip null'],
  ['Content-MD5', { fields: [...html, 'Content-MD5', 'x'] }, 'leave'],
  ['Digest', { fields: [...html, 'Digest', 'sha-256=x'] }, 'leave'],
  ['Content-Digest', { fields: [...html, 'Content-Digest', 'sha-256=:x:'] }, 'leave'],
  ['Repr-Digest', { fields: [...html, 'Repr-Digest', 'sha-256=:x:'] }, 'leave'],
  ['no Accept-Encoding', { asked: [] }, 'vary'],
  ['an empty Accept-Encoding', { asked: ['Accept-Encoding', ''] }, 'vary'],
  ['identity only', { asked: ['Accept-Encoding', 'identity'] }, 'vary'],
  ['gzip refused', { asked: ['Accept-Encoding', 'gzip;q=0, *;q=0'] }, 'vary'],
  ['a browser', { asked: browser }, 'zstd null'],
  ['a browser of before zstd', { asked: ['Accept-Encoding', 'gzip, deflate, br'] }, 'gzip null'],
  ['br liked better', { asked: ['Accept-Encoding', 'gzip;q=0.5, br'] }, 'br null'],
  ['several fields', { asked: ['Accept-Encoding', 'br;q=0.1', ...gzip] }, 'gzip null'],
  ['anything', { asked: ['Accept-Encoding', '*'] }, 'zstd null'],
  ['a client that forbids it', { asked: [...gzip, 'Cache-Control', 'no-transform'] }, 'vary'],
  ['HTTP/1.0', { version: '1.0' }, 'vary'],
  ['HTTP/2', { version: '2.0' }, 'gzip null'],
  ['CONNECT', { method: 'CONNECT' }, 'leave'],
  ['an answer to POST', { method: 'POST' }, 'gzip null'],
  [
    'HEAD over the size',
    { method: 'HEAD', fields: [...html, 'Content-Length', '9999'] },
    'head gzip',
  ],
  ['HEAD under the size', { method: 'HEAD', fields: [...html, 'Content-Length', '99'] }, 'leave'],
  ['HEAD of unknown length', { method: 'HEAD' }, 'head null'],
  ['HEAD, nothing accepted', { method: 'HEAD', asked: [] }, 'vary'],
  ['304', { status: 304, fields: ['ETag', '"a"'] }, 'leave'],
  [
    '304 for the compressed form',
    { status: 304, asked: [...gzip, 'If-None-Match', '"b", W/"a"'], fields: ['ETag', '"a"'] },
    'confirm',
  ],
  [
    '304 for the plain form',
    { status: 304, asked: [...gzip, 'If-None-Match', '"a"'], fields: ['ETag', '"a"'] },
    'leave',
  ],
  [
    '304 with a weak tag',
    { status: 304, asked: [...gzip, 'If-None-Match', 'W/"a"'], fields: ['ETag', 'W/"a"'] },
    'leave',
  ],
];

for (const [what, given, expected] of cases) {
  test(`${what}: ${expected}`, () => assert.equal(verdict(given), expected));
}

test('types that shrink', () => {
  const shrink =
    'text/plain text/x-anything application/json application/problem+json image/svg+xml ' +
    'application/atom+xml application/wasm application/x-ndjson application/javascript';
  const not =
    'image/jpeg video/mp4 audio/ogg font/woff2 application/zip application/pdf application/grpc ' +
    'application/octet-stream multipart/x-mixed-replace text json';
  for (const type of shrink.split(' ')) assert.ok(isCompressible(type, []), type);
  for (const type of not.split(' ')) assert.ok(!isCompressible(type, []), type);
  assert.ok(isCompressible(' Text/HTML ; charset=x', []));
});

test('the fields of a compressed response', () => {
  const before = [
    ...['Content-Length', '5000', 'ETag', '"tag"', 'Accept-Ranges', 'bytes'],
    ...['Vary', 'Cookie', 'X-Other', '1'],
  ];
  assert.deepEqual(compressedFields(before, 'gzip', 700), [
    ...['ETag', 'W/"tag"', 'Vary', 'Cookie, Accept-Encoding', 'X-Other', '1'],
    ...['Content-Encoding', 'gzip', 'Content-Length', '700'],
  ]);
  assert.ok(!compressedFields(before, 'gzip', null).includes('Content-Length'));
  assert.equal(before[1], '5000');
});

test('a weak tag stays, and what is no tag', () => {
  const fields = ['etag', 'W/"a"', 'ETag', 'bare', 'ETAG', '"b"'];
  weaken(fields);
  assert.deepEqual(fields, ['etag', 'W/"a"', 'ETag', 'bare', 'ETAG', 'W/"b"']);
});

test('Vary names Accept-Encoding once', () => {
  const varied = (...fields: Fields): Fields => {
    addVary(fields);
    return fields;
  };
  assert.deepEqual(varied(), ['Vary', 'Accept-Encoding']);
  assert.deepEqual(varied('Vary', '*'), ['Vary', '*']);
  assert.deepEqual(varied('vary', 'accept-ENCODING, Origin'), ['vary', 'accept-ENCODING, Origin']);
  assert.deepEqual(varied('Vary', 'A', 'Vary', 'B'), ['Vary', 'A', 'Vary', 'B, Accept-Encoding']);
  assert.deepEqual(varied('Vary', ''), ['Vary', '', 'Vary', 'Accept-Encoding']);
});

test('answers are remembered, also null, and ever new questions fill no memory', () => {
  const asked: string[] = [];
  const ask = remembering((text) => {
    asked.push(text);
    return text === 'nothing' ? null : text.length;
  });
  for (const text of ['a', 'a', 'nothing', 'nothing']) ask(text);
  assert.deepEqual(asked, ['a', 'nothing']);
  for (let index = 0; index < 1000; index++) assert.equal(ask(`x${index}`), `x${index}`.length);
  ask('x0');
  assert.equal(asked.at(-1), 'x0');
});
