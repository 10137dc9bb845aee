// --check-config: whether a start would succeed, the app's own code included.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { directoryOf, portico } from '../helpers/cli.ts';
import { repositoryRoot } from '../helpers/portico.ts';
import { until } from '../helpers/until.ts';

const typed = `
import { createServer, type Server } from 'node:http';
console.log('loading');
export const app: Server = createServer((_req, res) => void res.end());
`;

test('--check-config loads the app as a worker would', async (t) => {
  const cwd = directoryOf(t, {
    'app.ts': typed,
    'throws.js': 'function boom() { throw new Error("no database"); }\nboom();',
    'leaves.js': 'process.exit(0);',
    'killed.js': 'process.kill(process.pid, "SIGKILL"); for (;;);',
    'empty.js': '',
    'listens.js': 'require("http").createServer(() => {}).listen(1);',
    'hangs.js': 'require("fs").writeFileSync("pid", String(process.pid)); for (;;);',
    'node_modules/pkg/package.json': '{ "name": "pkg", "main": "main.js" }',
    'node_modules/pkg/main.js': 'module.exports = (req, res) => res.end();',
  });
  const check = (...args: string[]) => portico(['--check-config', ...args], { cwd });
  const ok = (app: string) => `portico: configuration ok, the app loads: ${app}\n`;

  await t.test('what loads is said on stdout, what the app prints goes to stderr', async () => {
    for (const args of [[], ['--worker-class', 'threads', '--threads', '3'], ['--preload']]) {
      const ran = await check(...args, 'app.ts:app');
      assert.equal(ran.stdout, ok('http.Server'), ran.stderr);
      assert.equal(ran.code, 0);
      assert.match(ran.stderr, /^loading$/m);
    }
    assert.equal((await check('pkg')).stdout, ok('(req, res) handler'));
    assert.equal((await check('listens.js')).stdout, ok('listening server'));
  });

  await t.test("an app that fails gives its own error and a start's exit code", async () => {
    const failing = async (module: string, code: number, message: RegExp) => {
      const ran = await check(module);
      assert.equal(ran.code, code, ran.stderr);
      assert.equal(ran.stdout, '');
      assert.match(ran.stderr, message);
    };
    await failing('nope.js', 4, /^portico: Cannot find the module "nope\.js" in .*\.\n$/);
    await failing('app.ts:none', 4, /^portico: .*app\.ts has no export "none"/m);
    await failing(
      'throws.js',
      4,
      /^portico: Cannot load .*\n {4}Error: no database\n.*throws\.js:1/,
    );
    await failing('leaves.js', 4, /^portico: The app ended the process \(code 0\)/);
    await failing('empty.js', 4, /^portico: .*empty\.js has no app/);
    await failing('killed.js', 3, /^portico: The worker ended while .*: signal SIGKILL\n$/);
    assert.deepEqual(await check(), {
      code: 1,
      stdout: '',
      stderr: 'portico: No app: name it as MODULE[:EXPORT], such as app.js:app\n',
    });
  });

  await t.test('given up by a signal it leaves no worker behind', async () => {
    const args = [join(repositoryRoot, 'dist/main.js'), '--check-config', 'hangs.js'];
    const child = spawn(process.execPath, args, { cwd, stdio: 'ignore' });
    const file = join(cwd, 'pid');
    const pid = Number(await until('worker', () => existsSync(file) && readFileSync(file, 'utf8')));
    child.kill('SIGTERM');
    assert.deepEqual(await once(child, 'exit'), [1, null]);
    assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
  });
});
