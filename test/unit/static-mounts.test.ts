// Which mount takes a target, and which spellings of a path are refused outright.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { staticMount } from '../../src/config/static-mounts.ts';
import { createMatch, directoryUrl } from '../../src/edge/static/mounts.ts';

const assets = staticMount({ prefix: '/static', dir: '/srv/static' });
const deep = staticMount({ prefix: '/static/deep/', dir: '/srv/deep' });
const rootMount = staticMount({ prefix: '/', dir: '/srv/www' });

test('the longest prefix wins, whatever the order', () => {
  for (const mounts of [
    [assets, deep, rootMount],
    [rootMount, deep, assets],
  ]) {
    const match = createMatch(mounts);
    assert.equal(match('/static/a.css')?.mount, assets);
    assert.equal(match('/static/deep/a.css')?.mount, deep);
    assert.equal(match('/static/deep')?.mount, deep);
    assert.equal(match('/index.html')?.mount, rootMount);
    assert.equal(match('/')?.mount, rootMount);
  }
});

test('a prefix matches whole segments', () => {
  const match = createMatch([assets]);
  for (const target of ['/static', '/static/', '/static?v=1', '/static/a', '/static/a?b'])
    assert.equal(match(target)?.mount, assets, target);
  for (const target of ['/statics', '/static.css', '/', '*', '/app/static', '/STATIC/a', 'host:80'])
    assert.equal(match(target), null, target);
});

test('the path is matched decoded and resolved, as nginx does', () => {
  const match = createMatch([assets]);
  for (const target of [
    '/%73tatic/a',
    '//static/a',
    '/x/../static/a',
    '/./static/a',
    '/static%2fa',
  ])
    assert.deepEqual(match(target)?.segments, ['a'], target);
  for (const target of ['/static/../a', '/static/%2e%2e/a', '/static/..%2fa', '/static/..'])
    assert.equal(match(target), null, target);
});

test('a path is taken apart; repeated slashes count as one', () => {
  const match = createMatch([assets]);
  const named = (target: string) => {
    const { segments, trailingSlash } = match(target)!;
    return [segments, trailingSlash];
  };
  assert.deepEqual(named('/static/a/b.css?v=../1'), [['a', 'b.css'], false]);
  assert.deepEqual(named('/static//a///b'), [['a', 'b'], false]);
  assert.deepEqual(named('/static/'), [[], true]);
  assert.deepEqual(named('/static'), [[], false]);
  assert.deepEqual(named('/static/%C3%BCber%20uns.html'), [['über uns.html'], false]);
  assert.deepEqual(named('/static/100%25'), [['100%'], false]);
  assert.deepEqual(named('/static/a/../b'), [['b'], false]);
});

test("what could lead out of the root, or to a hidden file, names no file and is not the app's", () => {
  const match = createMatch([assets]);
  for (const rest of [
    '/../../etc/passwd',
    '/%2e%2e/%2e%2e/etc/passwd',
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
    '/%2eenv',
    '/.git/config',
    '/a/.htpasswd',
    '/...',
  ])
    assert.deepEqual(
      match(`/static${rest}`),
      { mount: assets, segments: null, trailingSlash: false },
      rest,
    );
});

test('decoding is done once', () => {
  const match = createMatch([assets]);
  assert.deepEqual(match('/static/%252e%252e/secret')?.segments, ['%2e%2e', 'secret']);
});

test('the URL of a directory is canonical and can never name another host', () => {
  const url = (mount: typeof assets, target: string) => directoryUrl(createMatch([mount])(target)!);
  assert.equal(url(assets, '/static'), '/static/');
  assert.equal(url(deep, '/static/deep/a'), '/static/deep/a/');
  assert.equal(url(rootMount, '//evil.example'), '/evil.example/');
  assert.equal(url(rootMount, '/%2fevil.example'), '/evil.example/');
  assert.equal(url(rootMount, '/'), '/');
  assert.equal(url(assets, '/static/%C3%BC%20%3f'), '/static/%C3%BC%20%3F/');
});
