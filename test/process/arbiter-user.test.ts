// Who the processes run as: --user and --group as root, and everything as somebody unprivileged.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { giveAcmeStorage } from '../../src/arbiter/acme-storage.ts';
import { giveLogFiles } from '../../src/arbiter/log-files.ts';
import { prepareRuntimeDir } from '../../src/arbiter/runtime-dir.ts';
import { startArbiter, tempDir } from '../helpers/arbiter.ts';
import { needsNobody } from '../helpers/need.ts';
import { until } from '../helpers/until.ts';

const isRoot = process.getuid?.() === 0;
const asRoot = { skip: isRoot ? false : 'only root can start processes as somebody else' };
const nobody = 65534;

const asNobody = needsNobody();

function uidOf(pid: number): number {
  return statSync(`/proc/${pid}`).uid;
}

test('--user: the arbiter stays root, edges and workers do not', asNobody, async (t) => {
  const arbiter = await startArbiter(t, { user: 'nobody', workers: 1 });
  const { edges, workers } = await arbiter.statusIs('numbers', ({ workers: [worker] }) =>
    worker?.rssBytes ? worker.rssBytes > 0 : false,
  );
  assert.equal(uidOf(arbiter.pid), 0);
  assert.deepEqual(
    [...edges, ...workers].map(({ pid }) => uidOf(pid as number)),
    [nobody, nobody],
  );
  const { status } = edges[0] as (typeof edges)[number];
  assert.equal(status?.requestsServed, 7);
  assert.equal(statSync(arbiter.runtimeDir).mode & 0o777, 0o711);
  const dir = statSync(join(arbiter.runtimeDir, 'workers'));
  assert.deepEqual([dir.mode & 0o777, dir.uid], [0o700, nobody]);
  const control = statSync(join(arbiter.runtimeDir, 'control.sock'));
  assert.deepEqual([control.mode & 0o777, control.uid], [0o600, 0]);
  // None of root's groups went along.
  const groups = readFileSync(`/proc/${workers[0]?.pid}/status`, 'utf8').match(/^Groups:(.*)$/m);
  assert.equal(groups?.[1]?.trim(), '');
  assert.equal((await arbiter.ask({ command: 'stop' })).ok, true);
});

test('--user: log files are made and given away, at the start and by USR1', asNobody, async (t) => {
  const dir = tempDir(t);
  chmodSync(dir, 0o755);
  const [errorLogfile, accessLogfile] = [join(dir, 'logs/error.log'), join(dir, 'access.log')];
  writeFileSync(accessLogfile, 'old\n', { mode: 0o600 });
  const logs = { user: 'nobody', errorLogfile, accessLogfile };
  const arbiter = await startArbiter(t, { ...logs, workers: 1 }, { waits: false });
  const started = () =>
    existsSync(errorLogfile) && /Listening/.test(readFileSync(errorLogfile, 'utf8'));
  await until('the start', () => (started() ? true : null));
  const owners = () => [errorLogfile, accessLogfile].map((file) => statSync(file).uid);
  assert.deepEqual(owners(), [nobody, nobody]);
  renameSync(accessLogfile, `${accessLogfile}.1`);
  renameSync(errorLogfile, `${errorLogfile}.1`);
  arbiter.signal('SIGUSR1');
  await arbiter.logged(/worker reopens/);
  assert.deepEqual(owners(), [nobody, nobody]);
});

test('only plain files are given away, and only by links that are root’s', asRoot, (t) => {
  const dir = tempDir(t);
  const own = (name: string) => join(dir, name);
  for (const name of ['one', 'two', 'three', 'secret', 'twin']) writeFileSync(own(name), '');
  linkSync(own('twin'), own('hard'));
  execFileSync('mkfifo', [own('fifo')]);
  // Theirs, and what they put there.
  for (const name of ['theirs', 'open']) mkdirSync(own(name));
  chownSync(own('theirs'), nobody, nobody);
  chmodSync(own('open'), 0o777);
  mkdirSync(own('theirs/logs'));
  symlinkSync(own('secret'), own('theirs/link'));
  symlinkSync(own('secret'), own('open/link'));
  symlinkSync(dir, own('theirs/up'));
  // Root's.
  symlinkSync('two', own('relative'));
  symlinkSync(own('relative'), own('twice'));
  symlinkSync(dir, own('dir'));
  symlinkSync('made', own('dangling'));
  symlinkSync('theirs/link', own('into-theirs'));
  symlinkSync('loop', own('loop'));

  const give = (file: string) =>
    giveLogFiles({ errorLogfile: file, accessLogfile: null }, { uid: nobody, gid: nobody });
  const uid = (name: string) => statSync(own(name)).uid;
  for (const name of ['one', 'twice', 'dir/three', 'dangling', 'theirs/logs/new'])
    assert.deepEqual(give(own(name)), [], name);
  for (const name of ['one', 'two', 'three', 'made', 'theirs/logs/new'])
    assert.equal(uid(name), nobody, name);
  for (const other of [own('hard'), own('fifo'), '-', '/dev/null', '/dev/stdout'])
    assert.deepEqual(give(other), [], other);
  const reason = /is a symbolic link in a directory that others can write$/;
  for (const name of ['theirs/link', 'open/link', 'theirs/up/secret', 'into-theirs'])
    assert.match(give(own(name)).join(), reason, name);
  assert.match(give(own('loop')).join(), /too many symbolic links/);
  assert.deepEqual(['secret', 'twin', 'fifo'].map(uid), [0, 0, 0]);
  assert.equal(statSync('/dev/null').uid, 0);
});

test(
  'compiled code that workers kept is removed at the end, as the user who owns it',
  asRoot,
  async (t) => {
    const dir = tempDir(t);
    chmodSync(dir, 0o755);
    const secret = join(dir, 'secret');
    mkdirSync(secret);
    writeFileSync(join(secret, 'file'), '');
    for (const identity of [null, { uid: nobody, gid: nobody }]) {
      const runtime = await prepareRuntimeDir(join(dir, 'run'), identity);
      assert.ok(runtime.ok);
      const cache = join(runtime.path, 'workers/jiti');
      mkdirSync(cache);
      writeFileSync(join(cache, 'app.js'), '');
      symlinkSync(secret, join(runtime.path, 'workers/compile-cache'));
      if (identity !== null) chownSync(cache, nobody, nobody);
      runtime.remove();
      assert.ok(!existsSync(runtime.path));
      assert.ok(existsSync(join(secret, 'file')));
    }
  },
);

test('without root: everything works, and --user of another is refused', asNobody, async (t) => {
  const base = tempDir(t);
  const identity = { uid: nobody, gid: nobody };
  chownSync(base, nobody, nobody);
  const env = { XDG_RUNTIME_DIR: base };
  const options = { ...identity, ownRuntimeDir: false, env };
  const arbiter = await startArbiter(t, { workers: 1 }, options);
  assert.equal(uidOf(arbiter.pid), nobody);
  const dir = join(base, 'portico', String(arbiter.pid));
  assert.deepEqual([statSync(dir).mode & 0o777, statSync(dir).uid], [0o700, nobody]);
  const refused = await startArbiter(t, { user: 'root' }, { ...options, waits: false });
  assert.equal(await refused.exited, 1);
  await refused.logged(/Only root can start processes as another user/);
});

test('a runtime directory that others own or can write is refused', asRoot, async (t) => {
  const dir = tempDir(t);
  const foreign = join(dir, 'foreign');
  mkdirSync(foreign);
  chownSync(foreign, nobody, nobody);
  const open = join(dir, 'open');
  mkdirSync(open);
  chmodSync(open, 0o777);
  const link = join(dir, 'link');
  symlinkSync(dir, link);
  const refusals = [
    [foreign, /belongs to another user/],
    [open, /can be written by other users/],
    [link, /is no directory/],
  ] as const;
  for (const [runtimeDir, why] of refusals) {
    const refused = await startArbiter(t, { runtimeDir }, { waits: false });
    assert.equal(await refused.exited, 1);
    await refused.logged(why);
  }
});

test("--user: ACME's directory is made, and what root has left in it given away", asRoot, (t) => {
  const identity = { uid: nobody, gid: nobody };
  const acmeStorage = join(tempDir(t), 'state', 'acme');
  const config = { acme: ['one.example'], acmeStorage };
  assert.deepEqual(giveAcmeStorage({ ...config, acme: [] }, identity), []);
  const home = dirname(dirname(acmeStorage));
  chmodSync(home, 0o700);
  assert.match(giveAcmeStorage(config, identity)[0]!, /cannot pass through .* \(chmod o\+x\)/);
  chmodSync(home, 0o711);
  rmSync(dirname(acmeStorage), { recursive: true });
  assert.equal(existsSync(acmeStorage), false, 'nothing is made where ACME is off');
  assert.deepEqual(giveAcmeStorage(config, identity), []);
  const owner = (path: string) => statSync(path).uid;
  assert.deepEqual([owner(acmeStorage), statSync(acmeStorage).mode & 0o777], [nobody, 0o700]);
  // As a run as root has left it.
  chownSync(acmeStorage, 0, 0);
  const secret = join(tempDir(t), 'secret');
  writeFileSync(secret, '');
  mkdirSync(join(acmeStorage, 'ca', 'certificates'), { recursive: true });
  writeFileSync(join(acmeStorage, 'ca', 'certificates', 'one.example.pem'), '');
  symlinkSync(secret, join(acmeStorage, 'link'));
  linkSync(secret, join(acmeStorage, 'second-name'));
  assert.deepEqual(giveAcmeStorage(config, identity), []);
  assert.equal(owner(join(acmeStorage, 'ca', 'certificates', 'one.example.pem')), nobody);
  assert.equal(owner(secret), 0, 'nothing outside is given away');
  // A directory of somebody else's, and a path that somebody else may change.
  chownSync(acmeStorage, 1, 1);
  assert.match(giveAcmeStorage(config, identity)[0]!, /belongs to user 1/);
  const theirs = tempDir(t);
  chownSync(theirs, nobody, nobody);
  symlinkSync('/etc', join(theirs, 'state'));
  assert.deepEqual(
    giveAcmeStorage({ ...config, acmeStorage: join(theirs, 'state', 'acme') }, identity),
    [],
  );
  assert.equal(existsSync('/etc/acme'), false);
});
