// Several edges, or machines, on one directory: one gets a certificate, all serve it; what a killed one left is taken over.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { LockFile } from '../../src/edge/acme/lock-file.ts';
import {
  type RunningAcme,
  startAcme,
  startResponders,
  temporaryDirectory,
} from '../helpers/acme.ts';
import { type Asked, json, problem, startFront } from '../helpers/ca-front.ts';
import { needs } from '../helpers/need.ts';
import { startPebble } from '../helpers/pebble.ts';
import type { Owner } from '../helpers/portico.ts';
import { until } from '../helpers/until.ts';

const pebbleIsThere = needs('pebble', 'pebble-challtestsrv');

interface Instance {
  readonly child: ChildProcess;
  readonly said: Record<string, unknown>[];
}

function startInstance(t: Owner, settings: RunningAcme['settings']): Instance {
  const program = join(import.meta.dirname, '../helpers/acme-instance.js');
  const child = spawn(process.execPath, [program, JSON.stringify(settings)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(async () => void child.kill('SIGKILL'));
  const said: Instance['said'] = [];
  let rest = '';
  child.stdout!.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop()!;
    for (const line of lines) said.push(JSON.parse(line));
  });
  return { child, said };
}

const orders = (asked: readonly Asked[]) =>
  asked.filter(({ payload }) => payload?.identifiers !== undefined);

test(
  'four processes on one directory: one order for each name, all serve all',
  pebbleIsThere,
  async (t) => {
    const ports = await startResponders(t);
    const pebble = await startPebble(t, ports);
    const front = await startFront(t, pebble);
    // Only answers: the challenges of the others, from the directory.
    const watcher = await startAcme(t, front, { acme: [] });
    ports.answers = watcher.acme.challenges;
    const settings = {
      ...watcher.settings,
      acme: ['one.example', 'two.example', 'three.example'],
      acmeChallenges: ['http-01' as const],
    };
    const instances = Array.from({ length: 4 }, () => startInstance(t, settings));
    const serials = ({ said }: Instance) =>
      Object.fromEntries(
        said.filter(({ host }) => host !== undefined).map((line) => [line.host, line.serialNumber]),
      );
    await until('certificate everywhere', () =>
      instances.every((instance) => Object.keys(serials(instance)).length === 3),
    );
    for (const instance of instances) assert.deepEqual(serials(instance), serials(instances[0]!));
    assert.equal(orders(front.asked).length, 3);
    const accounts = new Set(
      instances.flatMap(({ said }) =>
        said.filter(({ message }) => /opened an account/.test(String(message))),
      ),
    );
    assert.ok(accounts.size >= 1);
  },
);

test(
  'what a process had under way when it was killed is taken over at once',
  pebbleIsThere,
  async (t) => {
    const ports = await startResponders(t);
    const pebble = await startPebble(t, ports);
    let isHeld = true;
    const front = await startFront(t, pebble, ({ path }) =>
      isHeld && path.startsWith('/chalZ/') ? 'silence' : null,
    );
    const watcher = await startAcme(t, front, { acme: [] });
    const settings = { ...watcher.settings, acme: ['one.example'] };
    const killed = startInstance(t, settings);
    await until('challenge', () => front.asked.some(({ path }) => path.startsWith('/chalZ/')));
    const next = await startAcme(t, front, settings);
    ports.answers = next.acme.challenges;
    await next.until('waiting', () => next.acme.status()[0]?.phase === 'waiting');
    assert.equal(orders(front.asked).length, 1, 'the second waits for the first');
    isHeld = false;
    killed.child.kill('SIGKILL');
    await next.issued('one.example');
    assert.equal(orders(front.asked).length, 2);
  },
);

test('a process that is asked to stop lets go of its lock', pebbleIsThere, async (t) => {
  const ports = await startResponders(t);
  const pebble = await startPebble(t, ports);
  let isHeld = true;
  const front = await startFront(t, pebble, ({ path }) =>
    isHeld && path.startsWith('/chalZ/') ? 'silence' : null,
  );
  const first = await startAcme(t, front);
  await until('challenge', () => front.asked.some(({ path }) => path.startsWith('/chalZ/')));
  isHeld = false;
  await first.acme.close();
  assert.equal(first.acme.status()[0]?.failures, 0, 'that is no failure');
  const next = await startAcme(t, front, first.settings);
  ports.answers = next.acme.challenges;
  await next.issued('one.example');
});

test('a lock that stands still is taken over, one that is stirred is not', async (t) => {
  const path = join(temporaryDirectory(t), 'x.lock');
  const times = { beatMs: 20, staleMs: 200 };
  // Of another machine: its pid says nothing here.
  const foreign = (beat: number) =>
    writeFileSync(path, JSON.stringify({ id: 'a', pid: 1, place: 'elsewhere', beat }));
  const waiting = new LockFile(path, times);
  const deadline = performance.now() + 600;
  for (let beat = 0; performance.now() < deadline; beat++) {
    foreign(beat);
    assert.equal(await waiting.tryTake(), null, 'it is stirred');
    await sleep(20);
  }
  let taken = null;
  for (let looks = 0; taken === null; looks++) {
    assert.ok(looks < 1000);
    taken = await waiting.tryTake();
    await sleep(5);
  }
  // It is stirred by itself now.
  const first = readFileSync(path, 'utf8');
  await until('beat', () => readFileSync(path, 'utf8') !== first);
  assert.equal(await new LockFile(path, times).tryTake(), null);
  await taken.release();
  assert.notEqual(await new LockFile(path, times).tryTake(), null);
});

test('who has lost the lock hears of it, and does not take it from its new owner', async (t) => {
  const path = join(temporaryDirectory(t), 'x.lock');
  const lock = await new LockFile(path).tryTake();
  await lock!.check();
  const other = JSON.stringify({ id: 'b', pid: 1, place: 'elsewhere', beat: 1 });
  writeFileSync(path, other);
  await assert.rejects(lock!.check(), /another instance has taken over/);
  await lock!.release();
  assert.equal(readFileSync(path, 'utf8'), other);
});

test('of many that find a stale lock, one takes it', async (t) => {
  const dir = temporaryDirectory(t);
  mkdirSync(dir, { recursive: true });
  for (let round = 0; round < 20; round++) {
    const path = join(dir, `${randomUUID()}.lock`);
    writeFileSync(path, '');
    const all = Array.from({ length: 8 }, () => new LockFile(path, { beatMs: 1000, staleMs: 0 }));
    const taken = [];
    for (let looks = 0; looks < 4; looks++) {
      const results = await Promise.all(all.map((file) => file.tryTake()));
      for (const lock of results) {
        if (lock === null) continue;
        taken.push(lock);
        // Whoever has it stirs it, so that it does not look stale to the others.
        await lock.check();
      }
      if (taken.length > 0) break;
    }
    assert.equal(taken.length, 1, `round ${round}`);
    await taken[0]!.check();
    await taken[0]!.release();
  }
});

test('a reload of all has a failed name tried once, by one of them', async (t) => {
  const front = await startFront(t, null, ({ path }) =>
    path === '/dir'
      ? json(200, {
          newNonce: `${front.origin}/nonce`,
          newAccount: `${front.origin}/account`,
          newOrder: `${front.origin}/order`,
        })
      : path === '/account'
        ? json(201, {}, { Location: `${front.origin}/account/1` })
        : path === '/nonce'
          ? json(200, '')
          : problem(403, 'caa', 'forbidden'),
  );
  const first = await startAcme(t, front);
  const failures = (running: RunningAcme) => running.acme.status()[0]!.failures;
  await first.until('failure', () => failures(first) === 1);
  first.jump(75_000);
  await first.until('another', () => failures(first) === 2);
  const all = [first];
  while (all.length < 4) {
    const next = await startAcme(t, front, first.settings);
    next.jump(75_000);
    all.push(next);
  }
  for (const running of all) await running.until('same state', () => failures(running) === 2);
  const tries = () => front.asked.filter(({ path }) => path === '/order').length;
  assert.equal(tries(), 2);
  // The next is three minutes away.
  for (const running of all) running.jump(61_000);
  await Promise.all(all.map((running) => running.acme.configure({ ...running.settings })));
  for (const running of all) await running.until('third', () => failures(running) === 3);
  await Promise.all(all.map((running) => running.acme.configure({ ...running.settings })));
  for (const running of all)
    await running.until('rest', () => running.acme.status()[0]!.phase === 'idle');
  assert.equal(tries(), 3);
});
