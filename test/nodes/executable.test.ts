// Single executables of what needs more than bundling: Portico itself, TypeScript, top-level await, threads, a hang.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { openWorkshop, type Workshop } from '../helpers/executable.ts';
import { repositoryRoot, startExecutable, suiteOwner } from '../helpers/portico.ts';

const suite = suiteOwner();
let workshop: Workshop;
before(() => {
  workshop = openWorkshop();
});
after(async () => {
  await suite.end();
  workshop.remove();
});

const written = (name: string, text: string) => writeFileSync(join(workshop.project, name), text);
const textOf = async (url: string) => (await fetch(url)).text();

test('Portico itself runs apps of any kind where no Node is', async (t) => {
  const dir = join(workshop.dir, 'itself');
  const file = join(dir, 'portico');
  mkdirSync(dir);
  const script = join(repositoryRoot, 'scripts/build-binary.mjs');
  execFileSync(process.execPath, [script, '-o', file, '--node', process.execPath], {
    stdio: 'pipe',
  });
  cpSync(join(repositoryRoot, 'test/fixtures/executable'), dir, { recursive: true });
  symlinkSync(join(repositoryRoot, 'node_modules'), join(dir, 'node_modules'));
  writeFileSync(
    join(dir, 'tla.mjs'),
    'const say = await "awaited";\nexport default (_, r) => r.end(say);',
  );
  writeFileSync(
    join(dir, 'plain.cjs'),
    'module.exports = (_, r) => r.end(String(require.main === module));',
  );
  writeFileSync(
    join(dir, 'enum.ts'),
    'enum E { a = "typed" }\nexport default (_: unknown, r: { end(s: string): void }) => r.end(E.a);',
  );
  writeFileSync(
    join(dir, 'forks.cjs'),
    `const { fork } = require('node:child_process');
module.exports = (_, r) => fork(__dirname + '/job.mjs', ['app']).once('message', (text) => r.end(text));`,
  );
  writeFileSync(
    join(dir, 'job.mjs'),
    'await null;\nprocess.send("forked by the " + process.argv[2], () => process.disconnect());',
  );
  for (const [app, expected] of [
    ['tla.mjs', 'awaited'],
    ['plain.cjs', 'true'],
    ['enum.ts', 'typed'],
    ['forks.cjs', 'forked by the app'],
  ] as const)
    await t.test(app, async (t) => {
      const args = [
        '--config',
        'none',
        '--workers',
        '1',
        '--threads',
        app === 'enum.ts' ? '2' : '1',
      ];
      const portico = await startExecutable(t, [file, ...args, app]);
      assert.equal(await textOf(`${portico.origin}/`), expected);
    });
  await t.test('settings in TypeScript, an Express app, machine code', async (t) => {
    const portico = await startExecutable(t, [file]);
    assert.equal(await textOf(`${portico.origin}/native`), 'true');
    assert.equal(await textOf(`${portico.origin}/assets/`), '<h1>inside</h1>\n');
  });
  await t.test('the page that stands in for an app, and pages of errors', async (t) => {
    const portico = await startExecutable(t, [file, '--config', 'none', '--static', '/x=public']);
    assert.match(await textOf(`${portico.origin}/`), /<h1>/);
    const answer = await fetch(`${portico.origin}/x/none`, { headers: { accept: 'text/html' } });
    assert.match(await answer.text(), /<!doctype html>/i);
  });
});

test('TypeScript with top-level await, Fastify, in threads; the same input gives the same bytes', async (t) => {
  written('app.ts', typeScriptApp);
  const file = workshop.build('typescript', '--config', 'none', '--threads', '2', 'app.ts:app');
  assert.match(workshop.printed, /carried along.*the app, which awaits at its top level/);
  const service = await startExecutable(t, [file, '--workers', '1']);
  assert.deepEqual(await (await fetch(`${service.origin}/`)).json(), {
    kind: 'typed',
    late: 'late',
  });
  // Written at another time, in another directory.
  const other = openWorkshop();
  suite.after(async () => other.remove());
  writeFileSync(join(other.project, 'app.ts'), typeScriptApp);
  const again = other.build('again', '--config', 'none', '--threads', '2', 'app.ts:app');
  assert.ok(readFileSync(file).equals(readFileSync(again)));
});

const typeScriptApp = `import fastify, { type FastifyInstance } from 'fastify';
enum Kind { typed = 'typed' }
const late: string = await new Promise((done) => setTimeout(done, 10, 'late'));
export const app: FastifyInstance = fastify({ logger: true });
app.get('/', async () => ({ kind: Kind.typed, late }));
`;

test('what is loaded by a name that is only known when it runs is named, and can be carried', async (t) => {
  written(
    'dynamic.cjs',
    "const name = ['exp', 'ress'].join('');\nmodule.exports = require(name)().get('/', (_, r) => r.send('found'));",
  );
  const flags = ['--config', 'none', '--workers', '1'];
  const file = workshop.build('dynamic', ...flags, 'dynamic.cjs');
  const { status, stderr, stdout } = spawnSync(file, ['--check-config'], {
    cwd: dirname(file),
    env: {},
    encoding: 'utf8',
  });
  assert.equal(status, 4, stdout);
  assert.match(stderr, /Cannot find module 'express'[\s\S]*portico build --external NAME/);
  const whole = workshop.build('whole', ...flags, '--external', 'express', 'dynamic.cjs');
  const service = await startExecutable(t, [whole]);
  assert.equal(await textOf(`${service.origin}/`), 'found');
});

test('a worker that hangs is explained', async (t) => {
  written(
    'hang.cjs',
    'function spin() {\n  for (;;);\n}\nmodule.exports = (q, r) => (q.url === "/hang" ? spin() : r.end("up"));',
  );
  const file = workshop.build(
    'hang',
    '--config',
    'none',
    '--workers',
    '1',
    '--timeout',
    '3s',
    'hang.cjs',
  );
  const service = await startExecutable(t, [file]);
  const gone = fetch(`${service.origin}/hang`).catch(() => null);
  await service.logged(/has been stuck for [\d.]+ s:\n {4}at spin \(.*hang\.cjs:\d+:\d+\)/);
  await service.logged(/worker 1 .* killing it/);
  assert.ok((await gone) !== undefined);
  assert.equal(await textOf(`${service.origin}/`), 'up');
});

test('Next.js, and what is no Node, are refused in words', () => {
  mkdirSync(join(workshop.project, 'node_modules/next'), { recursive: true });
  written('node_modules/next/package.json', '{ "name": "next", "main": "index.js" }');
  written('node_modules/next/index.js', 'module.exports = () => {};');
  written('next.cjs', "module.exports = require('next')();");
  const fails = (why: RegExp, ...args: string[]) =>
    assert.throws(
      () => workshop.build('refused', '--config', 'none', ...args),
      (error: { stderr?: string }) => why.test(error.stderr ?? ''),
    );
  fails(/Next\.js cannot be put into an executable/, 'next.cjs');
  fails(/there is no app|needs an app|Cannot find the module/, 'nothing.js');
  written('two.json', '{ "apps": { "api": { "app": "api.js" } } }');
  fails(/takes one app/, '--config', 'two.json', 'next.cjs');
  written('broken.mjs', "import nothing from 'not-installed';\nexport default nothing;");
  fails(/broken\.mjs:1:\d+: Could not resolve "not-installed"/, 'broken.mjs');
});
