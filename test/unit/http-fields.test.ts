// Field lists, hosts, targets and byte classes.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  fieldNameValid,
  fieldValue,
  fieldValues,
  fieldValueValid,
  isForbiddenTrailer,
  isHopByHop,
  isHopByHopName,
  namedByConnection,
} from '../../src/http/fields.ts';
import { authorityValid, hostValid, portOf } from '../../src/http/host.ts';
import { normalizePath } from '../../src/http/target.ts';
import { excerpt } from '../../src/http/tokens.ts';

test('fields are found whatever their case', () => {
  const fields = ['X-A', '1', 'x-b', '2', 'x-a', '3'];
  assert.equal(fieldValue(fields, 'x-a'), '1');
  assert.equal(fieldValues(fields, 'x-a'), '1, 3');
  assert.equal(fieldValue(fields, 'x-c'), undefined);
  assert.equal(fieldValues(fields, 'x-c'), undefined);
});

test('no visible character passes for another when case is ignored', () => {
  for (let code = 33; code < 127; code++) {
    const name = `x${String.fromCharCode(code)}`;
    const expected = name.toLowerCase() === 'x-';
    assert.equal(fieldValue([name, ''], 'x-') !== undefined, expected, name);
  }
});

test('hop-by-hop fields are known whatever their case', () => {
  const names = [
    'Connection',
    'Keep-Alive',
    'Proxy-Connection',
    'TE',
    'Transfer-Encoding',
    'Upgrade',
  ];
  names.push(
    'Proxy-Authenticate',
    'Proxy-Authorization',
    'HTTP2-Settings',
    'proxy-authentication-info',
  );
  for (const name of names) {
    assert.ok(isHopByHop(name.toLowerCase()), name);
    assert.ok(isHopByHopName(name), name);
    assert.ok(isHopByHopName(name.toUpperCase()), name);
  }
  for (const name of [
    'Host',
    'Content-Length',
    'Trailer',
    'Upgrade-Insecure-Requests',
    'Cookie',
    '',
  ]) {
    assert.ok(!isHopByHopName(name), name);
  }
});

describe('Connection names the fields that go with it', () => {
  const rows: readonly [string, string[] | null][] = [
    ['keep-alive', null],
    ['Close', null],
    ['', null],
    ['keep-alive, Upgrade, TE, HTTP2-Settings', null],
    ['X-A, keep-alive ,x-b', ['x-a', 'x-b']],
    ['host, content-length, transfer-encoding, content-type', null],
    ['X-Forwarded-For, x-real-ip, Forwarded, X-Request-Id, x-client-cert-subject', null],
    ['a b, "x", x\xe9', null],
  ];
  for (const [value, names] of rows) {
    test(`"${value}"`, () => assert.deepEqual(namedByConnection(value), names));
  }
});

test('what frames, routes or authenticates is forbidden in trailers', () => {
  const names = [
    'host',
    'content-length',
    'content-md5',
    'transfer-encoding',
    'te',
    'trailer',
    'cookie',
  ];
  names.push(
    'set-cookie',
    'authorization',
    'if-none-match',
    'range',
    'x-forwarded-for',
    'forwarded',
    'expect',
  );
  for (const name of names) assert.ok(isForbiddenTrailer(name), name);
  for (const name of [
    'grpc-status',
    'grpc-message',
    'server-timing',
    'digest',
    'etag',
    'x-checksum',
  ]) {
    assert.ok(!isForbiddenTrailer(name), name);
  }
});

test('an app may send tokens as names and Latin-1 text as values', () => {
  for (const name of ['X-A', 'a', '!#$%&*']) assert.ok(fieldNameValid(name), name);
  for (const name of ['', 'a b', 'a:', 'a\r', 'ä', 'a\u0141'])
    assert.ok(!fieldNameValid(name), name);
  for (const value of ['', 'a b\tc', 'caf\xe9']) assert.ok(fieldValueValid(value), value);
  // U+010A and U+560D would be LF and CR once cut to one byte.
  for (const value of ['a\r\nb', 'a\nb', 'a\rb', 'a\0', '\x1b', '\x7f', '\u010a', '\u560d']) {
    assert.ok(!fieldValueValid(value), JSON.stringify(value));
  }
});

test('hosts are names or addresses, with a port or not', () => {
  for (const host of [
    'a',
    'a.b:80',
    '127.0.0.1',
    '[::1]',
    '[2001:db8::1]:443',
    'a:',
    'a_b',
    '%41',
    '[::ffff:1.2.3.4]',
  ]) {
    assert.ok(hostValid(host), host);
  }
  const bad = [
    '',
    ':80',
    'a:x',
    'a:99999',
    'a:080000',
    'a b',
    'a/b',
    'u@a',
    'a#',
    'a?',
    'a\\b',
    '[',
    '[]',
    '[::1',
    '::1',
    '[v1.a]',
  ];
  for (const host of [
    ...bad,
    '[::1%25lo]',
    '%4',
    '%zz',
    'a,b\xe9',
    'a:80:80',
    '\u0141',
    '[::1]80',
  ]) {
    assert.ok(!hostValid(host), host);
  }
  assert.ok(authorityValid('a:80'));
  assert.ok(!authorityValid('a') && !authorityValid('a:') && !authorityValid(':80'));
  assert.deepEqual(['a:8000', '[::1]:9', 'a', 'a:', '[::1]'].map(portOf), [8000, 9, 0, 0, 0]);
});

describe('a path is normalised', () => {
  const rows: readonly [string, string | null][] = [
    ['/', '/'],
    ['/a/b.txt', '/a/b.txt'],
    ['/a/', '/a/'],
    ['//a///b//', '/a/b/'],
    ['/a/./b/.', '/a/b/'],
    ['/a/../b', '/b'],
    ['/a/b/..', '/a/'],
    ['/a/..', '/'],
    ['/.well-known/x', '/.well-known/x'],
    ['/...', '/...'],
    ['/%61', '/a'],
    ['/a%2fb', '/a/b'],
    ['/caf%C3%A9', '/café'],
    ['/%2561', '/%61'],
    ['/a%20b', '/a b'],
    ['/a\\..\\b', '/a\\..\\b'],
    ['/..', null],
    ['/a/../../b', null],
    ['/%2e%2e/etc/passwd', null],
    ['/a/%2e%2E%2f%2e./etc', null],
    ['/%00', null],
    ['/%', null],
    ['/%4', null],
    ['/%zz', null],
    ['/%u0041', null],
    ['/%ff', null],
    ['/%c0%ae%c0%ae/', null],
    ['a', null],
    ['*', null],
  ];
  for (const [path, normal] of rows) {
    test(path, () => {
      const result = normalizePath(path);
      if (normal === null)
        assert.equal(typeof result === 'string' ? result : result.code, 'BAD_TARGET');
      else assert.equal(result, normal);
    });
  }
});

test('excerpts of what a client sent are short and printable', () => {
  assert.equal(excerpt('a\r\n\x1b[31m"\xe9'), '"a???[31m??"');
  assert.equal(excerpt('x'.repeat(99)), `"${'x'.repeat(40)}..."`);
});
