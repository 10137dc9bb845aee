// The npm package as a user gets it: what is in the tarball, how it resolves, what it costs to install, and
// `npx portico app.js:app` in a project that has nothing else.

import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { portico } from '../helpers/cli.ts';
import { repositoryRoot, spawnProgram } from '../helpers/portico.ts';

const run = promisify(execFile);
const bytesMax = 15e6;
const packagesMax = 60;

interface Packed {
  readonly filename: string;
  readonly files: readonly { readonly path: string }[];
}

suite('the npm package', () => {
  const dir = mkdtempSync(join(tmpdir(), 'portico-pack-'));
  let packed: Packed;
  let tarball: Buffer;

  before(async () => {
    // Without scripts: "prepack" builds anew what other tests run at this moment.
    const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', dir];
    const { stdout } = await run('npm', args, { cwd: repositoryRoot, maxBuffer: 16 << 20 });
    packed = (JSON.parse(stdout) as [Packed])[0];
    tarball = await readFile(join(dir, packed.filename));
  });
  after(() => rmSync(dir, { recursive: true, force: true }));

  test('holds the program, its types, pages and units, and nothing else', () => {
    const expected =
      /^(dist\/.+\.js|dist\/native\/linux-(x64|arm64)\.node|dist\/(index|config\/[^/]+)\.d\.ts|static\/[^/]+\.(html|json|py)|docs\/.+\.md|systemd\/portico\.(service|socket)|(README|CHANGELOG)\.md|LICENSE|package\.json)$/;
    const paths = packed.files.map(({ path }) => path);
    assert.deepEqual(
      paths.filter((path) => !expected.test(path)),
      [],
    );
    const native = process.platform === 'linux' && process.env.CI ? ['x64', 'arm64'] : [];
    for (const needed of [
      ...['dist/main.js', 'dist/index.d.ts', 'static/error.html', 'LICENSE'],
      ...native.map((arch) => `dist/native/linux-${arch}.node`),
    ])
      assert.ok(paths.includes(needed), needed);
  });

  test('publint has nothing to say, and types resolve however they are looked up', async () => {
    const bytes = new Uint8Array(tarball);
    const { messages, pkg } = await publint({ pack: { tarball: bytes.buffer }, strict: true });
    // The address of the repository is the publisher's to know: see CONTRIBUTING.md, Releases.
    const wrong = messages.filter(({ code }) => !/REPO/.test(code));
    assert.deepEqual(
      wrong.map((message) => formatMessage(message, pkg, { color: false })),
      [],
    );
    const result = await checkPackage(createPackageFromTarballData(bytes));
    assert.ok(result.types);
    // ESM alone: each Node that `engines` permits loads it by require() too.
    const problems = result.problems.filter(({ kind }) => kind !== 'CJSResolvesToESM');
    assert.deepEqual(problems, []);
  });

  test('installs few packages and bytes; npx serves an app; a typed config compiles', async (t) => {
    const project = join(dir, 'project');
    mkdirSync(project);
    await writeFile(join(project, 'package.json'), '{ "private": true, "type": "module" }');
    const install = ['install', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'];
    const npm = spawnSync('npm', [...install, join(dir, packed.filename)], {
      cwd: project,
      encoding: 'utf8',
    });
    if (/ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ENETUNREACH/.test(npm.stderr) && !process.env.CI) {
      t.skip('the package registry cannot be reached');
      return;
    }
    assert.equal(npm.status, 0, npm.stderr);
    await sizes(t, join(project, 'node_modules'));
    await types(project);
    await serves(t, project);
  });
});

async function sizes(t: TestContext, modules: string): Promise<void> {
  const lock = await readFile(join(modules, '.package-lock.json'), 'utf8');
  const packages = Object.keys((JSON.parse(lock) as { packages: object }).packages).length;
  const sizes = readdirSync(modules, { recursive: true, encoding: 'utf8' })
    .map((name) => lstatSync(join(modules, name)))
    .flatMap((stat) => (stat.isFile() ? [stat.size] : []));
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  // What `du` says where a file takes whole blocks of 4 KiB.
  const onDisk = sizes.reduce((sum, size) => sum + Math.ceil(size / 4096) * 4096, 0);
  const [mega, megaOnDisk] = [bytes, onDisk].map((size) => (size / 1e6).toFixed(1));
  t.diagnostic(`${packages} packages, ${mega} MB, ${megaOnDisk} MB of disk blocks`);
  assert.ok(packages <= packagesMax, `${packages} packages`);
  assert.ok(bytes <= bytesMax, `${bytes} bytes`);
}

async function types(project: string): Promise<void> {
  const good = `import { defineConfig } from 'portico';
export default defineConfig({ app: 'app.js:app', workers: 2, timeout: '30s' });
`;
  const bad = `import { defineConfig } from 'portico';
export default defineConfig({ wrokers: 2 });
`;
  const options = { strict: true, noEmit: true, types: [] };
  const compile = async (text: string, more: object) => {
    await writeFile(join(project, 'portico.config.ts'), text);
    const compilerOptions = { ...options, ...more };
    const config = { compilerOptions, files: ['portico.config.ts'] };
    await writeFile(join(project, 'tsconfig.json'), JSON.stringify(config));
    const tsc = join(repositoryRoot, 'node_modules/typescript/bin/tsc');
    return spawnSync(process.execPath, [tsc, '-p', '.'], { cwd: project, encoding: 'utf8' });
  };
  const nodenext = await compile(good, { module: 'nodenext', target: 'es2022' });
  assert.equal(nodenext.status, 0, nodenext.stdout);
  const bundler = await compile(good, { module: 'esnext', moduleResolution: 'bundler' });
  assert.equal(bundler.status, 0, bundler.stdout);
  assert.match((await compile(bad, { module: 'nodenext' })).stdout, /wrokers.*PorticoConfig/s);
  await writeFile(join(project, 'portico.config.ts'), good);
}

async function serves(t: TestContext, project: string): Promise<void> {
  await writeFile(
    join(project, 'app.js'),
    "import { createServer } from 'node:http';\nexport const app = createServer((req, res) => res.end('from npx'));\n",
  );
  const args = ['portico', '--bind', '127.0.0.1:0', 'app.js:app'];
  const program = spawnProgram(t, ['npx', ...args], { cwd: project });
  const [, url] = await program.logged(/Listening at: (http:\S+)/, { deadlineMs: 30_000 });
  assert.equal(await (await fetch(url as string)).text(), 'from npx');
  // npx keeps a TERM to itself, so the instance is told.
  const env = { PORTICO_RUNTIME_DIR: program.runtimeDir };
  assert.equal((await portico(['stop'], { cwd: project, env })).code, 0);
  assert.equal(await program.exited, 0);
}
