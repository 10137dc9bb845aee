// Keys, stored fields and the store, each by itself.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  clientHasIt,
  makeEntry,
  notModifiedFields,
  splitTags,
  storedFields,
  updatedFields,
} from '../../src/edge/cache/entry.ts';
import {
  type KeyParts,
  keyOfUrl,
  urlKey,
  variantKey,
  varyNames,
} from '../../src/edge/cache/key.ts';
import { Recorder } from '../../src/edge/cache/recorder.ts';
import { forwardedStatus, hitStatus } from '../../src/edge/cache/status-field.ts';
import { Store } from '../../src/edge/cache/store.ts';
import type { ClientFacts, Fields } from '../../src/http/exchange.ts';

const client: ClientFacts = {
  ...{ address: '192.0.2.1', port: 1, peerAddress: '192.0.2.1', localAddress: '127.0.0.1' },
  ...{ localPort: 8000, scheme: 'http', tls: null },
};

function parts(fields: Fields, more: Partial<KeyParts> = {}): KeyParts {
  const host = fields[fields.indexOf('Host') + 1] ?? '';
  return { target: '/a?b=c', fields, host, client, trusted: false, ...more };
}

test('the key is the URL as the app is told it', () => {
  assert.equal(urlKey(parts(['Host', 'Example.COM'])), 'http://example.com/a?b=c');
  assert.equal(urlKey(parts(['Host', 'example.com:80'])), 'http://example.com/a?b=c');
  assert.equal(urlKey(parts(['Host', 'example.com:443'])), 'http://example.com:443/a?b=c');
  const https = { client: { ...client, scheme: 'https' } as const };
  assert.equal(urlKey(parts(['Host', 'example.com:443'], https)), 'https://example.com/a?b=c');
  const behind: Fields = ['Host', 'inner', 'X-Forwarded-Host', 'shop.example'];
  assert.equal(urlKey(parts(behind)), 'http://inner/a?b=c');
  assert.equal(urlKey(parts(behind, { trusted: true })), 'http://shop.example/a?b=c');
  assert.equal(urlKey(parts(['Host', 'a'], { target: `/${'x'.repeat(5000)}` })), null);
});

test('what a purge names is written as the key is', () => {
  assert.equal(keyOfUrl('HTTP://Example.com:80/a?b'), 'http://example.com/a?b');
  assert.equal(keyOfUrl('https://example.com'), 'https://example.com/');
  assert.equal(keyOfUrl('ftp://example.com/'), null);
  assert.equal(keyOfUrl('/a'), null);
});

test('variants differ by what Vary names, and by what a trusted proxy tells the app', () => {
  const names = varyNames('Accept-Language,  accept-encoding');
  assert.deepEqual(names, ['accept-encoding', 'accept-language']);
  assert.ok(names);
  const key = (fields: Fields, trusted = false) => variantKey(names, parts(fields, { trusted }));
  assert.equal(key(['Accept-Encoding', 'gzip, BR']), key(['accept-encoding', 'gzip,br']));
  assert.notEqual(key(['Accept-Encoding', 'gzip']), key(['Accept-Encoding', 'br']));
  assert.notEqual(key(['Accept-Encoding', '']), key([]));
  assert.notEqual(
    key(['Accept-Encoding', 'a', 'Accept-Language', 'b']),
    key(['Accept-Encoding', 'b', 'Accept-Language', 'a']),
  );
  assert.equal(key(['X-Forwarded-Prefix', '/x']), key([]));
  assert.notEqual(key(['X-Forwarded-Prefix', '/x'], true), key([], true));
  assert.equal(key(['X-Forwarded-For', '192.0.2.7'], true), key([], true));
  assert.equal(
    key(['Forwarded', 'for=192.0.2.7;host=a'], true),
    key(['Forwarded', 'for="[2001:db8::1]";host=a'], true),
  );
  assert.equal(key(['Accept-Language', 'x'.repeat(3000)]), null);
  assert.equal(varyNames('*'), null);
  assert.equal(varyNames(Array.from({ length: 11 }, (_, at) => `a${at}`).join()), null);
});

test('tags are read, and kept from the client', () => {
  const split = splitTags(['A', '1', 'Cache-Tag', 'x, y', 'Surrogate-Key', 'z  w', 'B', '2']);
  assert.deepEqual(split, { fields: ['A', '1', 'B', '2'], tags: ['x', 'y', 'z', 'w'] });
  const plain: Fields = ['A', '1'];
  assert.equal(splitTags(plain).fields, plain);
});

test('what belongs to one delivery is not stored', () => {
  const fields: Fields = ['Content-Type', 'text/plain', 'Set-Cookie', 'a=b', 'X-Request-Id', '1'];
  fields.push('Connection', 'x-hop', 'X-Hop', '1', 'Age', '3', 'Transfer-Encoding', 'chunked');
  assert.deepEqual(storedFields(fields, { length: 3, date: 'now' }), [
    ...['Content-Type', 'text/plain', 'Date', 'now', 'Content-Length', '3'],
  ]);
});

test('a 304 replaces stored fields, but not those that describe the content', () => {
  const stored: Fields = ['Content-Type', 'a', 'ETag', '"1"', 'Date', 'old', 'X', '1', 'X', '2'];
  const fresh: Fields = ['Content-Type', 'b', 'X', '3', 'Expires', 'later', 'Set-Cookie', 'c'];
  assert.deepEqual(updatedFields(stored, fresh, 'new'), [
    ...['Content-Type', 'a', 'ETag', '"1"', 'Date', 'new', 'X', '3', 'Expires', 'later'],
  ]);
});

test('a client that has the response gets 304', () => {
  const lastModified = 'Thu, 01 Jan 2026 00:00:00 GMT';
  const has = (ifNoneMatch: string | null, ifModifiedSince: string | null, etag = 'W/"a"') =>
    clientHasIt({ ifNoneMatch, ifModifiedSince }, { etag, lastModified });
  assert.equal(has('"b", "a"', null), true);
  assert.equal(has('W/"a"', null, '"a"'), true);
  assert.equal(has('*', null), true);
  assert.equal(has('"b"', lastModified), false);
  assert.equal(has(null, lastModified), true);
  assert.equal(has(null, 'Thu, 01 Jan 2026 00:00:01 GMT'), true);
  assert.equal(has(null, 'Wed, 31 Dec 2025 23:59:59 GMT'), false);
  assert.equal(has(null, 'nonsense'), false);
  assert.equal(has(null, null), false);
  const fields: Fields = ['Content-Type', 'a', 'Content-Location', '/b', 'ETag', 'c'];
  fields.push('Content-Security-Policy', 'd');
  assert.deepEqual(notModifiedFields(fields), [
    ...['Content-Location', '/b', 'ETag', 'c', 'Content-Security-Policy', 'd'],
  ]);
});

test('Cache-Status says what happened', () => {
  assert.equal(hitStatus(1200), 'portico; hit; ttl=2');
  assert.equal(hitStatus(-400), 'portico; hit; ttl=0');
  assert.equal(
    forwardedStatus({ fwd: 'stale', fwdStatus: 304, stored: true, collapsed: false, ttlMs: 5000 }),
    'portico; fwd=stale; fwd-status=304; stored; collapsed=?0; ttl=5',
  );
});

test('content is taken down in memory of just its size, up to a limit', () => {
  for (const expected of [null, 10_000]) {
    const recorder = new Recorder(expected, 10_000);
    for (let at = 0; at < 1000; at++) assert.ok(recorder.add(Buffer.from('0123456789')));
    assert.equal(recorder.add(Buffer.from('x')), false);
    const body = recorder.finish();
    assert.equal(body.toString(), '0123456789'.repeat(1000));
    assert.equal(body.buffer.byteLength, 10_000);
  }
});

function entry(size: number, tags: string[] = []) {
  const freshness = {
    ...{ bornMs: 0, freshForMs: 1, whileRevalidateMs: 0, ifErrorMs: 0 },
    ...{ mustRevalidate: false, sharedLimit: false, anonymousOnly: false },
  };
  return makeEntry({
    ...{ status: 200, reason: '', fields: ['A', 'b'], body: Buffer.alloc(size), tags, freshness },
  });
}

test('the store keeps to its size under many keys, variants and tags', () => {
  const store = new Store(1024 * 1024);
  for (let at = 0; at < 5000; at++) {
    store.put(`http://a/${at}`, [], '', entry(at % 2000, [`tag ${at}`, 'all']));
    assert.ok(store.bytes <= 1024 * 1024);
  }
  assert.ok(store.entries > 100 && store.entries < 1000);
  assert.equal(store.get('http://a/0'), undefined);
  assert.ok(store.get('http://a/4999'));
  assert.equal(store.deleteTag('tag 1'), 0);
  assert.equal(store.deleteTag('tag 4999'), 1);
  const left = store.entries;
  assert.equal(store.deleteTag('all'), left);
  assert.equal(store.entries, 0);
});

test('variants of one URL are limited, the oldest goes', () => {
  const store = new Store(1024 * 1024);
  for (let at = 0; at < 100; at++) store.put('http://a/', ['x'], `${at}`, entry(10));
  const variants = [...store.get('http://a/')!.variants.keys()];
  assert.deepEqual(
    variants,
    Array.from({ length: 16 }, (_, at) => String(at + 84)),
  );
  assert.equal(store.entries, 16);
  for (let at = 0; at < 16; at++) store.put('http://a/', ['x'], `${at}`, entry(200_000));
  assert.ok(store.bytes <= 512 * 1024);
  store.put('http://a/', ['y'], '', entry(1));
  assert.equal(store.entries, 1);
});

test('a path is forgotten on every host, and nothing else', () => {
  const store = new Store(1024 * 1024);
  for (const key of ['http://a/x', 'https://b:1/x', 'http://a/y/x', 'http://a/x?']) {
    store.put(key, [], '', entry(1));
  }
  assert.equal(store.deletePath('/x'), 2);
  assert.equal(store.entries, 2);
  assert.equal(store.clear(), 2);
  assert.equal(store.bytes, 0);
});
