// Python apps in the pool, through the real processes: Flask, Django and FastAPI under real Python servers.

import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { startLoad } from '../helpers/load.ts';
import { debianPython, needs, needsPython } from '../helpers/need.ts';
import { repositoryRoot, spawnPortico, startPortico } from '../helpers/portico.ts';
import { RawClient } from '../helpers/raw-client.ts';
import { edgeStatus, openWebSocket } from '../helpers/websockets.ts';

const dir = join(repositoryRoot, 'test/fixtures/apps/python');

function argsFor(workerClass: string, server: string, ...more: string[]): string[] {
  return [
    ...['-k', workerClass, '--python', debianPython, '--python-server', server, '--chdir', dir],
    ...['--forwarded-allow-ips', '127.0.0.1', ...more],
  ];
}

async function facts(origin: string): Promise<Record<string, unknown>> {
  const headers = { 'X-Forwarded-Proto': 'https', 'X-Forwarded-For': '203.0.113.9' };
  return (await (await fetch(`${origin}/facts`, { headers })).json()) as Record<string, unknown>;
}

for (const server of ['gunicorn', 'waitress', 'uwsgi'] as const) {
  const need = server === 'uwsgi' ? needs('uwsgi') : needsPython('flask', server);
  test(
    `Flask under ${server}: trusts the edge, streams, and ends with its slot`,
    need,
    async (t) => {
      const portico = await startPortico(
        t,
        argsFor(
          'wsgi',
          server,
          '-w',
          '1',
          '--threads',
          '2',
          '-e',
          'GREETING=hello',
          '-m',
          '027',
          'flask_app:app',
        ),
      );
      const { origin, port } = portico;
      assert.equal(await (await fetch(origin)).text(), 'hello');
      const seen = await facts(origin);
      assert.equal(seen.host, `127.0.0.1:${port}`);
      assert.deepEqual(
        [seen.scheme, seen.slot, seen.greeting, seen.umask],
        ['https', '1', 'hello', 0o027],
      );
      const body = new Blob(['x'.repeat(300_000)]).stream();
      const upload = { method: 'POST', body, duplex: 'half' } as RequestInit;
      assert.deepEqual(await (await fetch(`${origin}/length`, upload)).json(), { length: 300_000 });
      const pieces: string[] = [];
      for await (const piece of (await fetch(`${origin}/stream`)).body!)
        pieces.push(Buffer.from(piece).toString());
      assert.ok(pieces.length > 1, 'the stream came in one piece');
      await portico.logged(/^worker 1: flask app loaded$/m);
      portico.signal('SIGTERM');
      assert.equal(await portico.exited, 0);
      assert.throws(() => process.kill(Number(seen.pid), 0), { code: 'ESRCH' });
    },
  );
}

for (const server of ['uvicorn', 'hypercorn'] as const) {
  test(
    `FastAPI under ${server}: answers, and ends with its shutdown hooks`,
    needsPython('fastapi', server, 'websockets'),
    async (t) => {
      const portico = await startPortico(t, argsFor('asgi', server, '-w', '1', 'fastapi_app:app'));
      const { origin, port } = portico;
      assert.deepEqual(await (await fetch(origin)).json(), { hello: 'world' });
      const seen = await facts(origin);
      // Hypercorn has no setting that trusts X-Forwarded-*.
      if (server === 'uvicorn') {
        assert.deepEqual([seen.scheme, seen.client], ['https', '203.0.113.9']);
        const events = new RawClient(port);
        events.send('GET /events HTTP/1.1\r\nHost: a\r\n\r\n');
        // One comes while the next is 50 ms away.
        await events.take('data: 0\n\n');
        await events.take('data: 1\n\n');
        events.leave();
        const { socket, messages } = await openWebSocket(`ws://127.0.0.1:${port}/echo`);
        socket.send('hello');
        assert.equal((await messages.next()).toString(), 'echo hello');
        socket.terminate();
      }
      portico.signal('SIGTERM');
      assert.equal(await portico.exited, 0);
      assert.match(portico.log(), /^worker 1: fastapi says goodbye$/m);
    },
  );
}

test(
  'Django: its usual module needs no name of the app',
  needsPython('django', 'gunicorn'),
  async (t) => {
    const { origin, port } = await startPortico(
      t,
      argsFor('wsgi', 'auto', '-w', '1', 'mysite/wsgi.py'),
    );
    assert.deepEqual(await facts(origin), { secure: true, host: `127.0.0.1:${port}` });
  },
);

test(
  'HUP and retired workers under load: no request fails, even under a server that dies of TERM',
  needsPython('flask', 'waitress'),
  async (t) => {
    const portico = await startPortico(
      t,
      argsFor(
        'wsgi',
        'waitress',
        '-w',
        '2',
        '--threads',
        '4',
        '--max-requests',
        '200',
        'flask_app:app',
      ),
    );
    const load = startLoad({ port: portico.port, clients: 8 });
    await load.until('both workers', () => load.pids.size >= 2);
    portico.signal('SIGHUP');
    await portico.logged(/Reloaded: generation 2 serves/, { deadlineMs: 30_000 });
    await portico.logged(/is to be replaced: served \d+ requests/, { deadlineMs: 30_000 });
    await load.until('recycled workers', () => load.pids.size >= 6, 30_000);
    await load.stop();
    assert.deepEqual(load.bad, []);
  },
);

test(
  'HUP and a killed worker under load of a Gunicorn that keeps connections: no request fails',
  needsPython('gunicorn'),
  async (t) => {
    const portico = await startPortico(t, argsFor('wsgi', 'gunicorn', '-w', '2', 'odd_app:app'));
    const load = startLoad({ port: portico.port, clients: 12 });
    await load.until('both workers', () => load.pids.size >= 2);
    process.kill(Number([...load.pids][0]), 'SIGKILL');
    await load.until('a replacement', () => load.pids.size >= 3, 30_000);
    portico.signal('SIGHUP');
    await portico.logged(/Reloaded: generation 2 serves/, { deadlineMs: 30_000 });
    await load.until('new workers', () => load.pids.size >= 5, 30_000);
    await load.stop();
    assert.deepEqual(load.bad, []);
  },
);

test(
  'a request in the line of a Gunicorn worker does not wait behind a slow one',
  needsPython('gunicorn'),
  async (t) => {
    const { port } = await startPortico(t, argsFor('wsgi', 'gunicorn', '-w', '2', 'odd_app:app'));
    const clients = Array.from({ length: 8 }, () => new RawClient(port));
    t.after(() => {
      for (const client of clients) client.leave();
    });
    const ask = async (target: string, client: RawClient): Promise<string> => {
      const response = await client.send(`GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`).response();
      assert.equal(response.status, 200);
      return response.body;
    };
    const [stuck, ...others] = clients;
    for (let turn = 0; turn < 3; turn++) {
      await Promise.all(others.map((client) => ask('/', client)));
      let isStuck = true;
      const slow = ask('/slow', stuck!).finally(() => {
        isStuck = false;
      });
      // The other worker serves all of them meanwhile, with those that stood in the slow one's line.
      for (let count = 0; count < 5; count++)
        await Promise.all(others.map((client) => ask('/', client)));
      assert.ok(isStuck, 'they waited for the slow one');
      assert.equal(await slow, '1 at work');
    }
  },
);

test(
  'a Python worker killed under load: no request fails',
  needsPython('fastapi', 'uvicorn'),
  async (t) => {
    const portico = await startPortico(t, argsFor('asgi', 'uvicorn', '-w', '2', 'fastapi_app:app'));
    const load = startLoad({ port: portico.port, clients: 8 });
    await load.until('both workers', () => load.pids.size >= 2);
    process.kill(Number([...load.pids][0]), 'SIGKILL');
    await load.until('a replacement', () => load.pids.size >= 3);
    await load.stop();
    assert.deepEqual(load.bad, []);
    await portico.logged(/ended unexpectedly: signal SIGKILL/);
    // Counted by the edge: such a program can't say it.
    const status = await edgeStatus(portico.runtimeDir);
    assert.ok(status.workers.reduce((sum, { served }) => sum + served, 0) > 0);
  },
);

test(
  'an app that cannot be imported ends the start with code 4 and its traceback',
  needsPython('gunicorn', 'uvicorn'),
  async (t) => {
    for (const [workerClass, server] of [
      ['wsgi', 'gunicorn'],
      ['asgi', 'uvicorn'],
    ] as const) {
      const portico = spawnPortico(t, [
        '-b',
        '127.0.0.1:0',
        ...argsFor(workerClass, server, '-w', '1', 'broken_app:app'),
      ]);
      assert.equal(await portico.exited, 4);
      assert.match(portico.log(), /failed to boot: .*ended before it served: exit code \d/);
      assert.match(portico.log(), /No module named '?"?nowhere_to_be_found/);
    }
  },
);

test(
  'a deploy that cannot be imported leaves the former one serving',
  needsPython('flask', 'gunicorn'),
  async (t) => {
    const own = copyOfApps(t);
    const portico = await startPortico(
      t,
      argsFor('wsgi', 'gunicorn', '-w', '2', '--chdir', own, 'flask_app:app'),
    );
    writeFileSync(join(own, 'flask_app.py'), 'import nowhere_to_be_found\n');
    const from = portico.log().length;
    portico.signal('SIGHUP');
    await portico.logged(/Reload failed, the former generation keeps serving/, { from });
    assert.equal(await (await fetch(portico.origin)).text(), 'hello');
  },
);

test(
  'a server that is not installed is one line with the command that installs it',
  needsPython('flask'),
  async (t) => {
    const portico = spawnPortico(t, [
      '-b',
      '127.0.0.1:0',
      ...argsFor('asgi', 'granian', 'fastapi_app:app'),
    ]);
    assert.equal(await portico.exited, 3);
    assert.match(
      portico.log(),
      /There is no granian for \/usr\/bin\/python3: install one with "\/usr\/bin\/python3 -m pip install granian"/,
    );
    const lost = spawnPortico(t, [
      '-b',
      '127.0.0.1:0',
      '-k',
      'asgi',
      '--python',
      '/nowhere/python',
      'a:b',
    ]);
    assert.equal(await lost.exited, 3);
    assert.match(lost.log(), /There is no Python \/nowhere\/python/);
  },
);

test('--check-config loads a Python app', needsPython('fastapi', 'uvicorn'), async (t) => {
  const good = spawnPortico(t, ['--check-config', ...argsFor('asgi', 'auto', 'fastapi_app:app')]);
  assert.equal(await good.exited, 0, good.log());
  const bad = spawnPortico(t, ['--check-config', ...argsFor('asgi', 'auto', 'broken_app:app')]);
  assert.equal(await bad.exited, 4);
});

function copyOfApps(t: TestContext): string {
  const own = mkdtempSync(join(tmpdir(), 'portico-python-'));
  t.after(() => rmSync(own, { recursive: true, force: true }));
  cpSync(dir, own, { recursive: true });
  return own;
}
