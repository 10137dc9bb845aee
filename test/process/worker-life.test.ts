// A worker's life: streams, errors, signals, heartbeats, limits, drain, threads.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Link } from '../../src/link/link.ts';
import { until } from '../helpers/until.ts';
import { ask, open, spawnWorker, startWorker } from '../helpers/worker.ts';

const app = 'basic/esm.mjs';

test('request content of 3 MB arrives whole', async (t) => {
  const { link } = await startWorker(t, app);
  const body = Buffer.alloc(3_000_000, 'portico');
  const answer = await ask(link, { target: '/digest', body });
  assert.deepEqual(answer.json(), {
    bytes: body.length,
    sha256: createHash('sha256').update(body).digest('hex'),
  });
});

test('content streams both ways at once', async (t) => {
  const { link } = await startWorker(t, app);
  const echo = open(link, { target: '/echo' }, { unfinished: true });
  echo.stream.write(Buffer.from('one '));
  await until(
    'the first piece',
    () => echo.received(),
    (bytes) => bytes === 4,
  );
  echo.stream.write(Buffer.from('two'));
  echo.stream.end([]);
  assert.equal((await echo.answer).text(), 'one two');
});

test('an app that writes faster than the client reads is made to wait', async (t) => {
  const { link } = await startWorker(t, app);
  const big = open(link, '/big?chunks=1000', { paused: true });
  await big.head;
  const written = async () => (await ask(link, '/written')).json().chunks as number;
  const stopped = await until(
    'the app to wait',
    async () => {
      const before = await written();
      for (let i = 0; i < 50; i++) await ask(link, '/');
      return { before, now: await written() };
    },
    ({ before, now }) => before === now,
  );
  assert.ok(stopped.now < 100, `${stopped.now} chunks of 16 KB written`);
  big.resume();
  assert.equal((await big.answer).body.length, 1000 * 16 * 1024);
});

test('a client that leaves is seen by the app', async (t) => {
  const { link } = await startWorker(t, app);
  const waiting = open(link, '/wait?key=a');
  await allWaiting(link, ['a']);
  waiting.stream.cancel();
  const state = () => ask(link, '/waiting').then((answer) => answer.json());
  await until('the abort', state, ({ aborted }) => aborted === 1);
});

test('a handler that throws or rejects answers 500, is logged, and the worker goes on', async (t) => {
  const { worker, link } = await startWorker(t, app);
  for (const [target, text] of [
    ['/throw', 'thrown on purpose'],
    ['/reject', 'rejected on purpose'],
  ] as const) {
    const answer = await ask(link, target);
    assert.deepEqual([answer.status, answer.text()], [500, 'Internal Server Error\n']);
    await worker.logged(new RegExp(`${text}\\n +at .*routes\\.mjs:\\d+`));
  }
  assert.doesNotMatch(worker.log(), /dist\/worker/);
  assert.equal((await ask(link, '/')).text(), 'hello');
});

test('a response that was begun and then fails is cut, never ended', async (t) => {
  const { link } = await startWorker(t, app);
  for (const target of ['/throw-late', '/cut']) {
    const answer = await ask(link, target);
    assert.equal(answer.failure?.code, 'WORKER_RESET', target);
  }
});

for (const [target, text] of [
  ['/uncaught', 'uncaught on purpose'],
  ['/unhandled', 'unhandled on purpose'],
] as const) {
  test(`${target}: an error nobody caught is logged once and ends the worker with code 1`, async (t) => {
    const { worker, link } = await startWorker(t, app);
    const answer = await ask(link, target);
    assert.equal(answer.failure?.code, 'WORKER_DIED');
    assert.equal(await worker.exited, 1);
    assert.match(worker.log(), /\[CRITICAL\] worker 2: uncaught error in the app/);
    assert.equal(worker.log().split(text).length, 2, worker.log());
  });
}

test('it beats with what it has in flight and has served', async (t) => {
  const { worker, link } = await startWorker(t, app, { config: { timeoutMs: 300 } });
  await ask(link, '/');
  const waiting = open(link, '/wait?key=a');
  await until(
    'a heartbeat that says so',
    () => worker.messages.at(-1),
    (last) =>
      last?.type === 'heartbeat' && last.inFlight === 1 && last.served === 1 && last.rssBytes > 1e6,
  );
  waiting.stream.cancel();
});

test('a blocked event loop beats no more', async (t) => {
  const { worker, link } = await startWorker(t, app, { config: { timeoutMs: 300 } });
  await worker.heard('heartbeat');
  open(link, '/block');
  const count = () => worker.messages.length;
  await until('silence', async () => {
    const before = count();
    await new Promise((resolve) => setTimeout(resolve, 400));
    return count() === before;
  });
});

test('a sync worker does not beat for a request that takes longer than the timeout', async (t) => {
  const { worker, link } = await startWorker(t, app, {
    config: { timeoutMs: 200, workerClass: 'sync' },
  });
  await worker.heard('heartbeat');
  const waiting = open(link, '/wait?key=a');
  const beats = () => worker.messages.length;
  await until('silence', async () => {
    const before = beats();
    await new Promise((resolve) => setTimeout(resolve, 300));
    return beats() === before;
  });
  waiting.stream.cancel();
  const before = beats();
  await until(
    'beats after the request',
    () => beats(),
    (now) => now > before,
  );
});

test('max-requests asks to be retired once and serves on until it is drained', async (t) => {
  const { worker, link } = await startWorker(t, app, { maxRequests: 3 });
  for (let i = 0; i < 5; i++) assert.equal((await ask(link, '/')).status, 200);
  await worker.heard('retire');
  worker.send({ type: 'drain', deadlineMs: 5000 });
  assert.equal(await worker.exited, 0);
  assert.equal(worker.messages.filter(({ type }) => type === 'retire').length, 1);
});

test('a drain lets the requests in flight end, takes no new ones, and leaves with code 0', async (t) => {
  const { worker, link } = await startWorker(t, app);
  const waiting = open(link, '/wait?key=a');
  const releasing = open(link, { target: '/digest' }, { unfinished: true });
  await allWaiting(link, ['a']);
  worker.send({ type: 'drain', deadlineMs: 20_000 });
  await worker.logged(/draining/);
  const socket = (await worker.heard('ready')).sockets[0]!;
  await until('the socket to go', () => !existsSync(socket));
  releasing.stream.end([]);
  assert.equal((await releasing.answer).json().bytes, 0);
  waiting.stream.cancel();
  assert.equal(await worker.exited, 0);
});

test('at the deadline what is left is cut, counted in the log, and the code is 0', async (t) => {
  const { worker, link } = await startWorker(t, app);
  const waiting = open(link, '/wait?key=a');
  await allWaiting(link, ['a']);
  worker.send({ type: 'drain', deadlineMs: 100 });
  assert.equal(await worker.exited, 0);
  assert.equal((await waiting.answer).failure?.code, 'WORKER_DIED');
  assert.match(worker.log(), /cut 1 requests? that did not end within 100 ms/);
});

test('a drain with no time leaves at once', async (t) => {
  const { worker, link } = await startWorker(t, app);
  open(link, '/wait?key=a');
  await allWaiting(link, ['a']);
  worker.send({ type: 'drain', deadlineMs: 0 });
  assert.equal(await worker.exited, 0);
});

test("the app's SIGTERM listener hears of the end after the last request, not before", async (t) => {
  const notes = notesFile(t);
  const { worker, link } = await startWorker(t, 'basic/hooks.mjs', { env: { NOTES: notes } });
  const waiting = open(link, '/wait?key=a');
  await allWaiting(link, ['a']);
  // As when systemd or a terminal signals the whole process group.
  worker.signal('SIGINT');
  worker.signal('SIGTERM');
  await worker.heard('retire');
  worker.send({ type: 'drain', deadlineMs: 20_000 });
  await worker.logged(/draining/);
  worker.signal('SIGTERM');
  assert.equal(existsSync(notes), false);
  waiting.stream.cancel();
  assert.equal(await worker.exited, 0);
  assert.equal(readFileSync(notes, 'utf8'), 'SIGTERM\nclosed\n');
});

test('an app whose SIGTERM listener raises the signal once more ends with code 0', async (t) => {
  const { worker } = await startWorker(t, 'basic/reraise.mjs');
  worker.send({ type: 'drain', deadlineMs: 20_000 });
  assert.equal(await worker.exited, 0);
});

test('TERM asks to be replaced and serves on, a second one drains; QUIT leaves at once, INT is left to the arbiter', async (t) => {
  const first = await startWorker(t, app);
  first.worker.signal('SIGINT');
  assert.equal((await ask(first.link, '/')).status, 200);
  first.worker.signal('SIGTERM');
  await first.worker.heard('retire');
  assert.equal((await ask(first.link, '/')).status, 200);
  first.worker.signal('SIGTERM');
  assert.equal(await first.worker.exited, 0);
  const second = await startWorker(t, app);
  open(second.link, '/wait?key=a');
  await allWaiting(second.link, ['a']);
  second.worker.signal('SIGQUIT');
  assert.equal(await second.worker.exited, 0);
});

test('USR1 opens no inspector, and HUP and USR2 end nothing', async (t) => {
  const { worker, link } = await startWorker(t, app);
  for (const signal of ['SIGUSR1', 'SIGHUP', 'SIGUSR2'] as const) worker.signal(signal);
  assert.equal((await ask(link, '/')).status, 200);
  assert.doesNotMatch(worker.log(), /Debugger listening/);
});

test('the event log is opened anew on USR1 and when asked', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'portico-log-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const file = join(dir, 'error.log');
  const { worker, link } = await startWorker(t, app, { config: { errorLogfile: file } });
  for (const reopen of [
    () => worker.signal('SIGUSR1'),
    () => worker.send({ type: 'reopen-logs' }),
  ]) {
    await ask(link, '/throw');
    rmSync(file);
    reopen();
    await until('the new file', () => existsSync(file));
  }
});

test('it leaves when the arbiter is gone, after a last moment for what is in flight', async (t) => {
  const { worker, link } = await startWorker(t, app);
  const slow = open(link, { target: '/digest' }, { unfinished: true });
  await ask(link, '/');
  worker.disconnect();
  await worker.logged(/draining/);
  slow.stream.end([]);
  assert.equal((await slow.answer).status, 200);
  assert.equal(await worker.exited, 0);
});

test('it leaves when the arbiter is gone while it drains', async (t) => {
  const { worker, link } = await startWorker(t, app);
  open(link, '/wait?key=a');
  await allWaiting(link, ['a']);
  worker.send({ type: 'drain', deadlineMs: 600_000 });
  await worker.logged(/draining/);
  worker.disconnect();
  assert.equal(await worker.exited, 0);
});

test('it leaves when the arbiter is gone while the app still loads', async (t) => {
  const worker = spawnWorker(t, 'broken/slow.mjs');
  await worker.logged(/loading/);
  worker.disconnect();
  assert.equal(await worker.exited, 0);
});

test('plain HTTP on its socket is served, counted and waited for by a drain; nonsense is refused', async (t) => {
  const { worker } = await startWorker(t, app);
  const say = async (text: string): Promise<string> => {
    const socket = connect((await worker.heard('ready')).sockets[0]!);
    let answer = '';
    socket.setEncoding('latin1').on('data', (piece: string) => {
      answer += piece;
    });
    socket.write(text);
    await once(socket, 'close');
    return answer;
  };
  const get = 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
  assert.match(await say(get), /^HTTP\/1\.1 200 OK\r\n[\s\S]*hello/);
  assert.match(await say('nonsense\r\n\r\n'), /^HTTP\/1\.1 400 Bad Request\r\n/);
  assert.equal(await say('PORTICO-CLIENT nonsense\n'), '');
  await worker.logged(/says nonsense about its client/);
  const waiting = say(get.replace('/', '/wait?key=plain'));
  await until(
    'an answer beside it',
    async () => (await say(get.replace('/', '/in-flight'))) !== '',
  );
  worker.send({ type: 'drain', deadlineMs: 300 });
  assert.equal(await worker.exited, 0);
  await waiting;
  await worker.logged(/cut 1 requests/);
});

test('threads: each has its socket, heartbeats add up, retire and drain work for all', async (t) => {
  const { worker, link } = await startWorker(t, app, {
    config: { workerClass: 'threads', threads: 3, timeoutMs: 600 },
    maxRequests: 4,
  });
  const { sockets } = await worker.heard('ready');
  assert.deepEqual(
    sockets,
    [1, 2, 3].map((index) => join(worker.dir, `worker-7-${index}.sock`)),
  );
  const links = [link, await worker.connect(sockets[1]), await worker.connect(sockets[2])];
  for (const each of links) assert.equal((await ask(each, '/')).text(), 'hello');
  const waiting = open(links[1]!, '/wait?key=a');
  await until(
    'a heartbeat of all threads',
    async () => worker.messages.findLast(({ type }) => type === 'heartbeat'),
    (beat) => beat?.type === 'heartbeat' && beat.inFlight === 1 && beat.served === 3,
  );
  await worker.heard('retire');
  worker.send({ type: 'drain', deadlineMs: 20_000 });
  await until('the socket to go', () => !existsSync(sockets[1]!));
  waiting.stream.cancel();
  assert.equal(await worker.exited, 0);
});

test('threads: one that hangs stops the heartbeats, one that dies ends the worker', async (t) => {
  const config = { workerClass: 'threads', threads: 2, timeoutMs: 300 } as const;
  const hanging = await startWorker(t, app, { config });
  open(hanging.link, '/block');
  const count = () => hanging.worker.messages.length;
  await until('silence', async () => {
    const before = count();
    await new Promise((resolve) => setTimeout(resolve, 500));
    return count() === before;
  });
  const dying = await startWorker(t, app, { config });
  await ask(dying.link, '/uncaught');
  assert.equal(await dying.worker.exited, 1);
  assert.match(dying.worker.log(), /thread 1 ended .*\n.*uncaught on purpose/);
});

for (const [broken, reason] of [
  ['broken/throws.cjs', /Cannot read properties of undefined/],
  ['broken/never.mjs', /awaits something that never comes/],
  ['broken/exits.mjs', /ended/],
] as const) {
  test(`threads: ${broken} fails the boot`, async (t) => {
    const config = { workerClass: 'threads', threads: 2 } as const;
    const worker = spawnWorker(t, broken, { config });
    assert.match((await worker.heard('boot-failed')).reason, reason);
    assert.equal(await worker.exited, 4);
  });
}

function notesFile(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'portico-notes-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return join(dir, 'notes');
}

async function allWaiting(link: Link, keys: string[]): Promise<void> {
  const state = () => ask(link, '/waiting').then((answer) => answer.json());
  await until(
    `${keys} to be in the app`,
    state,
    (now) => JSON.stringify(now.keys) === JSON.stringify(keys),
  );
}
