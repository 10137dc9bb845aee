// The request parser against tables of good and bad requests, each fed whole and byte by byte.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { catalogue, type FailureCode } from '../../src/errors/catalogue.ts';
import { RequestParser } from '../../src/http/request-parser.ts';
import { everyByte, limits, type Parsed, parse } from '../helpers/parse.ts';

const host = 'Host: a.example\r\n';

/** Parses whole and byte by byte, and expects one result. */
function parseBoth(input: string, own: Partial<typeof limits> = {}): Parsed {
  const whole = parse(input, { limits: own });
  const pieces = parse(input, { limits: own, cuts: everyByte(input) });
  assert.deepEqual(pieces.messages, whole.messages);
  assert.equal(pieces.failure, whole.failure);
  assert.equal(pieces.state, whole.state);
  return whole;
}

interface Good {
  readonly name: string;
  readonly input: string;
  readonly target?: string;
  readonly fields?: readonly string[];
  readonly content?: string;
  readonly trailers?: readonly string[];
  readonly framing?: object;
  readonly limits?: Partial<typeof limits>;
}

const hostField = ['Host', 'a.example'];

const good: readonly Good[] = [
  { name: 'a plain GET', input: `GET /x?y=1 HTTP/1.1\r\n${host}\r\n`, target: '/x?y=1' },
  { name: 'an unusual method', input: `M-SEARCH!#$%&'*+.^_\`|~9 / HTTP/1.1\r\n${host}\r\n` },
  { name: 'a lower-case method is another method', input: `get / HTTP/1.1\r\n${host}\r\n` },
  {
    name: 'four empty lines before the request',
    input: `${'\r\n'.repeat(4)}GET / HTTP/1.1\r\n${host}\r\n`,
  },
  {
    name: 'white space around values is no part of them',
    input: `GET / HTTP/1.1\r\nHost:\t a.example \t\r\nX:\r\nY: \t\r\nZ: a \t b\r\n\r\n`,
    fields: [...hostField, 'X', '', 'Y', '', 'Z', 'a \t b'],
  },
  {
    name: 'bytes above 127 in a value stay as they are',
    input: `GET / HTTP/1.1\r\n${host}X: caf\xc3\xa9 \xff\r\n\r\n`,
    fields: [...hostField, 'X', 'caf\xc3\xa9 \xff'],
  },
  {
    name: 'repeated fields keep their order and spelling',
    input: `GET / HTTP/1.1\r\n${host}X-a: 1\r\nx-A: 2\r\n\r\n`,
    fields: [...hostField, 'X-a', '1', 'x-A', '2'],
  },
  {
    name: 'an IPv6 Host',
    input: 'GET / HTTP/1.1\r\nHost: [::1]:8000\r\n\r\n',
    fields: ['Host', '[::1]:8000'],
  },
  {
    name: 'a Host with percent-encoding and sub-delims',
    input: 'GET / HTTP/1.1\r\nHost: a%41_b!c:80\r\n\r\n',
    fields: ['Host', 'a%41_b!c:80'],
  },
  {
    name: 'a Host with an empty port',
    input: 'GET / HTTP/1.1\r\nHost: a:\r\n\r\n',
    fields: ['Host', 'a:'],
  },
  {
    name: 'HTTP/1.0 without Host',
    input: 'GET / HTTP/1.0\r\n\r\n',
    fields: [],
    framing: { keepAlive: false },
  },
  {
    name: 'HTTP/1.0 that asks for keep-alive',
    input: 'GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n',
    fields: ['Connection', 'Keep-Alive'],
    framing: { keepAlive: true },
  },
  {
    name: 'HTTP/1.0 that asks for both is closed',
    input: 'GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n',
    fields: ['Connection', 'keep-alive, close'],
    framing: { keepAlive: false },
  },
  {
    name: 'close among other options',
    input: `GET / HTTP/1.1\r\n${host}Connection: x ,, CLOSE\t\r\n\r\n`,
    fields: [...hostField, 'Connection', 'x ,, CLOSE'],
    framing: { keepAlive: false },
  },
  {
    name: 'an upgrade that Connection names',
    input: `GET / HTTP/1.1\r\n${host}Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n`,
    fields: [...hostField, 'Connection', 'keep-alive, Upgrade', 'Upgrade', 'websocket'],
    framing: { upgrade: 'websocket', keepAlive: true },
  },
  {
    name: 'an upgrade that Connection does not name is none',
    input: `GET / HTTP/1.1\r\n${host}Upgrade: websocket\r\n\r\n`,
    fields: [...hostField, 'Upgrade', 'websocket'],
    framing: { upgrade: null },
  },
  {
    name: 'an upgrade in HTTP/1.0 is none',
    input: 'GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n',
    fields: ['Connection', 'upgrade', 'Upgrade', 'websocket'],
    framing: { upgrade: null },
  },
  {
    name: 'an absolute target replaces Host',
    input: 'GET HTTP://b.example:81/p?q HTTP/1.1\r\nX: 1\r\nHost: a.example\r\n\r\n',
    target: '/p?q',
    fields: ['X', '1', 'Host', 'b.example:81'],
  },
  {
    name: 'an absolute target replaces an empty Host',
    input: 'GET https://b.example HTTP/1.1\r\nHost:\r\n\r\n',
    target: '/',
    fields: ['Host', 'b.example'],
  },
  {
    name: 'an absolute target with a query and no path',
    input: `GET http://a.example?q HTTP/1.1\r\n${host}\r\n`,
    target: '/?q',
  },
  {
    name: 'an absolute target in HTTP/1.0 makes Host',
    input: 'GET http://b.example/ HTTP/1.0\r\nX: 1\r\n\r\n',
    fields: ['Host', 'b.example', 'X', '1'],
  },
  { name: 'OPTIONS * ', input: `OPTIONS * HTTP/1.1\r\n${host}\r\n`, target: '*' },
  {
    name: 'OPTIONS for a whole server in absolute form',
    input: `OPTIONS http://a.example HTTP/1.1\r\n${host}\r\n`,
    target: '*',
  },
  {
    name: 'CONNECT host:port',
    input: `CONNECT [::1]:443 HTTP/1.1\r\n${host}\r\n`,
    target: '[::1]:443',
  },
  {
    name: 'CONNECT with an empty Host',
    input: 'CONNECT a:443 HTTP/1.1\r\nHost:\r\n\r\n',
    target: 'a:443',
    fields: ['Host', ''],
  },
  {
    name: 'content by length',
    input: `POST / HTTP/1.1\r\n${host}Content-Length: 011\r\n\r\nhello\r\nboys`,
    fields: [...hostField, 'Content-Length', '011'],
    content: 'hello\r\nboys',
    framing: { bodyLength: 11 },
  },
  {
    name: 'content of length 0',
    input: `POST / HTTP/1.1\r\n${host}Content-Length: 0\r\nExpect: 100-continue\r\n\r\n`,
    fields: [...hostField, 'Content-Length', '0', 'Expect', '100-continue'],
    framing: { bodyLength: 0, expectsContinue: false },
  },
  {
    name: 'Expect: 100-continue in any case',
    input: `POST / HTTP/1.1\r\n${host}Content-Length: 1\r\nexpect: 100-Continue\r\n\r\nx`,
    fields: [...hostField, 'Content-Length', '1', 'expect', '100-Continue'],
    content: 'x',
    framing: { expectsContinue: true },
  },
  {
    name: 'Expect in HTTP/1.0 is not heard',
    input: 'POST / HTTP/1.0\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\nx',
    fields: ['Content-Length', '1', 'Expect', '100-continue'],
    content: 'x',
    framing: { expectsContinue: false },
  },
  {
    name: 'chunked content with extensions and trailers',
    input:
      `POST / HTTP/1.1\r\n${host}Transfer-Encoding: CHUNKED\r\n\r\n` +
      '5;a\r\nhello\r\n00A ; b = c;d="\\"x;\t\xff"\r\n0123456789\r\n000;last\r\nX-Sum: 1\r\nY:2\r\n\r\n',
    fields: [...hostField, 'Transfer-Encoding', 'CHUNKED'],
    content: 'hello0123456789',
    trailers: ['X-Sum', '1', 'Y', '2'],
    framing: { bodyLength: 'unknown' },
  },
  {
    name: 'chunked content may be empty',
    input: `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    fields: [...hostField, 'Transfer-Encoding', 'chunked'],
    framing: { bodyLength: 'unknown' },
  },
  {
    name: 'forbidden trailers are dropped, also when spelt with "_"',
    input:
      `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n0\r\n` +
      'Host: b\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nAuthorization: x\r\nX_Forwarded_For: 1\r\n' +
      'Content-Type: a/b\r\nForwarded: for=x\r\nConnection: close\r\nIf-Match: x\r\nCookie: a\r\nok: 1\r\n\r\n',
    fields: [...hostField, 'Transfer-Encoding', 'chunked'],
    trailers: ['ok', '1'],
  },
  {
    name: 'LF alone where the setting permits it',
    input: '\nGET / HTTP/1.1\nHost: a.example\r\nX: 1\n\n',
    fields: [...hostField, 'X', '1'],
    limits: { permitBareLf: true },
  },
  {
    name: 'LF alone before the empty line only',
    input: `GET / HTTP/1.1\r\nHost: a.example\n\r\n`,
    limits: { permitBareLf: true },
  },
  {
    name: 'the longest request line',
    input: `GET /${'x'.repeat(15)} HTTP/1.1\r\n${host}\r\n`,
    target: `/${'x'.repeat(15)}`,
    limits: { requestLineBytes: 29 },
  },
  {
    name: 'as many fields as may be, of the largest size',
    input: `GET / HTTP/1.1\r\n${host}X: 3456789012\r\n\r\n`,
    fields: [...hostField, 'X', '3456789012'],
    limits: { fields: 2, fieldSizeBytes: 15 },
  },
  {
    name: 'content of exactly the limit',
    input: `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n`,
    fields: [...hostField, 'Transfer-Encoding', 'chunked'],
    content: 'abcde',
    limits: { bodyBytes: 5 },
  },
];

describe('a good request is parsed', () => {
  for (const row of good) {
    test(row.name, () => {
      const { messages, failure, state } = parseBoth(row.input, row.limits);
      assert.equal(failure, null);
      assert.equal(state, 'done');
      assert.equal(messages.length, 1);
      const message = messages[0]!;
      assert.equal(message.head.target, row.target ?? '/');
      assert.deepEqual(message.head.fields, row.fields ?? hostField);
      assert.equal(message.content, row.content ?? '');
      assert.deepEqual(message.trailers, row.trailers ?? []);
      assert.deepEqual({ ...message.framing, ...row.framing }, message.framing);
    });
  }
});

const get = 'GET / HTTP/1.1\r\n';
const post = `POST / HTTP/1.1\r\n${host}`;
const chunked = `${post}Transfer-Encoding: chunked\r\n\r\n`;

const bad: readonly [
  name: string,
  input: string,
  code: FailureCode,
  own?: Partial<typeof limits>,
][] = [
  // Request line.
  ['TLS on a plain port', '\x16\x03\x01', 'BAD_METHOD'],
  ['a first byte that no method begins with', '{', 'BAD_METHOD'],
  ['a method that is no token', 'G@T / HTTP/1.1\r\n', 'BAD_METHOD'],
  ['a NUL in the method', 'GE\0T / HTTP/1.1\r\n', 'BAD_METHOD'],
  ['HTTP/0.9', 'GET /\r\n', 'BAD_REQUEST_LINE'],
  ['a lone method', 'GET\r\n', 'BAD_REQUEST_LINE'],
  ['two spaces before the target', 'GET  / HTTP/1.1\r\n', 'BAD_REQUEST_LINE'],
  ['a tab before the target', 'GET\t/ HTTP/1.1\r\n', 'BAD_METHOD'],
  ['two spaces before the version', 'GET /  HTTP/1.1\r\n', 'BAD_REQUEST_LINE'],
  ['a space behind the version', 'GET / HTTP/1.1 \r\n', 'BAD_REQUEST_LINE'],
  ['a lower-case version', 'GET / http/1.1\r\n', 'BAD_REQUEST_LINE'],
  ['a version of two digits', 'GET / HTTP/1.10\r\n', 'BAD_REQUEST_LINE'],
  ['no minor version', 'GET / HTTP/1\r\n', 'BAD_REQUEST_LINE'],
  [
    'no minor version, with LF alone',
    'GET / HTTP/1.\r\n',
    'BAD_REQUEST_LINE',
    { permitBareLf: true },
  ],
  ['a space in the target', 'GET /a b HTTP/1.1\r\n', 'BAD_REQUEST_LINE'],
  ['a request line that ends with LF alone', 'GET / HTTP/1.1\n', 'BAD_REQUEST_LINE'],
  ['a bare CR behind the version', 'GET / HTTP/1.1\r\r\n', 'BAD_REQUEST_LINE'],
  ['a bare CR before the request', '\rGET / HTTP/1.1\r\n', 'BAD_REQUEST_LINE'],
  ['an empty line with LF alone', '\nGET / HTTP/1.1\r\n', 'BAD_REQUEST_LINE'],
  ['five empty lines', '\r\n'.repeat(5), 'BAD_REQUEST_LINE'],
  ['HTTP/2.0', `GET / HTTP/2.0\r\n`, 'BAD_VERSION'],
  ['the HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'BAD_VERSION'],
  ['HTTP/1.2', 'GET / HTTP/1.2\r\n', 'BAD_VERSION'],
  ['HTTP/0.9 by name', 'GET / HTTP/0.9\r\n', 'BAD_VERSION'],
  [
    'a request line over the limit',
    `GET /${'x'.repeat(16)} HTTP/1.1\r\n`,
    'LINE_TOO_LONG',
    { requestLineBytes: 29 },
  ],
  [
    'a request line over the limit, without end',
    `GET /${'x'.repeat(40)}`,
    'LINE_TOO_LONG',
    { requestLineBytes: 29 },
  ],
  [
    'a bad request line over the limit',
    `GET /\0${'x'.repeat(40)}`,
    'LINE_TOO_LONG',
    { requestLineBytes: 29 },
  ],
  // Target.
  ['a control byte in the target', 'GET /\x01 HTTP/1.1\r\n', 'BAD_TARGET'],
  ['a DEL in the target', 'GET /\x7f HTTP/1.1\r\n', 'BAD_TARGET'],
  ['a byte above 127 in the target', 'GET /\xe9 HTTP/1.1\r\n', 'BAD_TARGET'],
  ['a fragment', 'GET /#a HTTP/1.1\r\n', 'BAD_TARGET'],
  ['a target without "/"', 'GET a/b HTTP/1.1\r\n', 'BAD_TARGET'],
  ['GET *', 'GET * HTTP/1.1\r\n', 'BAD_TARGET'],
  ['OPTIONS *x', 'OPTIONS *x HTTP/1.1\r\n', 'BAD_TARGET'],
  ['another scheme', 'GET ftp://a/ HTTP/1.1\r\n', 'BAD_TARGET'],
  ['an absolute target without host', 'GET http:///a HTTP/1.1\r\n', 'BAD_TARGET'],
  [
    'an absolute target with an empty host and a port',
    'GET http://:80/ HTTP/1.1\r\n',
    'BAD_TARGET',
  ],
  ['an absolute target with userinfo', 'GET http://u:p@a/ HTTP/1.1\r\n', 'BAD_TARGET'],
  ['an absolute target with one slash', 'GET http:/a/ HTTP/1.1\r\n', 'BAD_TARGET'],
  ['an absolute target with a bad host', 'GET http://[::1/ HTTP/1.1\r\n', 'BAD_TARGET'],
  [
    'an absolute target with a backslash in its host',
    'GET http://a\\b/ HTTP/1.1\r\n',
    'BAD_TARGET',
  ],
  ['CONNECT with a path', 'CONNECT / HTTP/1.1\r\n', 'BAD_TARGET'],
  ['CONNECT without port', 'CONNECT a HTTP/1.1\r\n', 'BAD_TARGET'],
  ['CONNECT with an empty port', 'CONNECT a: HTTP/1.1\r\n', 'BAD_TARGET'],
  ['GET of an authority', 'GET a:80 HTTP/1.1\r\n', 'BAD_TARGET'],
  // Fields.
  ['a space before the colon', `${get}Host : a\r\n`, 'BAD_FIELD'],
  ['a tab before the colon', `${get}Host\t: a\r\n`, 'BAD_FIELD'],
  ['a folded line', `${get}${host}X: 1\r\n 2\r\n`, 'BAD_FIELD'],
  ['a folded first line', `${get} ${host}`, 'BAD_FIELD'],
  ['a field without colon', `${get}${host}X\r\n`, 'BAD_FIELD'],
  ['a field without name', `${get}${host}: x\r\n`, 'BAD_FIELD'],
  ['a name that is no token', `${get}X(Y): 1\r\n`, 'BAD_FIELD'],
  ['a name above 127', `${get}X\xe9: 1\r\n`, 'BAD_FIELD'],
  ['NUL in a value', `${get}X: a\0b\r\n`, 'BAD_FIELD'],
  ['a control byte in a value', `${get}X: a\x1fb\r\n`, 'BAD_FIELD'],
  ['DEL in a value', `${get}X: a\x7fb\r\n`, 'BAD_FIELD'],
  ['a bare CR in a value', `${get}X: a\rb\r\n`, 'BAD_FIELD'],
  ['a bare CR before the line ending', `${get}X: a\r\r\n`, 'BAD_FIELD'],
  ['a field that ends with LF alone', `${get}X: a\nY: b\r\n`, 'BAD_FIELD'],
  ['a head that ends with LF alone', `${get}${host}\n`, 'BAD_FIELD'],
  ['a bare CR between lines', `${get}${host}\rX: 1\r\n`, 'BAD_FIELD'],
  ['two Content-Type fields', `${post}Content-Type: a/b\r\ncontent-type: a/b\r\n`, 'BAD_FIELD'],
  ['too many fields', `${get}${host}X: 1\r\nY: 1\r\n`, 'FIELDS_TOO_MANY', { fields: 2 }],
  [
    'one field too many that is also bad',
    `${get}${host}X: 1\r\n(: 1\r\n`,
    'FIELDS_TOO_MANY',
    { fields: 2 },
  ],
  [
    'a field over the limit',
    `${get}X: 34567890123456\r\n`,
    'FIELD_TOO_LARGE',
    { fieldSizeBytes: 16 },
  ],
  [
    'a field over the limit, without end',
    `${get}X: ${'x'.repeat(99)}`,
    'FIELD_TOO_LARGE',
    { fieldSizeBytes: 16 },
  ],
  [
    'a bad field over the limit',
    `${get}X\0: ${'x'.repeat(99)}\r\n`,
    'FIELD_TOO_LARGE',
    { fieldSizeBytes: 16 },
  ],
  [
    'a head over the limit for all fields together',
    `${get}${`X: ${'x'.repeat(8000)}\r\n`.repeat(10)}`,
    'FIELD_TOO_LARGE',
  ],
  // Host.
  ['no Host in HTTP/1.1', `${get}\r\n`, 'BAD_HOST'],
  ['no Host in HTTP/1.1 with an absolute target', 'GET http://a/ HTTP/1.1\r\n\r\n', 'BAD_HOST'],
  ['two Host fields', `${get}${host}${host}`, 'BAD_HOST'],
  ['two Host fields in HTTP/1.0', `GET / HTTP/1.0\r\n${host}${host}`, 'BAD_HOST'],
  [
    'two Host fields with an absolute target',
    `GET http://a/ HTTP/1.1\r\n${host}${host}`,
    'BAD_HOST',
  ],
  ['an empty Host', `${get}Host:\r\n\r\n`, 'BAD_HOST'],
  ['a Host list', `${get}Host: a, b\r\n\r\n`, 'BAD_HOST'],
  ['a Host with a path', `${get}Host: a/b\r\n\r\n`, 'BAD_HOST'],
  ['a Host with userinfo', `${get}Host: u@a\r\n\r\n`, 'BAD_HOST'],
  ['a Host with a bad port', `${get}Host: a:8x\r\n\r\n`, 'BAD_HOST'],
  ['a Host with a port over 65535', `${get}Host: a:65536\r\n\r\n`, 'BAD_HOST'],
  ['a Host that is only a port', `${get}Host: :80\r\n\r\n`, 'BAD_HOST'],
  ['a Host with an open bracket', `${get}Host: [::1\r\n\r\n`, 'BAD_HOST'],
  ['a Host with a bad IPv6 address', `${get}Host: [1::2::3]\r\n\r\n`, 'BAD_HOST'],
  ['a Host with an IPv6 zone', `${get}Host: [fe80::1%25eth0]\r\n\r\n`, 'BAD_HOST'],
  ['a Host with IPv6 and no brackets', `${get}Host: ::1\r\n\r\n`, 'BAD_HOST'],
  ['a Host with text behind the bracket', `${get}Host: [::1]x\r\n\r\n`, 'BAD_HOST'],
  ['a Host with a broken percent-encoding', `${get}Host: a%4\r\n\r\n`, 'BAD_HOST'],
  ['a Host above 127', `${get}Host: \xe9\r\n\r\n`, 'BAD_HOST'],
  // Content-Length and Transfer-Encoding.
  ['an empty Content-Length', `${post}Content-Length:\r\n\r\n`, 'BAD_LENGTH'],
  ['a signed Content-Length', `${post}Content-Length: +1\r\n\r\n`, 'BAD_LENGTH'],
  ['a negative Content-Length', `${post}Content-Length: -1\r\n\r\n`, 'BAD_LENGTH'],
  ['a hexadecimal Content-Length', `${post}Content-Length: 0x1\r\n\r\n`, 'BAD_LENGTH'],
  ['a Content-Length list', `${post}Content-Length: 1, 1\r\n\r\n`, 'BAD_LENGTH'],
  ['a Content-Length with a space', `${post}Content-Length: 1 1\r\n\r\n`, 'BAD_LENGTH'],
  [
    'a Content-Length over 2^53 - 1',
    `${post}Content-Length: 9007199254740992\r\n\r\n`,
    'BAD_LENGTH',
  ],
  [
    'a Content-Length of 400 digits',
    `${post}Content-Length: ${'9'.repeat(400)}\r\n\r\n`,
    'BAD_LENGTH',
  ],
  [
    'two Content-Length fields',
    `${post}Content-Length: 1\r\nContent-Length: 2\r\n\r\n`,
    'BAD_LENGTH',
  ],
  [
    'two equal Content-Length fields',
    `${post}Content-Length: 1\r\nContent-Length: 1\r\n\r\n`,
    'BAD_LENGTH',
  ],
  [
    'a CONNECT with content',
    `CONNECT a:1 HTTP/1.1\r\n${host}Content-Length: 1\r\n\r\n`,
    'BAD_LENGTH',
  ],
  [
    'both framings',
    `${post}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`,
    'BAD_TRANSFER_ENCODING',
  ],
  [
    'both framings, the other way round',
    `${post}Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n`,
    'BAD_TRANSFER_ENCODING',
  ],
  [
    'chunked in HTTP/1.0',
    'POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n',
    'BAD_TRANSFER_ENCODING',
  ],
  ['chunked twice', `${post}Transfer-Encoding: chunked, chunked\r\n\r\n`, 'BAD_TRANSFER_ENCODING'],
  [
    'chunked in two fields',
    `${post}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n`,
    'BAD_TRANSFER_ENCODING',
  ],
  ['chunked not last', `${post}Transfer-Encoding: chunked, gzip\r\n\r\n`, 'BAD_TRANSFER_ENCODING'],
  [
    'chunked with a parameter',
    `${post}Transfer-Encoding: chunked;q=1\r\n\r\n`,
    'BAD_TRANSFER_ENCODING',
  ],
  ['chunked in quotes', `${post}Transfer-Encoding: "chunked"\r\n\r\n`, 'BAD_TRANSFER_ENCODING'],
  ['an empty Transfer-Encoding', `${post}Transfer-Encoding:\r\n\r\n`, 'BAD_TRANSFER_ENCODING'],
  [
    'a CONNECT with chunked content',
    `CONNECT a:1 HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n`,
    'BAD_TRANSFER_ENCODING',
  ],
  [
    'another coding before chunked',
    `${post}Transfer-Encoding: gzip, chunked\r\n\r\n`,
    'UNKNOWN_TRANSFER_CODING',
  ],
  ['identity', `${post}Transfer-Encoding: identity\r\n\r\n`, 'UNKNOWN_TRANSFER_CODING'],
  ['a misspelt coding', `${post}Transfer-Encoding: xchunked\r\n\r\n`, 'UNKNOWN_TRANSFER_CODING'],
  ['another expectation', `${post}Expect: 200-ok\r\n\r\n`, 'EXPECTATION_UNKNOWN'],
  [
    'content over the limit by its length',
    `${post}Content-Length: 6\r\n\r\n`,
    'BODY_TOO_LARGE',
    { bodyBytes: 5 },
  ],
  [
    'content over the limit by its chunks',
    `${chunked}2\r\nab\r\n4\r\n`,
    'BODY_TOO_LARGE',
    { bodyBytes: 5 },
  ],
  // Chunks.
  ['a chunk size that is not hexadecimal', `${chunked}x\r\n`, 'BAD_CHUNK'],
  ['a signed chunk size', `${chunked}+5\r\nhello\r\n`, 'BAD_CHUNK'],
  ['a chunk size with 0x', `${chunked}0x5\r\nhello\r\n`, 'BAD_CHUNK'],
  ['an empty chunk size', `${chunked}\r\n`, 'BAD_CHUNK'],
  ['a space before the chunk size', `${chunked} 5\r\nhello\r\n`, 'BAD_CHUNK'],
  ['a space behind the chunk size', `${chunked}5 \r\nhello\r\n`, 'BAD_CHUNK'],
  ['a chunk size that overflows', `${chunked}10000000000000000\r\n`, 'BAD_CHUNK'],
  ['a chunk size of 14 digits', `${chunked}00000000000005\r\nhello`, 'BAD_CHUNK'],
  ['a chunk size line with LF alone', `${chunked}5\nhello\r\n`, 'BAD_CHUNK'],
  [
    'a chunk size line with LF alone, permitted in the head',
    `${chunked}5\nhello\r\n`,
    'BAD_CHUNK',
    { permitBareLf: true },
  ],
  ['a chunk size line with a bare CR', `${chunked}5\r;a\r\nhello\r\n`, 'BAD_CHUNK'],
  ['a chunk without CRLF behind it', `${chunked}5\r\nhelloX\r\n`, 'BAD_CHUNK'],
  ['a chunk with LF alone behind it', `${chunked}5\r\nhello\n0\r\n\r\n`, 'BAD_CHUNK'],
  ['a chunk with CR alone behind it', `${chunked}5\r\nhello\rX`, 'BAD_CHUNK'],
  ['an extension without name', `${chunked}5;\r\nhello\r\n`, 'BAD_CHUNK'],
  ['an extension without value', `${chunked}5;a=\r\nhello\r\n`, 'BAD_CHUNK'],
  ['an extension with an open quote', `${chunked}5;a="b\r\nhello\r\n`, 'BAD_CHUNK'],
  ['an extension with NUL', `${chunked}5;a=\0\r\nhello\r\n`, 'BAD_CHUNK'],
  ['an extension with LF in quotes', `${chunked}5;a="\n"\r\nhello\r\n`, 'BAD_CHUNK'],
  ['a size line over the limit', `${chunked}5;a=${'x'.repeat(5000)}\r\n`, 'BAD_CHUNK'],
  ['a size line over the limit, without end', `${chunked}5;${'x'.repeat(5000)}`, 'BAD_CHUNK'],
  [
    'extensions over the limit in all',
    chunked + `1;${'x'.repeat(4000)}\r\na\r\n`.repeat(5),
    'BAD_CHUNK',
  ],
  // Trailers.
  ['a bad trailer', `${chunked}0\r\nX : 1\r\n`, 'BAD_FIELD'],
  ['a folded trailer', `${chunked}0\r\nX: 1\r\n 2\r\n`, 'BAD_FIELD'],
  ['too many trailers', `${chunked}0\r\n${'X: 1\r\n'.repeat(33)}`, 'FIELDS_TOO_MANY'],
  [
    'trailers over the limit in all',
    `${chunked}0\r\n${`X: ${'x'.repeat(3000)}\r\n`.repeat(3)}`,
    'FIELD_TOO_LARGE',
  ],
];

describe('a bad request is refused', () => {
  for (const [name, input, code, own] of bad) {
    test(name, () => {
      const { failure, state } = parseBoth(input, own);
      assert.equal(state, 'failed');
      assert.equal(failure?.split(':')[0], code, failure ?? '');
      assert.equal(catalogue[code].blame, 'client');
      // One plain line with nothing of the client's but short printable text.
      assert.match(failure!, /^[A-Z_]+: [ -~]{8,160}$/);
    });
  }
});

test('pipelined requests come one after another, with what they belong to', () => {
  const input = `GET /1 HTTP/1.1\r\n${host}\r\n\r\n${post}Content-Length: 2\r\n\r\nab${chunked}1\r\nc\r\n0\r\nX: 1\r\n\r\nGET /4 HTTP/1.1\r\n${host}\r\n`;
  const { messages, failure } = parseBoth(input);
  assert.equal(failure, null);
  assert.deepEqual(
    messages.map(({ head, content, trailers }) => [head.method, head.target, content, trailers]),
    [
      ['GET', '/1', '', []],
      ['POST', '/', 'ab', []],
      ['POST', '/', 'c', ['X', '1']],
      ['GET', '/4', '', []],
    ],
  );
});

test('push stops behind one message and says where the next begins', () => {
  const first = `GET / HTTP/1.1\r\n${host}\r\n`;
  const ended: string[] = [];
  const parser = new RequestParser(limits, {
    onHead: (head) => ended.push(head.target),
    onData: () => {},
    onEnd: () => {},
  });
  const chunk = Buffer.from(`${first}GET /2 HTTP/1.1\r\n${host}\r\n`);
  assert.equal(parser.push(chunk), first.length);
  assert.equal(parser.state, 'done');
  assert.equal(parser.push(chunk, first.length), first.length, 'nothing is taken before next()');
  parser.next();
  assert.equal(parser.state, 'idle');
  assert.equal(parser.push(chunk, first.length), chunk.length);
  assert.deepEqual(ended, ['/', '/2']);
});

test('the state says where in a message the parser is', () => {
  const parser = new RequestParser(limits, { onHead: () => {}, onData: () => {}, onEnd: () => {} });
  const states = [parser.state];
  for (const piece of ['\r\n', 'P', `OST / HTTP/1.1\r\n${host}Content-Length: 1\r\n\r\n`, 'x']) {
    parser.push(Buffer.from(piece));
    states.push(parser.state);
  }
  assert.deepEqual(states, ['idle', 'idle', 'head', 'body', 'done']);
});

test('content arrives as views into the pushed bytes, not as copies', () => {
  const pieces: Buffer[] = [];
  const parser = new RequestParser(limits, {
    onHead: () => {},
    onData: (chunk) => pieces.push(chunk),
    onEnd: () => {},
  });
  const chunk = Buffer.from(`${post}Content-Length: 8\r\n\r\nabcd`);
  parser.push(chunk);
  assert.equal(pieces[0]!.buffer, chunk.buffer);
  const rest = Buffer.from('efgh');
  parser.push(rest);
  assert.equal(pieces[1], rest);
});

test('the content of small chunks comes gathered, before what is wrong behind them too', () => {
  const pieces: string[] = [];
  const parser = new RequestParser(limits, {
    onHead: () => {},
    onData: (chunk) => pieces.push(chunk.toString()),
    onEnd: () => {},
  });
  parser.push(Buffer.from(`${chunked}${'1\r\na\r\n'.repeat(1000)}1\r\n`));
  assert.deepEqual(pieces, ['a'.repeat(1000)]);
  parser.push(Buffer.from('b\r\n3\r\ncde\r\nx'));
  assert.deepEqual(pieces.slice(1), ['bcde']);
  assert.equal(parser.failure?.code, 'BAD_CHUNK');
});

test('a refused head says what was asked, for the log', () => {
  const parser = new RequestParser(limits, { onHead: () => {}, onData: () => {}, onEnd: () => {} });
  parser.push(Buffer.from('GET /where HTTP/1.1\r\nX : 1\r\n\r\n'));
  assert.equal(parser.failure?.code, 'BAD_FIELD');
  assert.equal(parser.started?.method, 'GET');
  assert.equal(parser.started?.target, '/where');
});
