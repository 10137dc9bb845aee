// Which mount takes a target, and which spellings of a path are refused outright.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMatch, directoryUrl, namedPath } from '../../src/edge/static/mounts.ts';

const assets = { prefix: '/static', dir: '/srv/static' };
const deep = { prefix: '/static/deep/', dir: '/srv/deep' };
const rootMount = { prefix: '/', dir: '/srv/www' };

test('the longest prefix wins, whatever the order', () => {
  for (const mounts of [
    [assets, deep, rootMount],
    [rootMount, deep, assets],
  ]) {
    const match = createMatch(mounts);
    assert.equal(match('/static/a.css'), assets);
    assert.equal(match('/static/deep/a.css'), deep);
    assert.equal(match('/static/deep'), deep);
    assert.equal(match('/index.html'), rootMount);
    assert.equal(match('/'), rootMount);
  }
});

test('a prefix matches whole segments', () => {
  const match = createMatch([assets]);
  for (const target of ['/static', '/static/', '/static?v=1', '/static/a', '/static/a?b'])
    assert.equal(match(target), assets, target);
  for (const target of ['/statics', '/static.css', '/', '*', '/app/static', '/STATIC/a', 'host:80'])
    assert.equal(match(target), null, target);
});

test('other spellings of the prefix are not under it', () => {
  const match = createMatch([assets]);
  for (const target of ['/%73tatic/a', '//static/a', '/x/../static/a', '/./static/a'])
    assert.equal(match(target), null, target);
});

test('a path is decoded by segments; repeated slashes count as one', () => {
  const named = (target: string) => namedPath(assets, target);
  assert.deepEqual(named('/static/a/b.css?v=../1'), {
    segments: ['a', 'b.css'],
    trailingSlash: false,
  });
  assert.deepEqual(named('/static//a///b'), { segments: ['a', 'b'], trailingSlash: false });
  assert.deepEqual(named('/static/'), { segments: [], trailingSlash: true });
  assert.deepEqual(named('/static'), { segments: [], trailingSlash: false });
  assert.deepEqual(named('/static/%C3%BCber%20uns.html'), {
    segments: ['über uns.html'],
    trailingSlash: false,
  });
  assert.deepEqual(named('/static/100%25'), { segments: ['100%'], trailingSlash: false });
});

test('what could lead out of the root, or to a hidden file, names nothing', () => {
  for (const rest of [
    '/..',
    '/../secret',
    '/a/../../secret',
    '/a/..',
    '/.',
    '/./a',
    '/%2e%2e/secret',
    '/%2E%2e/secret',
    '/.%2e/secret',
    '/..%2fsecret',
    '/a%2fb',
    '/%2fetc/passwd',
    '/..%5csecret',
    '/..\\secret',
    '/a\\b',
    '/a%00.css',
    '/%00',
    '/%c0%ae%c0%ae/secret',
    '/%e0%80%ae/secret',
    '/%ff',
    '/%',
    '/%2',
    '/%zz',
    '/.env',
    '/.git/config',
    '/a/.htpasswd',
    '/...',
  ])
    assert.equal(namedPath(assets, `/static${rest}`), null, rest);
});

test('decoding is done once', () => {
  assert.deepEqual(namedPath(assets, '/static/%252e%252e/secret')?.segments, ['%2e%2e', 'secret']);
});

test('the URL of a directory is canonical and can never name another host', () => {
  const url = (mount: typeof assets, target: string) =>
    directoryUrl(mount, namedPath(mount, target)!);
  assert.equal(url(assets, '/static'), '/static/');
  assert.equal(url(deep, '/static/deep/a'), '/static/deep/a/');
  assert.equal(url(rootMount, '//evil.example'), '/evil.example/');
  assert.equal(url(rootMount, '/'), '/');
  assert.equal(url(assets, '/static/%C3%BC%20%3f'), '/static/%C3%BC%20%3F/');
});
