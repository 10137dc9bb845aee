// The arbiter as a process over fake children: reloads that work, and reloads that change nothing.

import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { startArbiter, tempDir } from '../helpers/arbiter.ts';
import { until } from '../helpers/until.ts';

test('HUP replaces the workers one by one and keeps the edge', async (t) => {
  const arbiter = await startArbiter(t, { workers: 3 });
  const before = await arbiter.statusIs('all serve', ({ workers }) =>
    workers.every(({ phase }) => phase === 'serving'),
  );
  arbiter.signal('SIGHUP');
  const after = await arbiter.statusIs(
    'generation 2 alone',
    ({ workers, arbiter: { generation, reloading } }) =>
      generation === 2 && reloading === null && workers.every((w) => w.generation === 2),
  );
  assert.equal(after.edges[0]?.pid, before.edges[0]?.pid);
  assert.deepEqual(
    after.workers.map(({ slot }) => slot),
    [1, 2, 3],
  );
  const edge = await arbiter.edge();
  assert.deepEqual(
    edge.workers.map(({ id }) => id).sort(),
    after.workers.map(({ id }) => id).sort(),
  );
});

test('reload answers when the new generation serves, with its changed settings', async (t) => {
  const arbiter = await startArbiter(t);
  arbiter.setConfig({ workers: 3, user: 'nobody', env: { GREETING: 'hello' } });
  assert.deepEqual(await arbiter.ask({ command: 'reload' }), {
    ok: true,
    command: 'reload',
    generation: 2,
  });
  const { workers } = await arbiter.status();
  assert.equal(workers.filter((w) => w.generation === 2 && w.phase === 'serving').length, 3);
  assert.equal((await arbiter.edge()).config.env.GREETING, 'hello');
  assert.match(arbiter.log(), /Only a restart changes user: kept as before/);
});

test('reloads in quick succession become one, and all are answered', async (t) => {
  const arbiter = await startArbiter(t);
  const replies = await Promise.all(
    Array.from({ length: 8 }, () => arbiter.ask({ command: 'reload' })),
  );
  assert.ok(replies.every(({ ok }) => ok));
  const { arbiter: self } = await arbiter.status();
  assert.ok(self.generation <= 4, `generation ${self.generation}`);
});

test('settings that cannot be read leave everything as it was', async (t) => {
  const arbiter = await startArbiter(t, { workers: 1 });
  const before = await arbiter.serving();
  arbiter.setConfigText('{');
  assert.deepEqual(await arbiter.ask({ command: 'reload' }), {
    ok: false,
    problems: ['Cannot read the settings'],
  });
  const { arbiter: self } = await arbiter.status();
  assert.equal(self.generation, 1);
  assert.equal(self.lastReload?.ok, false);
  assert.deepEqual(await arbiter.serving(), before);
});

test('an app that fails leaves the old one serving, and the edge with the old settings', async (t) => {
  const arbiter = await startArbiter(t, { workers: 2 });
  const { workers } = await arbiter.statusIs('all serve', (status) =>
    status.workers.every(({ phase }) => phase === 'serving'),
  );
  arbiter.setConfig({
    env: { FAKE_WORKER: 'boot-failed' },
    bind: [
      { kind: 'tcp', host: '127.0.0.1', port: 0, tls: false },
      { kind: 'tcp', host: '127.0.0.2', port: 0, tls: false },
    ],
  });
  const reply = await arbiter.ask({ command: 'reload' });
  assert.ok(!reply.ok);
  assert.match(reply.problems.join(), /failed to boot: Cannot find module app\.js/);
  const after = await arbiter.statusIs(
    'only the old ones',
    (status) => status.workers.length === 2,
  );
  assert.deepEqual(
    after.workers.map(({ id }) => id),
    workers.map(({ id }) => id),
  );
  assert.equal(after.binds.length, 1);
  const edge = await arbiter.edge();
  assert.deepEqual(edge.config.env, {});
  const told = edge.log.filter((type) => type !== 'gone' && type !== 'report');
  assert.deepEqual(told.slice(-2), ['unlisten', 'configure']);
  arbiter.setConfig({ env: {} });
  assert.ok((await arbiter.ask({ command: 'reload' })).ok, 'the next reload works');
});

test('an edge that refuses the settings, or dies of them, fails the reload', async (t) => {
  const arbiter = await startArbiter(t, { workers: 1 });
  const before = await arbiter.serving();
  arbiter.setConfig({ env: { FAKE_EDGE: 'refuse' } });
  const refused = await arbiter.ask({ command: 'reload' });
  assert.ok(!refused.ok);
  assert.match(refused.problems.join(), /refused the new settings: as the test asked/);
  arbiter.setConfig({ env: { FAKE_EDGE: 'die' } });
  const died = await arbiter.ask({ command: 'reload' });
  assert.ok(!died.ok);
  assert.match(died.problems.join(), /failed while it took on the new settings/);
  await arbiter.statusIs('a new edge', ({ edges }) => edges[0]?.phase === 'serving');
  assert.deepEqual((await arbiter.edge()).config.env, {});
  assert.deepEqual(await arbiter.serving(), before);
});

test('a reload adds and removes addresses; one that is taken fails it', async (t) => {
  const first = { kind: 'tcp', host: '127.0.0.1', port: 0, tls: false } as const;
  const second = { kind: 'tcp', host: '127.0.0.2', port: 0, tls: false } as const;
  const arbiter = await startArbiter(t, { bind: [first] });
  const [{ url: kept } = { url: '' }] = (await arbiter.status()).binds;
  arbiter.setConfig({ bind: [first, second] });
  assert.ok((await arbiter.ask({ command: 'reload' })).ok);
  const added = (await arbiter.status()).binds.map(({ url }) => url);
  assert.equal(added[0], kept, 'the first kept its port');
  assert.match(arbiter.log(), new RegExp(`Listening at: ${added[1]}`));
  assert.ok((await arbiter.edge(added[1])).pid > 0);

  const taken = createServer().listen(0, '127.0.0.3');
  t.after(() => taken.close());
  await until('the port', () => (taken.listening ? true : null));
  const { port } = taken.address() as { port: number };
  arbiter.setConfig({ bind: [first, { kind: 'tcp', host: '127.0.0.3', port, tls: false }] });
  const reply = await arbiter.ask({ command: 'reload' });
  assert.ok(!reply.ok);
  assert.match(reply.problems.join(), /in use/);
  assert.equal((await arbiter.status()).binds.length, 2);

  arbiter.setConfig({ bind: [first] });
  assert.ok((await arbiter.ask({ command: 'reload' })).ok);
  await until('the second address to refuse', async () =>
    arbiter.edge(added[1]).then(
      () => null,
      () => true,
    ),
  );
  assert.ok((await arbiter.edge()).pid > 0);
});

test('--reload replaces the workers when a file of the app changes, and only then', async (t) => {
  const dir = tempDir(t);
  mkdirSync(join(dir, 'node_modules'));
  writeFileSync(join(dir, 'app.js'), '1');
  const arbiter = await startArbiter(t, { reload: true, chdir: dir, workers: 1 });
  const [before] = await arbiter.serving();
  writeFileSync(join(dir, 'node_modules', 'x.js'), '1');
  writeFileSync(join(dir, 'app.log'), '1');
  mkdirSync(join(dir, 'lib'));
  await until('the watch of a new directory', async () => {
    writeFileSync(join(dir, 'lib', 'part.js'), String(Math.random()));
    return /Reloading: lib/.test(arbiter.log()) ? true : null;
  });
  await arbiter.statusIs(
    'another worker',
    ({ workers }) => workers.length === 1 && workers[0]?.pid !== before,
  );
  assert.doesNotMatch(arbiter.log(), /node_modules|app\.log/);
});
