// A config file may be written in any of its kinds; code in it runs apart from the arbiter.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { staticMount } from '../../src/config/static-mounts.ts';
import { directoryOf, portico } from '../helpers/cli.ts';

/** The settings as the arbiter is told of them. */
async function load(cwd: string, args: readonly string[] = []) {
  const { code, stdout, stderr } = await portico(args, { cwd, env: { PORTICO_ROLE: 'config' } });
  return { code, stderr, answer: JSON.parse(stdout) };
}

const kinds: Record<string, string> = {
  'portico.config.ts': `import { defineConfig } from 'portico';
    const workers: number = 3;
    export default defineConfig({ app: 'app.js:app', workers });`,
  'portico.config.mts': `enum Count { Workers = 3 }
    export default { app: 'app.js:app', workers: Count.Workers };`,
  'portico.config.mjs': `import { defineConfig } from 'portico';
    export const config = defineConfig(async () => ({ app: 'app.js:app', workers: 3 }));`,
  'portico.config.js': `module.exports = () => ({ app: 'app.js:app', workers: 3, pid: undefined });`,
  'portico.config.cjs': `exports.config = { app: 'app.js:app', workers: 3 };`,
  'portico.config.json': '{ "app": "app.js:app", "workers": 3 }',
  'portico.config.yaml': 'app: app.js:app\nworkers: 3\n',
  'portico.config.yml': '{ app: "app.js:app", workers: "3" }',
  'portico.config.toml': 'app = "app.js:app"\nworkers = 3\n',
};

test('a config file is found and read, whatever it is written in', async (t) => {
  for (const [name, text] of Object.entries(kinds)) {
    await t.test(name, async (t) => {
      const { code, answer, stderr } = await load(directoryOf(t, { [name]: text }));
      assert.equal(code, 0, `${JSON.stringify(answer)} ${stderr}`);
      assert.deepEqual([answer.module, answer.export, answer.workers], ['app.js', 'app', 3]);
    });
  }
});

test('what a config file prints stays out of the answer, and its timers do not keep it', async (t) => {
  const cwd = directoryOf(t, {
    'portico.config.mjs': `console.log('hello');
      setInterval(() => {}, 1000);
      if (process.env.PORTICO_ROLE !== undefined) throw new Error('it sees the role');
      export default { workers: 2 };`,
  });
  const { code, answer, stderr } = await load(cwd);
  assert.deepEqual([code, answer.workers], [0, 2]);
  assert.match(stderr, /hello/);
});

test('two config files are one too many', async (t) => {
  const cwd = directoryOf(t, { 'portico.config.json': '{}', 'portico.config.yaml': '' });
  assert.deepEqual((await load(cwd)).answer, [
    `More than one config file in ${cwd}: portico.config.json, portico.config.yaml; keep one, or name it with --config`,
  ]);
  assert.equal((await load(cwd, ['-c', 'portico.config.yaml'])).code, 0);
  assert.equal((await load(cwd, ['-c', 'none'])).code, 0);
  assert.deepEqual((await load(cwd, ['-c', 'nope.json'])).answer, [
    `No config file at ${cwd}/nope.json`,
  ]);
});

test('relative paths start at chdir, and chdir at the file that sets it', async (t) => {
  const cwd = directoryOf(t, {
    'etc/site.json': '{ "chdir": "../srv", "pid": "pid", "static": { "/s": "public" } }',
    'srv/public/x': '',
    'srv/portico.config.json': '{ "workers": 9 }',
  });
  const { answer } = await load(cwd, ['-c', 'etc/site.json', '--access-logfile', 'log']);
  assert.equal(answer.chdir, `${cwd}/srv`);
  assert.equal(answer.pid, `${cwd}/srv/pid`);
  assert.equal(answer.accessLogfile, `${cwd}/srv/log`);
  assert.deepEqual(answer.static, [staticMount({ prefix: '/s', dir: `${cwd}/srv/public` })]);
  assert.equal((await load(cwd, ['--chdir', 'srv'])).answer.workers, 9);
  assert.deepEqual((await load(cwd, ['--chdir', 'nope'])).answer, [
    `Cannot use chdir "${cwd}/nope" (from --chdir): there is no directory ${cwd}/nope`,
  ]);
});

test('a file that is wrong is named with the line', async (t) => {
  const wrong: Record<string, [name: string, text: string, problem: string | RegExp]> = {
    'JSON that is none': [
      'portico.config.json',
      '{\n  "workers": 3,\n}',
      /^Cannot read portico\.config\.json:3: Expected double-quoted property name$/,
    ],
    'YAML that is none': [
      'portico.config.yaml',
      'workers: 3\nbind: [',
      /^Cannot read portico\.config\.yaml:2: Flow sequence /,
    ],
    'an alias bomb': [
      'portico.config.yaml',
      `a: &a [1]\n${[...'bcdefgh'].map((name, at) => `${name}: &${name} [${`*${'abcdefgh'[at]},`.repeat(9)}]`).join('\n')}\n`,
      /^Cannot read portico\.config\.yaml: Excessive alias count/,
    ],
    'TOML that is none': [
      'portico.config.toml',
      '\nworkers = many\n',
      /^Cannot read portico\.config\.toml:2: invalid value$/,
    ],
    'code that does not parse': [
      'portico.config.mjs',
      'export default {\n  workers: 3,,\n};',
      "Cannot read portico.config.mjs:2: Unexpected token ','",
    ],
    'code that throws': [
      'portico.config.ts',
      'const a: number = 3;\n\nthrow new Error("no secrets " + a);\n',
      'Cannot read portico.config.ts:3: no secrets 3',
    ],
    'code that exports nothing': [
      'portico.config.mjs',
      'export const x = 1;',
      'Cannot read portico.config.mjs: it exports neither default nor config',
    ],
    'something else than settings': [
      'portico.config.json',
      '[1]',
      'Cannot read portico.config.json: expected an object of settings, got an array',
    ],
    'a key that is no setting': [
      'portico.config.json',
      '{\n"workers": 1,\n"__proto__": { "workers": 2 } }',
      'Unknown setting "__proto__" (from portico.config.json:3): see portico --help',
    ],
    'a config that names another': [
      'portico.config.toml',
      'config = "x"',
      'Cannot use config (from portico.config.toml:1): a config file names no other',
    ],
  };
  for (const [what, [name, text, problem]] of Object.entries(wrong)) {
    await t.test(what, async (t) => {
      const { code, answer } = await load(directoryOf(t, { [name]: text }));
      assert.equal(code, 1);
      const problems = what === 'an alias bomb' ? answer.slice(0, 1) : answer;
      assert.equal(problems.length, 1, JSON.stringify(problems));
      if (typeof problem === 'string') assert.equal(problems[0], problem);
      else assert.match(problems[0], problem);
    });
  }
});

test('a config file that ends the process is a problem, not an end', async (t) => {
  const cwd = directoryOf(t, { 'portico.config.cjs': 'process.exit(7)' });
  assert.deepEqual(await portico(['app.js'], { cwd }), {
    code: 1,
    stdout: '',
    stderr: 'portico: Cannot load the settings: the process ended with exit code 7\n',
  });
});
