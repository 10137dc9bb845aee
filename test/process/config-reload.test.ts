// A reload reads the settings anew, wherever they are: the config file's code, and the release
// that a symbolic link names now.

import assert from 'node:assert/strict';
import { readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { directoryOf, portico } from '../helpers/cli.ts';
import { startPortico } from '../helpers/portico.ts';

const app = `exports.app = (req, res) => res.end(process.env.WHO + ' ' + process.cwd());`;

test('a reload runs the config file anew, and one that is wrong changes nothing', async (t) => {
  const cwd = directoryOf(t, { 'app.js': app });
  const write = (body: string) =>
    writeFileSync(
      join(cwd, 'portico.config.mjs'),
      `import { appendFileSync } from 'node:fs';
       appendFileSync('pids', process.pid + '\\n');
       export default { app: 'app.js', workers: 1, gracefulTimeout: 1, ${body} };`,
    );
  write(`env: { WHO: 'one' }`);
  const running = await startPortico(t, [], { cwd });
  const answer = async () => (await fetch(running.origin)).text();
  const env = { PORTICO_RUNTIME_DIR: running.runtimeDir };
  assert.equal(await answer(), `one ${cwd}`);

  write(`env: { WHO: 'two' }`);
  assert.deepEqual(await portico(['reload'], { cwd, env }), {
    code: 0,
    stdout: 'portico: reloaded, generation 2 serves\n',
    stderr: '',
  });
  assert.equal(await answer(), `two ${cwd}`);

  write(`env: { WHO: 'three' }, wrokers: 2`);
  assert.deepEqual(await portico(['reload'], { cwd, env }), {
    code: 1,
    stdout: '',
    stderr: 'portico: Unknown setting "wrokers" (from portico.config.mjs): did you mean workers?\n',
  });
  assert.equal(await answer(), `two ${cwd}`);
  const status = JSON.parse((await portico(['status', '--json'], { cwd, env })).stdout);
  assert.equal(status.arbiter.lastReload.ok, false);

  const pids = readFileSync(join(cwd, 'pids'), 'utf8').trim().split('\n');
  assert.equal(new Set(pids).size, 3, 'each time in a process of its own');
  assert.ok(!pids.includes(String(running.pid)), 'never in the arbiter');
  assert.deepEqual(await portico(['stop'], { cwd, env }), {
    code: 0,
    stdout: 'portico: stopped\n',
    stderr: '',
  });
  assert.equal(await running.exited, 0);
});

test('a reload after a deploy serves the release that the link names now', async (t) => {
  const dir = directoryOf(t, { 'release-1/app.js': app, 'release-2/app.js': app });
  const cwd = join(dir, 'current');
  symlinkSync('release-1', cwd);
  const args = ['-w', '1', '--graceful-timeout', '1', 'app.js'];
  const running = await startPortico(t, args, { cwd, env: { PWD: cwd, WHO: 'app' } });
  const answer = async () => (await fetch(running.origin)).text();
  assert.equal(await answer(), `app ${dir}/release-1`);
  symlinkSync('release-2', `${cwd}.new`);
  renameSync(`${cwd}.new`, cwd);
  const ran = await portico(['reload'], { cwd, env: { PORTICO_RUNTIME_DIR: running.runtimeDir } });
  assert.equal(ran.code, 0, ran.stderr);
  assert.equal(await answer(), `app ${dir}/release-2`);
});
