// keepBuilds: the store of earlier builds, by itself and behind a running edge.

import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { staticMount } from '../../src/config/static-mounts.ts';
import { keepBuild } from '../../src/edge/kept-builds/keep-build.ts';
import { keptDir, keptFiles, lockDirectory } from '../../src/edge/kept-builds/store.ts';
import { runEdge } from '../helpers/running-edge.ts';

function start(t: TestContext, keepBuilds: number) {
  const base = mkdtempSync(join(tmpdir(), 'portico-kept-'));
  t.after(() => rmSync(base, { recursive: true, force: true }));
  const dir = join(base, 'dist');
  const store = join(base, 'store');
  const mount = staticMount({ prefix: '/assets', dir, keepBuilds });
  /** As a build tool does it: everything away, then everything new. */
  const build = (files: Record<string, string>): void => {
    rmSync(dir, { recursive: true, force: true });
    for (const [name, content] of Object.entries({ 'index.html': 'page', ...files })) {
      mkdirSync(dirname(join(dir, name)), { recursive: true });
      writeFileSync(join(dir, name), content);
    }
  };
  const files = keptFiles(store, mount);
  const kept = () =>
    readdirSync(files, { recursive: true, encoding: 'utf8' })
      .filter((name) => statSync(join(files, name)).isFile())
      .sort();
  return { base, dir, store, mount, build, kept, files, keep: () => keepBuild(store, mount) };
}

const a = { 'app.aaaa1111.js': 'a', 'app.aaaa1111.js.br': 'a-br', 'css/style.aaaa1111.css': 'a' };
const b = { 'app.bbbb2222.js': 'b' };
const c = { 'app.cccc3333.js': 'c' };

test('hashed files of the builds before are kept, as many as the setting says', async (t) => {
  const { build, keep, kept, store } = start(t, 1);
  build(a);
  assert.deepEqual(await keep(), { files: 3, builds: 1, isNew: true, isCut: false });
  assert.deepEqual(kept(), Object.keys(a).sort());
  assert.equal((await keep())?.isNew, false);
  build(b);
  assert.deepEqual(await keep(), { files: 1, builds: 2, isNew: true, isCut: false });
  assert.deepEqual(kept(), [...Object.keys(a), ...Object.keys(b)].sort());
  build(c);
  assert.equal((await keep())?.builds, 2);
  assert.deepEqual(kept(), [...Object.keys(b), ...Object.keys(c)].sort());
  assert.equal(statSync(store).mode & 0o777, 0o700);
});

test('a rollback makes an earlier build the present one', async (t) => {
  const { build, keep, kept } = start(t, 1);
  for (const files of [a, b, a, c]) {
    build(files);
    await keep();
  }
  assert.deepEqual(kept(), [...Object.keys(a), ...Object.keys(c)].sort());
});

test('an empty directory is no build, and what a crash left behind is cleared away', async (t) => {
  const { build, keep, kept, files, store, mount } = start(t, 1);
  build(a);
  await keep();
  build({});
  assert.deepEqual(await keep(), { files: 0, builds: 1, isNew: false, isCut: false });
  assert.equal(kept().length, 3);
  writeFileSync(join(files, 'app.dddd4444.js.99.tmp'), 'half');
  writeFileSync(join(keptDir(store, mount), 'manifest.json'), '{"builds": [{"atMs"');
  build(b);
  assert.equal((await keep())?.builds, 1);
  assert.deepEqual(kept(), Object.keys(b));
});

test('what is hidden, has no hash, or leads out of the directory is not kept', async (t) => {
  const { base, dir, build, keep, kept } = start(t, 1);
  build({ ...b, '.git/app.aaaa1111.js': 'hidden', 'plain.js': 'no hash' });
  writeFileSync(join(base, 'secret'), 'TOP-SECRET');
  symlinkSync('../secret', join(dir, 'out.abcd1234.js'));
  symlinkSync('app.bbbb2222.js', join(dir, 'in.abcd1234.js'));
  symlinkSync('..', join(dir, 'up'));
  symlinkSync('.', join(dir, 'round'));
  await keep();
  assert.deepEqual(kept(), ['app.bbbb2222.js', 'in.abcd1234.js']);
});

test('a store that others can write is not used', async (t) => {
  const { build, keep, store, mount } = start(t, 1);
  build(a);
  mkdirSync(keptDir(store, mount), { recursive: true });
  chmodSync(keptDir(store, mount), 0o777);
  await assert.rejects(keep(), /can be written by others/);
});

test('the lock keeps instances apart, and one of a dead process is passed over', async (t) => {
  const { base } = start(t, 1);
  const unlock = await lockDirectory(base);
  assert.ok(existsSync(join(base, 'lock')));
  const second = lockDirectory(base);
  await unlock?.();
  await (await second)?.();
  assert.equal(existsSync(join(base, 'lock')), false);
  writeFileSync(join(base, 'lock'), '1');
  const past = new Date(Date.now() - 3_600_000);
  utimesSync(join(base, 'lock'), past, past);
  assert.notEqual(await lockDirectory(base), null);
});

test('a store on another device holds copies', async (t) => {
  const { base, mount, build } = start(t, 1);
  if (!existsSync('/dev/shm') || statSync('/dev/shm').dev === statSync(base).dev)
    return t.skip('there is no other device');
  const store = mkdtempSync('/dev/shm/portico-kept-');
  t.after(() => rmSync(store, { recursive: true, force: true }));
  build(a);
  await keepBuild(store, mount);
  const copy = join(keptFiles(store, mount), 'app.aaaa1111.js');
  assert.equal(readFileSync(copy, 'utf8'), 'a');
  assert.equal(
    Math.floor(statSync(copy).mtimeMs / 1000),
    Math.floor(statSync(join(mount.dir, 'app.aaaa1111.js')).mtimeMs / 1000),
  );
});

test('an asset of an earlier build is served, and one that never was is a 404 no cache keeps', async (t) => {
  const { build, keep, store, mount } = start(t, 1);
  build(a);
  await keep();
  const { ask } = await runEdge(t, {
    static: [{ ...mount, fallback: 'index.html' }],
    staticStore: store,
  });
  const get = (path: string, more = '') => ask(`GET ${path}`, `${more}\r\n`).response();
  assert.equal((await get('/assets/app.aaaa1111.js')).body, 'a');
  build(b);
  const old = await get('/assets/app.aaaa1111.js');
  assert.equal(old.status, 200);
  assert.equal(old.body, 'a');
  assert.match(old.fields.get('cache-control') ?? '', /immutable/);
  assert.match(old.fields.get('content-type') ?? '', /javascript/);
  const coded = await get('/assets/app.aaaa1111.js', 'Accept-Encoding: br\r\n');
  assert.equal(coded.body, 'a-br');
  assert.equal((await get('/assets/css/style.aaaa1111.css')).body, 'a');
  assert.equal((await get('/assets/app.bbbb2222.js')).body, 'b');

  const never = await get('/assets/app.dddd4444.js', 'Accept: text/html\r\n');
  assert.equal(never.status, 404);
  assert.equal(never.fields.get('cache-control'), 'no-store');
  assert.doesNotMatch(never.body, /^page/);
  assert.equal((await get('/assets/some/page', 'Accept: text/html\r\n')).body, 'page');
  assert.equal((await get('/assets/manifest.json')).status, 404);
});
