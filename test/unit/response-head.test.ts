// Response heads: framing, hop-by-hop fields, and what an app may not send.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Failure } from '../../src/errors/failure.ts';
import {
  chunkHead,
  encodeInformational,
  encodeResponseHead,
  lastChunk,
  type ResponseHead,
  type ResponseHeadOptions,
} from '../../src/http/response-head.ts';

const date = 'Sun, 22 Nov 2026 09:00:00 GMT';
const usual: ResponseHeadOptions = {
  method: 'GET',
  version: '1.1',
  status: 200,
  reason: '',
  fields: [],
  keepAlive: true,
  date,
  bodyLength: null,
};

function encode(options: Partial<ResponseHeadOptions>): ResponseHead | Failure {
  return encodeResponseHead({ ...usual, ...options });
}

/** Status line and fields as encoded, without Date. */
function lines(options: Partial<ResponseHeadOptions>): string[] {
  const result = encode(options);
  assert.ok('head' in result, JSON.stringify(result));
  assert.ok(result.head.endsWith('\r\n\r\n'));
  return result.head
    .slice(0, -4)
    .split('\r\n')
    .filter((line) => line !== `Date: ${date}`);
}

const length5 = ['Content-Length', '5'];

describe('the framing is decided by status, method, version and length', () => {
  const rows: readonly [string, Partial<ResponseHeadOptions>, Partial<ResponseHead>, string[]][] = [
    [
      'a length from the app',
      { fields: length5 },
      { framing: 'length', contentLength: 5 },
      ['Content-Length: 5'],
    ],
    [
      'a body at hand',
      { bodyLength: 3 },
      { framing: 'length', contentLength: 3 },
      ['Content-Length: 3'],
    ],
    [
      'an empty body at hand',
      { bodyLength: 0 },
      { framing: 'length', contentLength: 0 },
      ['Content-Length: 0'],
    ],
    [
      'the same length twice',
      { fields: [...length5, ...length5] },
      { framing: 'length' },
      ['Content-Length: 5'],
    ],
    [
      'no length in HTTP/1.1',
      {},
      { framing: 'chunked', keepAlive: true },
      ['Transfer-Encoding: chunked'],
    ],
    [
      'no length in HTTP/1.0',
      { version: '1.0' },
      { framing: 'close', keepAlive: false },
      ['Connection: close'],
    ],
    [
      'a length in HTTP/1.0 that keeps alive',
      { version: '1.0', fields: length5 },
      { framing: 'length', keepAlive: true },
      ['Content-Length: 5', 'Connection: keep-alive'],
    ],
    [
      'a connection that closes',
      { fields: length5, keepAlive: false },
      { keepAlive: false },
      ['Content-Length: 5', 'Connection: close'],
    ],
    [
      'HEAD keeps the length',
      { method: 'HEAD', fields: length5 },
      { framing: 'none', contentLength: 5 },
      ['Content-Length: 5'],
    ],
    ['HEAD without length', { method: 'HEAD' }, { framing: 'none', contentLength: null }, []],
    [
      'HEAD in HTTP/1.0 may keep alive',
      { method: 'HEAD', version: '1.0' },
      { framing: 'none', keepAlive: true },
      ['Connection: keep-alive'],
    ],
    [
      '304 keeps the length',
      { status: 304, fields: length5 },
      { framing: 'none' },
      ['Content-Length: 5'],
    ],
    [
      '304 invents none',
      { status: 304, bodyLength: 0 },
      { framing: 'none', contentLength: null },
      [],
    ],
    [
      '204 has no length',
      { status: 204, fields: ['Content-Length', '0'] },
      { framing: 'none', contentLength: null },
      [],
    ],
  ];
  for (const [name, options, expected, tail] of rows) {
    test(name, () => {
      const result = encode(options);
      assert.deepEqual({ ...result, ...expected }, result);
      assert.deepEqual(lines(options).slice(1), tail);
    });
  }
});

test('Date is added where it is missing, Server never', () => {
  const result = encode({ bodyLength: 0 });
  assert.ok('head' in result);
  assert.equal(result.head, `HTTP/1.1 200 OK\r\nDate: ${date}\r\nContent-Length: 0\r\n\r\n`);
  const own = lines({ bodyLength: 0, fields: ['date', 'x', 'Server', 'app'] });
  assert.deepEqual(own, ['HTTP/1.1 200 OK', 'date: x', 'Server: app', 'Content-Length: 0']);
});

test('the status line has the standard phrase, or the given one', () => {
  assert.equal(lines({ status: 404 })[0], 'HTTP/1.1 404 Not Found');
  assert.equal(lines({ status: 404, reason: 'Gone fishing' })[0], 'HTTP/1.1 404 Gone fishing');
  assert.equal(lines({ status: 799 })[0], 'HTTP/1.1 799 ');
  assert.equal(lines({ version: '1.0' })[0], 'HTTP/1.1 200 OK');
});

test('hop-by-hop fields and those that Connection names are left out', () => {
  const fields = [
    'X-A',
    '1',
    'Connection',
    'close, X-A, Content-Length, X-C',
    'Keep-Alive',
    'timeout=5',
  ];
  fields.push(
    'Transfer-Encoding',
    'gzip',
    'Upgrade',
    'h2c',
    'X-B',
    '2',
    'Set-Cookie',
    'a',
    'Set-Cookie',
    'b',
  );
  fields.push('Content-Length', '1', 'X-C', '3', 'Proxy-Authenticate', 'x', 'Trailer', 'X-T');
  assert.deepEqual(lines({ fields }).slice(1), [
    'X-B: 2',
    'Set-Cookie: a',
    'Set-Cookie: b',
    'Trailer: X-T',
    'Content-Length: 1',
  ]);
});

describe('a head that HTTP does not allow is refused', () => {
  const rows: readonly [string, Partial<ResponseHeadOptions>, string][] = [
    ['CRLF in a value', { fields: ['X', 'a\r\nSet-Cookie: b'] }, 'RESPONSE_INVALID'],
    [
      'a character that is LF in Latin-1',
      { fields: ['X', 'a\u010aSet-Cookie: b'] },
      'RESPONSE_INVALID',
    ],
    ['NUL in a value', { fields: ['X', '\0'] }, 'RESPONSE_INVALID'],
    ['CRLF in a name', { fields: ['X: a\r\nY', 'b'] }, 'RESPONSE_INVALID'],
    ['an empty name', { fields: ['', 'b'] }, 'RESPONSE_INVALID'],
    [
      'CRLF in a field that would be left out',
      { fields: ['Connection', 'a\r\nX: b'] },
      'RESPONSE_INVALID',
    ],
    ['CRLF in the reason', { reason: 'a\r\nX: b' }, 'RESPONSE_INVALID'],
    ['status 99', { status: 99 }, 'RESPONSE_INVALID'],
    ['status 101', { status: 101 }, 'RESPONSE_INVALID'],
    ['status 1000', { status: 1000 }, 'RESPONSE_INVALID'],
    ['status 200.5', { status: 200.5 }, 'RESPONSE_INVALID'],
    ['status NaN', { status: Number.NaN }, 'RESPONSE_INVALID'],
    ['two lengths', { fields: [...length5, 'content-length', '6'] }, 'RESPONSE_INVALID'],
    ['a bad length', { fields: ['Content-Length', '5, 5'] }, 'RESPONSE_INVALID'],
    ["a length that is not the body's", { fields: length5, bodyLength: 4 }, 'RESPONSE_LENGTH'],
  ];
  for (const [name, options, code] of rows) {
    test(name, () => {
      const result = encode(options);
      assert.ok('code' in result);
      assert.equal(result.code, code);
      assert.match(result.detail, /^[ -~]+$/);
    });
  }
});

test('informational responses have no framing', () => {
  assert.equal(encodeInformational(100, []), 'HTTP/1.1 100 Continue\r\n\r\n');
  const link = ['Link', '</a.css>; rel=preload', 'Content-Length', '5', 'Connection', 'x'];
  assert.equal(
    encodeInformational(103, link),
    'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n',
  );
  for (const status of [99, 101, 200, 1.5]) {
    assert.equal((encodeInformational(status, []) as Failure).code, 'RESPONSE_INVALID');
  }
  assert.equal((encodeInformational(103, ['X', 'a\n']) as Failure).code, 'RESPONSE_INVALID');
});

test('chunks and the end of them', () => {
  assert.equal(chunkHead(255), 'ff\r\n');
  assert.equal(lastChunk([]), '0\r\n\r\n');
  assert.equal(
    lastChunk([
      'X-Sum',
      '1',
      'Content-Length',
      '5',
      'X-Bad',
      'a\r\nb',
      'Set-Cookie',
      'x',
      'grpc-status',
      '0',
    ]),
    '0\r\nX-Sum: 1\r\ngrpc-status: 0\r\n\r\n',
  );
});
