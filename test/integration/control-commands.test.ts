// status, reload, stop and scale, said to a control socket as a user says them.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Reply, Request, Status } from '../../src/arbiter/control/protocol.ts';
import { openControlServer } from '../../src/arbiter/control/server.ts';
import { directoryOf, portico } from '../helpers/cli.ts';

const status: Status = {
  arbiter: {
    ...{ pid: 7, version: '9.9.9', uptimeMs: 1000, phase: 'running', generation: 1 },
    ...{ workersWanted: 1, restarts: 0, app: 'app.js', workerClass: 'async', runtimeDir: '/x' },
    ...{ reloading: null, lastReload: null },
  },
  ...{ apps: [], binds: [{ url: 'http://127.0.0.1:8000' }], edges: [], workers: [] },
};

/** Beyond what any system gives out. */
const gonePid = 999_999_999;

/** An arbiter's control socket in `dir`, which answers as it is told. */
async function listen(t: TestContext, dir: string, answer: (request: Request) => Reply) {
  const asked: Request[] = [];
  const server = await openControlServer(join(dir, 'control.sock'), (askId, request) => {
    asked.push(request);
    server.reply(askId, answer(request));
  });
  t.after(() => server.close());
  return asked;
}

test('each command asks the instance that --runtime-dir names, and prints its answer', async (t) => {
  const cwd = directoryOf(t, {});
  mkdirSync(join(cwd, 'run'));
  const asked = await listen(t, join(cwd, 'run'), (request) => {
    if (request.command === 'status') return { ok: true, command: 'status', status };
    if (request.command === 'reload') return { ok: true, command: 'reload', generation: 2 };
    if (request.command === 'stop') return { ok: true, command: 'stop', pid: gonePid };
    if (request.command === 'purge') return { ok: true, command: 'purge', responses: 1 };
    return { ok: true, command: 'scale', workers: request.workers };
  });
  const run = (...args: string[]) => portico([...args, '--runtime-dir', 'run'], { cwd });
  const said = (stdout: string) => ({ code: 0, stdout, stderr: '' });
  assert.match((await run('status')).stdout, /^portico 9\.9\.9, pid 7, running, up 1s\n/);
  assert.deepEqual(JSON.parse((await run('status', '--json')).stdout), status);
  assert.deepEqual(await run('reload'), said('portico: reloaded, generation 2 serves\n'));
  assert.deepEqual(await run('scale', '4'), said('portico: 4 workers wanted\n'));
  assert.deepEqual(await run('purge', 'http://a/b', '/c'), said('portico: 1 response purged\n'));
  assert.deepEqual(await run('purge', '--tag', 'news'), said('portico: 1 response purged\n'));
  assert.deepEqual(await run('purge', '--all'), said('portico: 1 response purged\n'));
  const env = { PORTICO_RUNTIME_DIR: join(cwd, 'run') };
  assert.deepEqual(await portico(['stop'], { cwd, env }), said('portico: stopped\n'));
  assert.deepEqual(asked, [
    ...[{ command: 'status' }, { command: 'status' }, { command: 'reload' }],
    { command: 'scale', workers: 4 },
    {
      command: 'purge',
      purges: [
        { kind: 'url', url: 'http://a/b' },
        { kind: 'url', url: '/c' },
      ],
    },
    { command: 'purge', purges: [{ kind: 'tag', tag: 'news' }] },
    { command: 'purge', purges: [{ kind: 'all' }] },
    { command: 'stop' },
  ]);
});

test('stop returns when the arbiter itself has gone, not only answered', async (t) => {
  const dir = directoryOf(t, {});
  // Leaves only some time after the answer, when its standard input ends.
  const arbiter = spawn('cat', [], { stdio: ['pipe', 'ignore', 'ignore'] });
  const gone = once(arbiter, 'exit');
  await listen(t, dir, () => {
    setTimeout(() => arbiter.stdin.end(), 300);
    return { ok: true, command: 'stop', pid: arbiter.pid as number };
  });
  const stopped = portico(['stop'], { cwd: dir, env: { PORTICO_RUNTIME_DIR: dir } });
  assert.equal(
    await Promise.race([gone.then(() => 'gone'), stopped.then(() => 'stopped')]),
    'gone',
  );
  assert.equal((await stopped).code, 0);
});

test('a reload that failed is said so, with exit code 1', async (t) => {
  const dir = directoryOf(t, {});
  await listen(t, dir, () => ({ ok: false, problems: ['worker 1 failed to boot', 'no database'] }));
  assert.deepEqual(await portico(['reload'], { cwd: dir, env: { PORTICO_RUNTIME_DIR: dir } }), {
    code: 1,
    stdout: '',
    stderr: 'portico: worker 1 failed to boot\nportico: no database\n',
  });
});

test('without a name the only instance is asked, and of several one must be named', async (t) => {
  const base = directoryOf(t, {
    'portico/1/x': '',
    'portico/2/x': '',
    pid: '2\n',
    other: `${gonePid}\n`,
  });
  // Instances without --runtime-dir are found here; as root, those in /run are not the test's.
  const env = { XDG_RUNTIME_DIR: base, TMPDIR: base };
  const noneElsewhere = (await portico(['status'], { cwd: base, env })).stderr.startsWith(
    'portico: No instance',
  );
  await listen(t, join(base, 'portico/1'), () => ({ ok: true, command: 'status', status }));
  if (noneElsewhere) assert.equal((await portico(['status'], { cwd: base, env })).code, 0);
  await listen(t, join(base, 'portico/2'), () => ({ ok: true, command: 'stop', pid: gonePid }));
  const several = await portico(['stop'], { cwd: base, env });
  assert.match(
    several.stderr,
    /^portico: \d+ instances of Portico run as this user \(pids 1, 2.*\): name one with --pid, --runtime-dir or --config\n$/,
  );
  assert.equal((await portico(['stop', '--pid', 'pid'], { cwd: base, env })).code, 0);
  assert.match(
    (await portico(['stop', '--pid', 'other'], { cwd: base, env })).stderr,
    /^portico: No instance of Portico runs with the pid in .*other: /,
  );
  writeFileSync(join(base, 'other'), `${process.pid}\n`);
  assert.match(
    (await portico(['stop', '--pid', 'other'], { cwd: base, env })).stderr,
    new RegExp(
      `^portico: pid ${process.pid} \\(in .*other\\) runs, but its control socket is not in the usual place: name its --runtime-dir\n$`,
    ),
  );
});

test('the instance is the one that the config file of a start names', async (t) => {
  const base = directoryOf(t, {
    'site/portico.config.yaml': 'runtimeDir: run\nworkers: many\nbind: nowhere:1:2\n',
    'site/code.mjs':
      'console.log("hello"); setInterval(() => {}, 9e8);\nexport default { runtimeDir: "run" };',
    'site/ends.mjs': 'process.exit(0);',
    'site/wrong.yaml': 'workers: [\n',
    'other/portico.config.mjs': 'process.exit(0);',
    'pids/portico.config.toml': 'runtimeDir = "gone"\npid = "no-pid"\n',
    'site/run/x': '',
  });
  const site = join(base, 'site');
  await listen(t, join(site, 'run'), () => ({ ok: true, command: 'stop', pid: gonePid }));
  const stop = (cwd: string, ...args: string[]) => portico(['stop', ...args], { cwd });
  const stopped = { code: 0, stdout: 'portico: stopped\n', stderr: '' };
  // Whatever else is wrong with a file, an instance must be found that is to be stopped.
  assert.deepEqual(await stop(site), stopped);
  assert.deepEqual(await stop(base, '--chdir', 'site'), stopped);
  assert.deepEqual(await stop(base, '-c', 'site/portico.config.yaml', '--chdir', 'site'), stopped);
  assert.deepEqual(await stop(site, '-c', 'code.mjs'), { ...stopped, stderr: 'hello\n' });
  const other = join(base, 'other');
  assert.deepEqual(await stop(other, '--runtime-dir', join(site, 'run')), stopped);

  const wrong = async (why: RegExp, cwd: string, ...args: string[]) => {
    const { code, stderr } = await stop(cwd, ...args);
    assert.equal(code, 1);
    assert.match(stderr, why);
  };
  await wrong(/^portico: Cannot read wrong\.yaml:/, site, '-c', 'wrong.yaml');
  await wrong(/^portico: Cannot load the settings: the process ended/, site, '-c', 'ends.mjs');
  await wrong(/^portico: No config file at .*nope/, site, '-c', 'nope');
  const pids = join(base, 'pids');
  await wrong(/^portico: No answer from .*pids\/gone: no instance runs there/, pids);
  // What is named on the command line counts for more than a file.
  await wrong(/with the pidfile .*pids\/here: there is none/, pids, '--pid', 'here');
});

test('a command with what it cannot use says so', async (t) => {
  const cwd = directoryOf(t, {});
  writeFileSync(join(cwd, 'control.sock'), '');
  const stderrOf = async (...args: string[]) => (await portico(args, { cwd })).stderr;
  assert.equal(
    await stderrOf('scale'),
    'portico: portico scale needs a number: expected a number of workers from 1 to 1024\n',
  );
  assert.equal(
    await stderrOf('stop', 'now', '-w', '3', '--json'),
    'portico: Cannot use -w with portico stop: it is for a start\nportico: Cannot use --json with portico stop\nportico: Unexpected argument "now"\n',
  );
  assert.equal(
    await stderrOf('status', '--runtime-dir', '.'),
    `portico: No answer from ${cwd}: no instance runs there\n`,
  );
});
