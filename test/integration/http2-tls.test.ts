// HTTP/2 over TLS, chosen by ALPN: what is different from h2c, which the other tests of HTTP/2 use.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import * as http2 from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, type TestContext, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import type { Config } from '../../src/config/config.ts';
import { staticMount } from '../../src/config/static-mounts.ts';
import { type MadePair, makePair } from '../helpers/certificates.ts';
import { answerOf, ask, frame, PING, PREFACE, SETTINGS } from '../helpers/http2-client.ts';
import { type RunningEdge, runEdge } from '../helpers/running-edge.ts';
import { until } from '../helpers/until.ts';

const LARGE = 8 * 1024 * 1024;

let pair: MadePair;
before(async () => {
  pair = await makePair(['localhost', '127.0.0.1']);
});

function startEdge(t: TestContext, changes: Partial<Config> = {}): Promise<RunningEdge> {
  const dir = mkdtempSync(join(tmpdir(), 'portico-http2-'));
  writeFileSync(join(dir, 'a.txt'), 'hello');
  writeFileSync(join(dir, 'large.bin'), Buffer.alloc(LARGE, 'portico '));
  t.after(() => rmSync(dir, { recursive: true }));
  const mount = staticMount({ prefix: '/', dir });
  return runEdge(t, { static: [mount], keepAliveMs: 10_000, ...changes }, [pair]);
}

function open(t: TestContext, { tlsPort }: RunningEdge): http2.ClientHttp2Session {
  const session = http2.connect(`https://localhost:${tlsPort}`, {
    rejectUnauthorized: false,
    lookup: (_host, _options, done) =>
      done(null, [{ address: '127.0.0.1', family: 4 }] as never, 4),
  });
  session.on('error', () => {});
  t.after(() => session.destroy());
  return session;
}

test('files, small and large, many at a time, on one connection', async (t) => {
  const edge = await startEdge(t);
  const session = open(t, edge);
  const small = await Promise.all(Array.from({ length: 60 }, () => ask(session, '/a.txt')));
  for (const { status, body } of small) assert.deepEqual([status, body], [200, 'hello']);
  const large = await Promise.all(Array.from({ length: 3 }, () => ask(session, '/large.bin')));
  for (const { body } of large) assert.equal(body.length, LARGE);
  assert.equal(edge.edge.listener.connections, 1);
  assert.equal(edge.edge.status().requestsServed, 63);
});

test('a client that takes only http/1.1 gets it on the same port, and without http2 everyone does', async (t) => {
  const edge = await startEdge(t);
  for (const [protocols, chosen] of [
    [['http/1.1'], 'http/1.1'],
    [['h2', 'http/1.1'], 'h2'],
    [['http/1.1', 'h2'], 'h2'],
  ] as const) {
    const options = {
      port: edge.tlsPort,
      rejectUnauthorized: false,
      ALPNProtocols: [...protocols],
    };
    const client = connectTls({ ...options, host: '127.0.0.1' });
    await once(client, 'secureConnect');
    assert.equal(client.alpnProtocol, chosen);
    client.destroy();
  }
  const without = await startEdge(t, { http2: false });
  const client = connectTls({
    port: without.tlsPort,
    host: '127.0.0.1',
    rejectUnauthorized: false,
    ALPNProtocols: ['h2', 'http/1.1'],
  });
  await once(client, 'secureConnect');
  assert.equal(client.alpnProtocol, 'http/1.1');
  client.destroy();
});

test('a slow reader of a large file gets it whole, and meanwhile others are served', async (t) => {
  const edge = await startEdge(t);
  const session = open(t, edge);
  const slow = session.request({ ':path': '/large.bin' });
  await once(slow, 'response');
  let bytes = 0;
  slow.pause();
  for (let at = 0; at < 5; at++) assert.equal((await ask(session, '/a.txt')).body, 'hello');
  slow.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  slow.resume();
  await once(slow, 'end', { signal: AbortSignal.timeout(20_000) });
  assert.equal(bytes, LARGE);
});

test('a client that vanishes in the midst of a large file leaves nothing behind', async (t) => {
  const edge = await startEdge(t);
  const session = open(t, edge);
  const stream = session.request({ ':path': '/large.bin' });
  stream.on('error', () => {});
  await once(stream, 'response');
  session.destroy();
  await until('end', () => edge.edge.listener.connections === 0);
  assert.equal(edge.edge.listener.requestsInFlight, 0);
});

test('a flood of PING ends with ENHANCE_YOUR_CALM', async (t) => {
  const edge = await startEdge(t);
  const client = connectTls({
    port: edge.tlsPort,
    host: '127.0.0.1',
    rejectUnauthorized: false,
    ALPNProtocols: ['h2'],
  });
  client.on('error', () => {});
  await once(client, 'secureConnect');
  const got: Buffer[] = [];
  client.on('data', (chunk: Buffer) => got.push(chunk));
  const pings = Array.from({ length: 2000 }, () => frame(PING, 0, 0, Buffer.alloc(8)));
  client.write(Buffer.concat([Buffer.from(PREFACE), frame(SETTINGS, 0, 0), ...pings]));
  await once(client, 'close');
  // GOAWAY, last stream 0, ENHANCE_YOUR_CALM.
  assert.ok(
    Buffer.concat(got).includes(Buffer.from('00000807000000000000000000' + '0000000b', 'hex')),
  );
  assert.match(edge.logged.join('\n'), /flood.*127\.0\.0\.1/);
});

test('a drain answers what is open, says so, and closes', async (t) => {
  const edge = await startEdge(t);
  const session = open(t, edge);
  const stream = session.request({ ':path': '/large.bin' });
  const left = once(session, 'goaway');
  await once(stream, 'response');
  stream.pause();
  const drained = edge.edge.drain(10_000);
  await left;
  const answer = answerOf(stream);
  stream.resume();
  assert.equal((await answer).body.length, LARGE);
  await drained;
});

test('what the edge says of the client over TLS is what HTTP/1.1 would say', async (t) => {
  const edge = await startEdge(t, { accessLogfile: null });
  const missing = await ask(open(t, edge), '/none', { headers: { accept: 'application/json' } });
  assert.equal(missing.status, 404);
  assert.match(missing.body, /NOT_FOUND/);
  assert.match(String(missing.headers['x-request-id']), /^[0-9a-f]{32}$/);
});
