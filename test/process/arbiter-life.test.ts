// The arbiter as a process over fake children: what is lost is replaced, and signals are heeded.

import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { isGone, startArbiter, tempDir } from '../helpers/arbiter.ts';
import { until } from '../helpers/until.ts';

test('a worker that is killed is replaced in its slot, and the edge knows', async (t) => {
  const arbiter = await startArbiter(t);
  const [victim] = (
    await arbiter.statusIs('all serve', ({ workers }) =>
      workers.every(({ phase }) => phase === 'serving'),
    )
  ).workers;
  process.kill(victim?.pid as number, 'SIGKILL');
  const { workers } = await arbiter.statusIs('another in the slot', (status) =>
    status.workers.some((w) => w.slot === 1 && w.id !== victim?.id && w.phase === 'serving'),
  );
  assert.match(arbiter.log(), /worker 1 \(pid \d+\) ended unexpectedly: signal SIGKILL/);
  assert.deepEqual(
    (await arbiter.edge()).workers.map(({ id }) => id).sort(),
    workers.map(({ id }) => id).sort(),
  );
});

test('an edge that is killed is replaced, and nobody is refused meanwhile', async (t) => {
  const arbiter = await startArbiter(t);
  const former = await arbiter.edge();
  process.kill(former.pid, 'SIGKILL');
  await until('its end', () => (isGone(former.pid) ? true : null));
  const answers = await Promise.all(Array.from({ length: 10 }, () => arbiter.edge()));
  assert.ok(answers.every(({ pid }) => pid !== former.pid));
  const { workers } = await arbiter.edge();
  assert.deepEqual(workers.map(({ slot }) => slot).sort(), [1, 2]);
});

test('a worker that hangs is killed after the timeout, and the log says so', async (t) => {
  const arbiter = await startArbiter(t, {
    workers: 1,
    timeoutMs: 1000,
    env: { FAKE_WORKER: 'hang' },
  });
  await arbiter.logged(
    /worker 1 \(pid \d+\) did not answer for 1\.\d s: killing it \(lastHeartbeat=\{"agoMs":1\d{3},"inFlight":0,/,
  );
  await arbiter.logged(/worker 1 \(pid \d+\) has left: signal SIGABRT/);
  await arbiter.statusIs('another', ({ workers }) => workers.some(({ id }) => id > 2));
});

test('workers that ask to be replaced are, in their slot', async (t) => {
  const arbiter = await startArbiter(t, { workers: 1 });
  arbiter.setConfig({ workers: 1, env: { FAKE_WORKER: 'retire' } });
  assert.ok((await arbiter.ask({ command: 'reload' })).ok);
  // Workers with low ids ask to be replaced as soon as they serve.
  await arbiter.logged(/worker 1 \(pid \d+\) is to be replaced: maxRequests/);
  await arbiter.statusIs('one that stays', ({ workers }) =>
    workers.every(({ id, phase, slot }) => id >= 5 && phase === 'serving' && slot === 1),
  );
});

test('TTIN, TTOU and scale change the number of workers, but never to none', async (t) => {
  const arbiter = await startArbiter(t, { workers: 1 });
  const count = (wanted: number) =>
    arbiter.statusIs(
      `${wanted} workers`,
      ({ workers }) =>
        workers.length === wanted && workers.every(({ phase }) => phase === 'serving'),
    );
  arbiter.signal('SIGTTIN');
  await count(2);
  arbiter.signal('SIGTTOU');
  await count(1);
  arbiter.signal('SIGTTOU');
  await arbiter.logged(/ttou[\s\S]*ttou/);
  await count(1);
  assert.deepEqual(await arbiter.ask({ command: 'scale', workers: 4 }), {
    ok: true,
    command: 'scale',
    workers: 4,
  });
  await count(4);
  await arbiter.ask({ command: 'reload' });
  await count(1);
});

test('WINCH sends all workers away, HUP brings them back', async (t) => {
  const arbiter = await startArbiter(t);
  arbiter.signal('SIGWINCH');
  await arbiter.logged(/Handling signal: winch/);
  await arbiter.statusIs('no workers', ({ workers }) => workers.length === 0);
  assert.deepEqual((await arbiter.edge()).workers, []);
  arbiter.signal('SIGHUP');
  await arbiter.statusIs(
    'two workers',
    ({ workers }) => workers.length === 2 && workers.every(({ phase }) => phase === 'serving'),
  );
});

test('USR1 reopens the logs everywhere; USR2 ends nothing', async (t) => {
  const dir = tempDir(t);
  const file = join(dir, 'error.log');
  const arbiter = await startArbiter(t, { errorLogfile: file, workers: 1 }, { waits: false });
  await until('the start', () =>
    existsSync(file) && /Listening at/.test(readFileSync(file, 'utf8')) ? true : null,
  );
  writeFileSync(file, '');
  arbiter.signal('SIGUSR1');
  arbiter.signal('SIGUSR2');
  await arbiter.logged(/worker reopens/);
  await until('USR2 in the log', () =>
    /USR2 \(binary upgrade\) is not supported/.test(readFileSync(file, 'utf8')) ? true : null,
  );
  assert.equal((await arbiter.serving()).length, 1);
});

test('a worker that talks junk on its channel does no harm', async (t) => {
  const arbiter = await startArbiter(t, { workers: 1, env: { FAKE_WORKER: 'flood' } });
  await arbiter.logged(/worker 1 \(pid \d+\) said a line that is not JSON .* ignored/);
  assert.equal((await arbiter.serving()).length, 1);
  assert.equal([...arbiter.log().matchAll(/is not JSON/g)].length, 1);
});
