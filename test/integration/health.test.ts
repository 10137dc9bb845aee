// The health endpoints, asked at an edge with workers that come, hang and leave.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { workerFactory } from '../helpers/link-workers.ts';
import { runEdge } from '../helpers/running-edge.ts';
import { until } from '../helpers/until.ts';

test('an edge without workers lives, and is not ready', async (t) => {
  const { ask } = await runEdge(t);
  const alive = await ask('GET /-/healthz', '\r\n').response();
  assert.equal(`${alive.status} ${alive.body}`, '200 alive\n');
  assert.equal(alive.fields.get('cache-control'), 'no-store');
  assert.match(alive.fields.get('x-request-id') ?? '', /^[0-9a-f]{32}$/);
  const ready = await ask('GET /-/readyz?from=test', '\r\n').response();
  assert.equal(`${ready.status} ${ready.body}`, '503 not ready: 0 of 1 workers\n');
});

test('it is ready with as many workers as are wanted, also when all are busy', async (t) => {
  const { edge, ask } = await runEdge(t, { readyWorkers: 2, queueSize: 0 });
  const make = workerFactory(t);
  const busy = () => {};
  const first = await make(busy, { capacity: 1 });
  const second = await make(busy, { capacity: 1 });
  const says = async () => (await ask('GET /-/readyz', '\r\n').response()).body;
  const saysAtLast = async (wanted: string) => {
    for (const deadline = Date.now() + 10_000; Date.now() < deadline; )
      if ((await says()) === wanted) return;
    assert.fail(`never ${wanted}`);
  };
  edge.pools.admit(first.address);
  await saysAtLast('not ready: 1 of 2 workers\n');
  edge.pools.admit(second.address);
  await saysAtLast('ready\n');
  ask('GET /one', '\r\n');
  ask('GET /two', '\r\n');
  await until('both busy', () => first.taken.length + second.taken.length === 2);
  assert.equal(await says(), 'ready\n');
  edge.withdraw(second.address.id, () => {});
  assert.equal(await says(), 'not ready: 1 of 2 workers\n');
});

test('once a stop has begun it is not ready', async (t) => {
  const { edge, connect, ask } = await runEdge(t);
  const worker = await workerFactory(t)(() => {});
  edge.pools.admit(worker.address);
  const waiting = ask('GET /slow', '\r\n');
  await until('the request is with the worker', () => worker.taken.length === 1);
  // On its way when the stop begins: its answer is the connection's last.
  const client = connect();
  client.send('GET /-/readyz HTTP/1.1\r\nHost: test\r\n');
  await until('its first line was read', () => edge.listener.connections === 2);
  const drained = edge.drain(5_000);
  client.send('\r\n');
  const answer = await client.response();
  assert.equal(`${answer.status} ${answer.body}`, '503 not ready: stopping\n');
  worker.taken[0]!.echo();
  assert.equal((await waiting.response()).status, 200);
  await edge.drain(0);
  await drained;
});

test('other methods are refused, and other paths and HEAD go where they should', async (t) => {
  const { edge, ask } = await runEdge(t);
  const worker = await workerFactory(t)((taken) => taken.echo());
  edge.pools.admit(worker.address);
  const posted = await ask('POST /-/healthz', 'Content-Length: 0\r\n\r\n').response();
  assert.equal(posted.status, 405);
  assert.equal(posted.fields.get('allow'), 'GET, HEAD');
  for (const target of ['/health', '/-/health', '/-/healthz/', '/-', '/'])
    assert.equal((await ask(`GET ${target}`, '\r\n').response()).body.trim(), `GET ${target}`);
});

test('without health endpoints the paths are the app’s', async (t) => {
  const { edge, ask } = await runEdge(t, { healthEndpoints: false });
  const worker = await workerFactory(t)((taken) => taken.echo());
  edge.pools.admit(worker.address);
  assert.equal((await ask('GET /-/healthz', '\r\n').response()).body.trim(), 'GET /-/healthz');
});
