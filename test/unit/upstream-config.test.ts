// What a route may say of an HTTP upstream, and what is made of it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fieldRowsTable } from '../../src/config/field-rows.ts';
import { Unfit } from '../../src/config/kinds.ts';
import { showTarget, upstream, upstreamFields } from '../../src/config/upstream-config.ts';

function read(raw: unknown) {
  const value = upstream.read(raw);
  assert.ok(!(value instanceof Unfit), JSON.stringify(value));
  return value;
}

function hintOf(raw: unknown): string {
  const value = upstream.read(raw);
  assert.ok(value instanceof Unfit, `${JSON.stringify(raw)} was taken`);
  return [value.hint, ...value.parts.map((part) => part.hint)].filter((it) => it !== '').join('; ');
}

test('a URL, a list of URLs and a table are read', () => {
  assert.deepEqual(read('http://api:8000').targets, [
    { protocol: 'http', kind: 'tcp', host: 'api', port: 8000, path: '', weight: 1 },
  ]);
  assert.deepEqual(read(['https://API.example.com/', 'unix:/run/x.sock']).targets, [
    { protocol: 'https', kind: 'tcp', host: 'api.example.com', port: 443, path: '', weight: 1 },
    { protocol: 'http', kind: 'unix', host: '', port: 0, path: '/run/x.sock', weight: 1 },
  ]);
  const one = read({
    targets: [{ url: 'http://[::1]:8000', weight: 3 }],
    connectTimeout: '250ms',
    healthCheck: '/health',
    proxyProtocol: true,
    tls: { verify: false },
  });
  assert.equal(showTarget(one.targets[0]!), 'http://[::1]:8000 (weight 3)');
  assert.equal(one.connectTimeoutMs, 250);
  assert.equal(one.healthCheck?.path, '/health');
  assert.equal(one.healthCheck?.failures, 2);
  assert.equal(one.proxyProtocol, 2);
  assert.deepEqual(one.tls, { caFile: null, serverName: null, verify: false });
  assert.equal(one.maxConnections, 256);
});

test('what will not do is named', () => {
  assert.match(hintOf('api:8000'), /did you mean "http:\/\/api:8000"/);
  assert.match(hintOf('http://api/v1'), /strip and rewrite/);
  assert.match(hintOf('unix:x.sock'), /absolute/);
  assert.match(hintOf([]), /a target is missing/);
  assert.match(hintOf({ targets: 'http://a', maxConnection: 1 }), /did you mean maxConnections/);
  assert.match(hintOf({ targets: 'http://a', healthCheck: { every: 1 } }), /healthCheck is to be/);
  assert.match(hintOf({ targets: [{ url: 'http://a', weight: 0 }] }), /weight is to be/);
  for (const raw of [null, 1, 'ftp://a', 'http://a:0', 'http://a b', 'http://[x]', 'http://u@a'])
    hintOf(raw);
});

test('the docs have a row for each field', () => {
  const table = fieldRowsTable(upstreamFields);
  for (const key of ['connectTimeout', 'healthCheck', 'slowStart', 'host'])
    assert.ok(table.includes(`| \`${key}\` |`), key);
});
