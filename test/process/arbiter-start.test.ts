// The arbiter as a process over fake children: how it starts, when it does not, and how it stops.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { isGone, startArbiter, tempDir } from '../helpers/arbiter.ts';
import { until } from '../helpers/until.ts';

test('starts, says where it listens, and leaves nothing behind', async (t) => {
  const dir = tempDir(t);
  const pid = join(dir, 'portico.pid');
  const socket = join(dir, 'public.sock');
  const arbiter = await startArbiter(t, {
    pid,
    umask: 0o027,
    bind: [
      { kind: 'tcp', host: '127.0.0.1', port: 0, tls: false },
      { kind: 'unix', path: socket, tls: false },
    ],
  });
  assert.match(
    arbiter.log(),
    /Starting portico test[\s\S]*Using worker: async[\s\S]*Booting worker/,
  );
  assert.equal(readFileSync(pid, 'utf8'), `${arbiter.pid}\n`);
  assert.equal(statSync(socket).mode & 0o777, 0o750);
  assert.equal(statSync(arbiter.runtimeDir).mode & 0o777, 0o700);
  assert.equal(statSync(join(arbiter.runtimeDir, 'control.sock')).mode & 0o777, 0o600);
  const edge = await arbiter.edge();
  assert.ok(edge.workers.length >= 1);
  const status = await arbiter.statusIs('two workers', ({ workers }) =>
    workers.every(({ phase }) => phase === 'serving'),
  );
  assert.equal(status.arbiter.pid, arbiter.pid);
  assert.equal(status.arbiter.phase, 'running');
  assert.equal(status.edges[0]?.status?.requestsServed, 7);
  assert.deepEqual(
    status.workers.map(({ slot }) => slot),
    [1, 2],
  );
  arbiter.signal('SIGTERM');
  assert.equal(await arbiter.exited, 0);
  for (const path of [pid, socket, arbiter.runtimeDir]) assert.ok(!existsSync(path), path);
});

test('an app that fails at the first start ends the program with its exit code', async (t) => {
  const failed = await startArbiter(t, { env: { FAKE_WORKER: 'boot-failed' } }, { waits: false });
  assert.equal(await failed.exited, 4);
  await failed.logged(/failed to boot: Cannot find module app\.js/);
  const ended = await startArbiter(t, { env: { FAKE_WORKER: 'exit-at-boot' } }, { waits: false });
  assert.equal(await ended.exited, 3);
  await ended.logged(/it ended before it was ready: exit code 7/);
  const lost = await startArbiter(t, { chdir: '/does/not/exist' }, { waits: false });
  assert.equal(await lost.exited, 3);
  const stranger = await startArbiter(
    t,
    { env: { FAKE_WORKER: 'foreign-socket' } },
    { waits: false },
  );
  assert.equal(await stranger.exited, 3);
  await stranger.logged(/sockets that are not its own/);
});

test('an edge that fails at the first start ends the program', async (t) => {
  const arbiter = await startArbiter(t, { env: { FAKE_EDGE: 'refuse' } }, { waits: false });
  assert.equal(await arbiter.exited, 1);
  await arbiter.logged(/edge 1 \(pid \d+\) could not start: as the test asked/);
});

test('INT is quick, also with children that will not leave', async (t) => {
  const arbiter = await startArbiter(
    t,
    { gracefulTimeoutMs: 60_000, env: { FAKE_WORKER: 'stuck' } },
    { env: { FAKE_EDGE: 'stuck' } },
  );
  const { edges, workers } = await arbiter.status();
  arbiter.signal('SIGINT');
  assert.equal(await arbiter.exited, 0);
  for (const { pid } of [...edges, ...workers]) assert.ok(isGone(pid as number));
});

test('a second TERM is in a hurry', async (t) => {
  const arbiter = await startArbiter(
    t,
    { gracefulTimeoutMs: 60_000 },
    { env: { FAKE_EDGE: 'stuck' } },
  );
  arbiter.signal('SIGTERM');
  await arbiter.statusIs('stopping', ({ arbiter: { phase } }) => phase === 'stopping');
  arbiter.signal('SIGTERM');
  assert.equal(await arbiter.exited, 0);
});

test('a stop refuses new connections at once, while requests in flight still have their time', async (t) => {
  const path = join(tempDir(t), 'p.sock');
  const arbiter = await startArbiter(
    t,
    {
      bind: [
        { kind: 'tcp', host: '127.0.0.1', port: 0, tls: false },
        { kind: 'unix', path, tls: false },
      ],
    },
    { env: { FAKE_EDGE: 'lingers' } },
  );
  const [url = ''] = (await arbiter.status()).binds.map((bind) => bind.url);
  const { port } = new URL(url);
  arbiter.signal('SIGTERM');
  await until('a refusal', () => isRefused(Number(port)));
  await until("the Unix socket's file to go", () => (existsSync(path) ? null : true));
  assert.equal((await arbiter.status()).arbiter.phase, 'stopping');
  arbiter.signal('SIGTERM');
  assert.equal(await arbiter.exited, 0);
});

/** true when a connection is refused, null when it is taken in. */
/** True: nothing listens there. A connection that the kernel had taken for a socket that then closed is reset. */
function isRefused(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(false);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED') resolve(true);
      else if (error.code === 'ECONNRESET') resolve(false);
      else reject(error);
    });
  });
}

test('stop is answered when everything has ended', async (t) => {
  const arbiter = await startArbiter(t);
  const pids = await arbiter.serving();
  assert.deepEqual(await arbiter.ask({ command: 'stop' }), {
    ...{ ok: true, command: 'stop', pid: arbiter.pid },
  });
  for (const pid of pids) assert.ok(isGone(pid));
  assert.equal(await arbiter.exited, 0);
});

test('children leave when the arbiter is killed, and the next start cleans up', async (t) => {
  const dir = tempDir(t);
  const runtimeDir = join(dir, 'run');
  const changes = {
    runtimeDir,
    bind: [{ kind: 'unix', path: join(dir, 'p.sock'), tls: false }],
  } as const;
  const killed = await startArbiter(t, changes, { waits: false });
  await killed.logged(/Listening at: unix:/);
  const pids = [...killed.log().matchAll(/with pid: (\d+)/g)].map(([, pid]) => Number(pid));
  assert.equal(pids.length, 3);
  killed.signal('SIGKILL');
  assert.equal(await killed.exited, 'SIGKILL');
  await until('the children to leave', () => (pids.every(isGone) ? true : null));
  assert.ok(existsSync(join(runtimeDir, 'control.sock')));
  const next = await startArbiter(t, changes, { waits: false });
  await next.logged(/Listening at: unix:/);
});

test('directories of dead instances are cleared by name: what is not ours stays', async (t) => {
  const base = tempDir(t);
  const [dead, odd] = [join(base, 'portico/999999998'), join(base, 'portico/999999999')];
  const foreign = join(odd, 'workers/tree/1.sock');
  for (const dir of [join(dead, 'workers'), join(foreign, '..')]) {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
  }
  chmodSync(join(base, 'portico'), 0o700);
  writeFileSync(foreign, '');
  const listener = createServer().listen(join(dead, 'workers/1-0.sock'));
  await once(listener, 'listening');
  const options = { ownRuntimeDir: false, env: { XDG_RUNTIME_DIR: base } };
  await startArbiter(t, { workers: 1 }, options);
  listener.close();
  assert.deepEqual([existsSync(dead), existsSync(foreign)], [false, true]);
});

test('an address, a runtime directory or a pidfile of somebody else stops the start', async (t) => {
  const dir = tempDir(t);
  const pid = join(dir, 'portico.pid');
  const first = await startArbiter(t, { pid });
  const port = Number(new URL((await first.status()).binds[0]?.url ?? '').port);
  const refusals = [
    [
      { bind: [{ kind: 'tcp', host: '127.0.0.1', port, tls: false } as const] },
      /in use by another program/,
    ],
    [{ runtimeDir: first.runtimeDir }, /is another instance's/],
    [{ pid }, /Already running with pid/],
    [
      { bind: [{ kind: 'tcp', host: '192.0.2.1', port: 0, tls: false } as const] },
      /does not have the address/,
    ],
    [
      { bind: [{ kind: 'unix', path: join(dir, 'none', 'x'), tls: false } as const] },
      /Cannot listen at/,
    ],
    [{ runtimeDir: join(dir, 'x'.repeat(90)) }, /too long for Unix sockets/],
    [{ user: 'no-such-user' }, /There is no user "no-such-user"/],
    [{ errorLogfile: dir }, /Cannot open the error log/],
  ] as const;
  for (const [changes, why] of refusals) {
    const refused = await startArbiter(t, changes, { waits: false });
    assert.equal(await refused.exited, 1, String(why));
    await refused.logged(why);
  }
  assert.equal((await first.status()).arbiter.phase, 'running');
  assert.equal(readFileSync(pid, 'utf8'), `${first.pid}\n`);
  // Ours no more: whoever wrote it wants it.
  writeFileSync(pid, '1\n');
  await first.ask({ command: 'stop' });
  assert.equal(readFileSync(pid, 'utf8'), '1\n');
  writeFileSync(pid, '999999999\n');
  const next = await startArbiter(t, { pid });
  assert.equal(readFileSync(pid, 'utf8'), `${next.pid}\n`, 'a stale pidfile is replaced');
});
