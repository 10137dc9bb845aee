// The worker class that keeps connections under Gunicorn, started as Portico starts it and asked as the edge asks.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pythonRecipe } from '../../src/arbiter/programs/recipe.ts';
import { testConfig } from '../helpers/config.ts';
import { debianPython, needsPython } from '../helpers/need.ts';
import { repositoryRoot } from '../helpers/portico.ts';
import { RawClient } from '../helpers/raw-client.ts';

const dir = join(repositoryRoot, 'test/fixtures/apps/python');
const need = needsPython('gunicorn');

interface Gunicorn {
  readonly path: string;
  readonly master: number;
  /** Resolves when the process has ended. */
  readonly exited: Promise<unknown>;
  log(): string;
  logged(pattern: RegExp): Promise<void>;
  client(): RawClient;
}

async function startGunicorn(t: TestContext, more: string[] = []): Promise<Gunicorn> {
  const own = mkdtempSync(join(tmpdir(), 'portico-gunicorn-'));
  const base = join(own, 'worker');
  const server = { name: 'gunicorn', version: '', python: debianPython, program: null } as const;
  const settings = {
    module: 'odd_app',
    workerClass: 'wsgi',
    chdir: dir,
    logLevel: 'info',
  } as const;
  const recipe = pythonRecipe({ config: testConfig(settings), server, base });
  writeFileSync(recipe.file!.path, recipe.file!.content);
  const child = spawn(recipe.program, [...recipe.args.slice(0, -1), ...more, 'odd_app:app'], {
    cwd: dir,
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log += text;
  });
  const exited = once(child, 'exit');
  const clients: RawClient[] = [];
  t.after(async () => {
    for (const client of clients) client.leave();
    child.kill('SIGKILL');
    await exited;
    rmSync(own, { recursive: true, force: true });
  });
  const until = async (what: string, isSo: () => boolean): Promise<void> => {
    for (const endMs = performance.now() + 15_000; !isSo(); await sleep(10))
      if (performance.now() > endMs) throw new Error(`no ${what}:\n${log}`);
  };
  await until('ready file', () => existsSync(recipe.readyFile!));
  const path = `${base}.sock`;
  return {
    ...{ path, master: child.pid!, exited, log: () => log },
    logged: (pattern) => until(String(pattern), () => pattern.test(log)),
    client() {
      const client = new RawClient(path);
      clients.push(client);
      return client;
    },
  };
}

const request = (target: string, method = 'GET', more = ''): string =>
  `${method} ${target} HTTP/1.1\r\nHost: a\r\n${more}\r\n`;

test('Gunicorn keeps a connection for many requests, of all kinds', need, async (t) => {
  const gunicorn = await startGunicorn(t);
  assert.match(gunicorn.log(), /Using worker: portico_gunicorn\.SyncWorker/);
  const client = gunicorn.client();
  const ask = async (target: string, method = 'GET', more = '') => {
    client.send(request(target, method, more));
    const { status, body, fields } = await client.response(method);
    assert.equal(fields.get('connection'), 'keep-alive', `${method} ${target}`);
    return [status, body];
  };
  for (let turn = 0; turn < 3; turn++) {
    assert.deepEqual(await ask('/'), [200, '1 at work']);
    // What an app says where nothing may be said would be the next response.
    assert.deepEqual(await ask('/', 'HEAD'), [200, '']);
    assert.deepEqual(await ask('/none'), [204, '']);
    assert.deepEqual(await ask('/stream'), [200, 'first\nsecond\nthird\n']);
    assert.deepEqual(await ask('/file'), [200, readFileSync(join(dir, 'odd_app.py'), 'latin1')]);
  }
  client.send(request('/echo', 'POST', 'Content-Length: 5\r\n')).send('12345');
  assert.equal((await client.response()).body, '5 bytes');
  client.send(request('/echo', 'POST', 'Transfer-Encoding: chunked\r\n'));
  client.send('3\r\nabc\r\n').send('4\r\ndefg\r\n0\r\n\r\n');
  assert.equal((await client.response()).body, '7 bytes');
});

test('content that the app leaves unread is not taken for a request', need, async (t) => {
  const client = (await startGunicorn(t)).client();
  for (let turn = 0; turn < 2; turn++) {
    client
      .send(request('/', 'POST', 'Content-Length: 100000\r\n'))
      .send('GET / HTTP'.repeat(10_000));
    assert.equal((await client.response()).body, '1 at work');
    client.send(request('/', 'POST', 'Transfer-Encoding: chunked\r\n'));
    client.send(`${(5000).toString(16)}\r\n${'x'.repeat(5000)}\r\n0\r\n\r\n`);
    assert.equal((await client.response()).body, '1 at work');
  }
  // Two at once: each is answered, in turn.
  client.send(`${request('/')}${request('/none')}`);
  assert.equal((await client.response()).status, 200);
  assert.equal((await client.response()).status, 204);
});

test('one request at a time, and idle connections hold up nobody', need, async (t) => {
  const gunicorn = await startGunicorn(t);
  const idle = [gunicorn.client(), gunicorn.client()];
  idle[0]!.send(request('/'));
  await idle[0]!.response();
  const clients = Array.from({ length: 3 }, () => gunicorn.client().send(request('/slow')));
  for (const { body } of await Promise.all(clients.map((client) => client.response())))
    assert.equal(body, '1 at work');
  for (const client of idle) {
    client.send(request('/'));
    assert.equal((await client.response()).status, 200);
  }
});

test('a request whose client has left before its turn is not begun', need, async (t) => {
  const gunicorn = await startGunicorn(t);
  const [busy, leaving, last] = [gunicorn.client(), gunicorn.client(), gunicorn.client()];
  for (const client of [busy, leaving, last]) {
    client.send(request('/'));
    await client.response();
  }
  busy.send(request('/slow'));
  await sleep(50);
  leaving.send(request('/broken'));
  leaving.leave();
  last.send(request('/'));
  assert.equal((await last.response()).status, 200);
  assert.doesNotMatch(gunicorn.log(), /broken on purpose/);
});

test('what breaks ends its connection: an app, an answer too short, no HTTP', need, async (t) => {
  const gunicorn = await startGunicorn(t);
  const broken = gunicorn.client().send(request('/broken'));
  const answer = await broken.response();
  assert.deepEqual([answer.status, answer.fields.get('connection')], [500, 'close']);
  await broken.ended();
  const breaks = gunicorn.client().send(request('/breaks'));
  await breaks.take('first\n');
  await breaks.ended();
  // The last chunk never comes: who reads sees that it is not all.
  assert.doesNotMatch(breaks.received, /0\r\n/);
  await gunicorn.logged(/pieces closed/);
  const short = gunicorn.client().send(request('/short'));
  await short.take('1 at work');
  await short.ended();
  const garbage = gunicorn.client().send('\x16\x03\x01 garbage\r\n\r\n');
  assert.equal((await garbage.response()).status, 400);
  await garbage.ended();
  const next = gunicorn.client().send(request('/'));
  assert.equal((await next.response()).status, 200);
});

test('a client that leaves in the midst of a stream ends it in the app', need, async (t) => {
  const gunicorn = await startGunicorn(t);
  const client = gunicorn.client().send(request('/stream'));
  await client.take('first\n');
  client.leave();
  await gunicorn.logged(/pieces closed/);
});

test('TERM: what is under way is answered, idle connections end', need, async (t) => {
  const gunicorn = await startGunicorn(t);
  const [busy, idle] = [gunicorn.client(), gunicorn.client()];
  for (const client of [busy, idle]) {
    client.send(request('/'));
    await client.response();
  }
  busy.send(request('/slow'));
  await sleep(50);
  process.kill(gunicorn.master, 'SIGTERM');
  // On its way before the worker could say that it ends.
  idle.send(request('/'));
  const [late, last] = await Promise.all([busy.response(), idle.response()]);
  assert.deepEqual([late.body, last.body], ['1 at work', '1 at work']);
  assert.equal(last.fields.get('connection'), 'close');
  await Promise.all([busy.ended(), idle.ended(), gunicorn.exited]);
});

test('an idle worker outlives a short time-out', need, async (t) => {
  const gunicorn = await startGunicorn(t, ['--timeout', '1']);
  const client = gunicorn.client().send(request('/'));
  await client.response();
  await sleep(1700);
  client.send(request('/'));
  assert.equal((await client.response()).status, 200);
  assert.doesNotMatch(gunicorn.log(), /WORKER TIMEOUT/);
});

test("Gunicorn's own max-requests: the last answer says that it was", need, async (t) => {
  const gunicorn = await startGunicorn(t, ['--max-requests', '3']);
  const client = gunicorn.client();
  const pids = new Set<string | undefined>();
  for (const kept of ['keep-alive', 'keep-alive', 'close']) {
    client.send(request('/'));
    const { fields } = await client.response();
    assert.equal(fields.get('connection'), kept);
    pids.add(fields.get('x-pid'));
  }
  await client.ended();
  const next = gunicorn.client().send(request('/'));
  pids.add((await next.response()).fields.get('x-pid'));
  assert.equal(pids.size, 2);
});

test('another worker class that the user names is in force', need, async (t) => {
  const named = [
    ['--worker-class', 'sync'],
    ['--threads', '2'],
  ];
  for (const gunicorn of await Promise.all(named.map((more) => startGunicorn(t, more)))) {
    assert.match(gunicorn.log(), /Using worker: (sync|threads|gthread)$/m);
    const client = gunicorn.client().send(request('/'));
    assert.equal((await client.response()).status, 200);
  }
});
