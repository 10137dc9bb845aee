// Each framework, and each way to listen, through a real worker.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { accepts, freePort } from '../helpers/ports.ts';
import { until } from '../helpers/until.ts';
import { ask, open, startWorker } from '../helpers/worker.ts';

const frameworks = [
  ['express 4', 'frameworks/express4.cjs'],
  ['express 5', 'frameworks/express5.mjs:app'],
  ['fastify', 'frameworks/fastify.mjs'],
  ['koa', 'frameworks/koa.mjs'],
  ['hono', 'frameworks/hono.mjs'],
] as const;
for (const [name, app] of frameworks) {
  test(`${name}: JSON, a POST, two cookies, HEAD, an error, and it goes on`, async (t) => {
    const { link } = await startWorker(t, app);
    const home = (await ask(link, '/')).json();
    assert.equal(home.framework, name);
    assert.equal(home.ip, '203.0.113.9');
    const echoed = await ask(link, {
      target: '/echo',
      fields: ['Content-Type', 'application/json'],
      body: '{"a":[1,2]}',
    });
    assert.equal(echoed.status, 201);
    assert.deepEqual(echoed.values('x-app'), ['yes']);
    assert.deepEqual(echoed.json(), { a: [1, 2] });
    const cookies = (await ask(link, '/cookies')).values('set-cookie');
    assert.deepEqual(
      cookies.map((cookie) => cookie.split(';')[0]),
      ['a=1', 'b=2'],
    );
    const head = await ask(link, { method: 'HEAD', target: '/' });
    assert.deepEqual([head.status, head.body.length, head.failure], [200, 0, null]);
    assert.equal((await ask(link, '/error')).status, 500);
    assert.equal((await ask(link, '/')).status, 200);
  });
}

test('a NestJS app is initialised, served, and closed at the end', async (t) => {
  const notes = notesFile(t);
  const { worker, link } = await startWorker(t, 'frameworks/nest-shape.mjs', {
    env: { NOTES: notes },
  });
  assert.equal((await ask(link, '/')).text(), 'hello from nest');
  worker.send({ type: 'drain', deadlineMs: 5000 });
  assert.equal(await worker.exited, 0);
  assert.equal(readFileSync(notes, 'utf8'), 'nest closed\n');
});

test('Fastify runs its onClose hooks after the last request', async (t) => {
  const notes = notesFile(t);
  const { worker } = await startWorker(t, 'frameworks/fastify.mjs', { env: { NOTES: notes } });
  worker.send({ type: 'drain', deadlineMs: 5000 });
  assert.equal(await worker.exited, 0);
  assert.equal(readFileSync(notes, 'utf8'), 'onClose\n');
});

test('an https request is secure to the frameworks', async (t) => {
  const { link } = await startWorker(t, 'frameworks/express5.mjs');
  const tls = { protocol: 'TLSv1.3', cipher: 'x', serverName: null, clientCertificate: null };
  const answer = await ask(link, { target: '/', client: { scheme: 'https', tls } });
  assert.equal(answer.json().secure, true);
});

test('fetch handlers: URL, stream in and out, cookies, status without content', async (t) => {
  const { link } = await startWorker(t, 'frameworks/fetch.mjs');
  assert.equal((await ask(link, '/')).text(), 'hello from app.example');
  assert.deepEqual((await ask(link, '/cookies')).values('set-cookie'), ['a=1', 'b=2']);
  const body = 'shout '.repeat(100_000);
  const upper = await ask(link, { target: '/upper', body });
  assert.equal(upper.text(), body.toUpperCase());
  const teapot = await ask(link, '/teapot');
  assert.deepEqual([teapot.status, teapot.body.length], [418, 0]);
  assert.equal((await ask(link, '/wrapped')).text(), 'b');
  const head = await ask(link, { method: 'HEAD', target: '/endless' });
  assert.deepEqual([head.status, head.body.length, head.failure], [200, 0, null]);
});

test('fetch handlers: what goes wrong is 500 and logged, and never ends the worker', async (t) => {
  const { worker, link } = await startWorker(t, 'frameworks/fetch.mjs');
  for (const target of ['/throw', '/reject', '/nothing']) {
    assert.equal((await ask(link, target)).status, 500, target);
  }
  await worker.logged(/fetch threw/);
  await worker.logged(/fetch rejected/);
  await worker.logged(/returned undefined instead of a Response/);
});

test('fetch handlers: a stream that fails cuts the response and is logged', async (t) => {
  const { worker, link } = await startWorker(t, 'frameworks/fetch.mjs');
  const answer = await ask(link, '/breaks');
  assert.equal(answer.status, 200);
  assert.equal(answer.failure?.code, 'WORKER_RESET');
  await worker.logged(/stream broke on purpose/);
});

test('fetch handlers: signal aborts, and the stream is cancelled, when the client leaves', async (t) => {
  const { link } = await startWorker(t, 'frameworks/fetch.mjs');
  const waiting = open(link, '/wait');
  const endless = open(link, '/endless', { paused: true });
  await endless.head;
  waiting.stream.cancel();
  endless.stream.cancel();
  const state = () => ask(link, '/state').then((answer) => answer.json());
  await until('the abort', state, ({ aborted, cancelled }) => aborted === 1 && cancelled === 1);
});

test('fetch handlers: a client that does not read stops the stream', async (t) => {
  const { link } = await startWorker(t, 'frameworks/fetch.mjs');
  const endless = open(link, '/endless', { paused: true });
  await endless.head;
  const pulled = async () => (await ask(link, '/state')).json().pulled as number;
  // It has stopped when a hundred requests later it stands where it stood.
  let last = -1;
  await until('the stream to stop', async () => {
    const before = last;
    for (let i = 0; i < 100; i++) last = await pulled();
    return last === before;
  });
  // 16 KB a pull: the window of 256 KB, and what the streams between hold.
  assert.ok(last < 64, `pulled ${last} times`);
  endless.stream.cancel();
});

test('Hono sees its signal abort', async (t) => {
  const { link } = await startWorker(t, 'frameworks/hono.mjs');
  const waiting = open(link, '/wait');
  await ask(link, '/');
  waiting.stream.cancel();
  const state = () => ask(link, '/aborted').then((answer) => answer.json());
  await until('the abort', state, ({ aborted }) => aborted === 1);
});

const listening = [
  ['listen/standalone.cjs', 'standalone in listen', "Next.js's standalone server"],
  ['listen/guarded.cjs', 'main', 'a server behind require.main === module'],
  ['listen/probes.mjs', 'after the probe', 'a server after a probe for a free port'],
  ['listen/tls.mjs', 'secure false', 'an https server, as http'],
  ['listen/http2.mjs', 'GET / over 1.1', 'an http2 server, by its compatibility API'],
] as const;
for (const [app, answer, what] of listening) {
  test(`${app} is caught as it listens: ${what}`, async (t) => {
    const { link } = await startWorker(t, app);
    assert.equal((await ask(link, '/')).text(), answer);
  });
}

test('a caught listen opens no port, calls back, and says the public address', async (t) => {
  const port = await freePort();
  const { link } = await startWorker(t, 'listen/plain.cjs', { env: { PORT: String(port) } });
  assert.deepEqual((await ask(link, '/')).json(), {
    events: ['chained', 'listening', 'callback'],
    address: { address: '127.0.0.1', family: 'IPv4', port: 8000 },
    listening: true,
  });
  assert.equal(await accepts(port), false);
});

test('Fastify may listen by itself', async (t) => {
  const { worker, link } = await startWorker(t, 'frameworks/fastify-listens.mjs');
  assert.deepEqual((await ask(link, '/')).json(), {
    framework: 'fastify',
    address: { address: '127.0.0.1', family: 'IPv4', port: 8000 },
  });
  assert.doesNotMatch(worker.log(), /WARNING/);
});

test('of two servers the first is served, with a warning; a TCP server listens in truth', async (t) => {
  const { worker, link } = await startWorker(t, 'listen/two.mjs');
  assert.equal((await ask(link, '/')).text(), 'first');
  assert.match(worker.log(), /listens a second time, on 9090: only its first server \(3000\)/);
  const [, port] = await worker.logged(/tcp on (\d+)/);
  assert.equal(await accepts(Number(port)), true);
});

test('an app that forks a cluster of its own is warned of it', async (t) => {
  const { worker, link } = await startWorker(t, 'listen/cluster.mjs');
  assert.equal((await ask(link, '/')).text(), 'served');
  await worker.logged(/WARNING.*node:cluster/);
});

test('an app that closes its server asks for a replacement and goes on until it is drained', async (t) => {
  const { worker, link } = await startWorker(t, 'listen/closes.mjs');
  assert.equal((await ask(link, '/close')).text(), 'listening false');
  assert.match((await worker.heard('retire')).reason, /closed its server/);
  assert.equal((await ask(link, '/')).text(), 'listening false');
  worker.send({ type: 'drain', deadlineMs: 5000 });
  assert.equal(await worker.exited, 0);
});

function notesFile(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'portico-notes-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return join(dir, 'notes');
}
