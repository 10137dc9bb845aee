// Several apps in one Portico: each with its workers, routed to by host and path, reloaded one by one.

import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Status } from '../../src/arbiter/control/protocol.ts';
import { portico as command } from '../helpers/cli.ts';
import { startLoad } from '../helpers/load.ts';
import { debianPython, needsPython } from '../helpers/need.ts';
import { repositoryRoot, spawnPortico, startPortico } from '../helpers/portico.ts';
import { statusOf } from '../helpers/status.ts';
import { openWebSocket } from '../helpers/websockets.ts';

const fixtures = join(repositoryRoot, 'test/fixtures/apps');

/** A directory with both apps and a config file that serves them. */
function deploy(t: TestContext, more: object = {}): string {
  const dir = mkdtempSync(join(tmpdir(), 'portico-apps-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  cpSync(join(fixtures, 'several'), dir, { recursive: true });
  cpSync(join(fixtures, 'python/fastapi_app.py'), join(dir, 'main.py'));
  const config = {
    chdir: '.',
    env: { SHARED: 'all' },
    apps: {
      web: { module: 'web.mjs:app', workers: 2, env: { OWN: 'mine' } },
      api: { module: 'main:app', workerClass: 'asgi', python: debianPython, workers: 1 },
    },
    routes: [
      { host: 'api.example.com', to: 'app:api' },
      { path: '/api/*', to: 'app:api', strip: true },
    ],
    ...more,
  };
  writeFileSync(join(dir, 'portico.config.json'), JSON.stringify(config));
  return dir;
}

const python = needsPython('fastapi', 'uvicorn', 'websockets');

test('two apps are routed to by path and host, each with workers of its own', python, async (t) => {
  const dir = deploy(t);
  const portico = await startPortico(t, ['-c', join(dir, 'portico.config.json')]);
  const { origin, port, runtimeDir } = portico;
  assert.equal(await (await fetch(origin)).text(), 'web all mine');
  assert.deepEqual(await (await fetch(`${origin}/api/`)).json(), { hello: 'world' });
  const { socket, messages } = await openWebSocket(`ws://127.0.0.1:${port}/api/echo`);
  socket.send('hello');
  assert.equal((await messages.next()).toString(), 'echo hello');
  socket.terminate();
  const { apps, workers } = await statusOf(runtimeDir);
  assert.deepEqual(
    apps.map(({ name, module, workerClass, workersWanted }) => [
      name,
      module,
      workerClass,
      workersWanted,
    ]),
    [
      ['web', 'web.mjs:app', 'async', 2],
      ['api', 'main:app', 'asgi', 1],
    ],
  );
  assert.deepEqual(
    workers.map(({ app, slot }) => `${app} ${slot}`),
    ['web 1', 'web 2', 'api 1'],
  );
  await portico.logged(/^worker api 1: .*Application startup complete/m);
  portico.signal('SIGTERM');
  assert.equal(await portico.exited, 0);
});

test('one app is reloaded and scaled while the others stay as they are', python, async (t) => {
  const dir = deploy(t);
  const portico = await startPortico(t, ['-c', join(dir, 'portico.config.json')]);
  const before = await statusOf(portico.runtimeDir);
  const env = { PORTICO_RUNTIME_DIR: portico.runtimeDir };
  const reloaded = await command(['reload', '--app', 'api'], { cwd: dir, env });
  assert.equal(reloaded.code, 0, reloaded.stderr);
  const scaled = await command(['scale', '--app', 'web', '1'], { cwd: dir, env });
  assert.equal(scaled.code, 0, scaled.stderr);
  const after = await statusOf(portico.runtimeDir);
  assert.deepEqual(
    after.apps.map(({ name, generation, workersWanted }) => [name, generation, workersWanted]),
    [
      ['web', 1, 1],
      ['api', 2, 1],
    ],
  );
  const pidOf = ({ workers }: Status, wanted: string) =>
    workers.find(({ app, slot, phase }) => app === wanted && slot === 1 && phase === 'serving')
      ?.pid;
  assert.equal(pidOf(after, 'web'), pidOf(before, 'web'));
  assert.notEqual(pidOf(after, 'api'), pidOf(before, 'api'));
  const unknown = await command(['reload', '--app', 'none'], { cwd: dir, env });
  assert.equal(unknown.code, 1);
  assert.match(unknown.stderr, /There is no app "none"/);
});

test(
  'a bad deploy of one app leaves it as it was, and the others are deployed',
  python,
  async (t) => {
    const dir = deploy(t);
    const portico = await startPortico(t, ['-c', join(dir, 'portico.config.json')]);
    const load = startLoad({ port: portico.port, clients: 4 });
    await load.until('both workers', () => load.pids.size >= 2);
    writeFileSync(join(dir, 'main.py'), 'import nowhere_to_be_found\n');
    const env = { PORTICO_RUNTIME_DIR: portico.runtimeDir };
    const reloaded = await command(['reload'], { cwd: dir, env });
    assert.equal(reloaded.code, 1);
    assert.match(reloaded.stderr, /worker api 1 .*failed to boot/);
    await load.until('new workers', () => load.pids.size >= 4);
    await load.stop();
    assert.deepEqual(load.bad, []);
    const { apps } = await statusOf(portico.runtimeDir);
    assert.deepEqual(
      apps.map(({ name, generation }) => [name, generation]),
      [
        ['web', 2],
        ['api', 1],
      ],
    );
    assert.deepEqual(await (await fetch(`${portico.origin}/api/`)).json(), { hello: 'world' });
  },
);

test('what is wrong with an app is said with its name', async (t) => {
  const said = async (more: object): Promise<string> => {
    const dir = deploy(t, more);
    const portico = spawnPortico(t, ['-c', join(dir, 'portico.config.json')]);
    assert.equal(await portico.exited, 1);
    return portico.log();
  };
  assert.match(
    await said({ apps: { api: { workers: 0, module: 'x' } } }),
    /workers 0 \(from app api of/,
  );
  assert.match(await said({ apps: { api: { workers: 1 } } }), /app api of .*: it has no module/);
  assert.match(
    await said({ apps: { api: { module: 'x', bind: ':80' } } }),
    /"bind" is no setting that an app has/,
  );
  assert.match(await said({ apps: { web: 'web.mjs' } }), /routes .*app:api.*there is no app/);
});
