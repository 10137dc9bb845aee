// A worker's boot: what it loads, what it finds as the app, how it fails.

import assert from 'node:assert/strict';
import { existsSync, readdirSync, statSync } from 'node:fs';
import Module from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';
import { appsDir, ask, spawnWorker, startWorker, type WorkerOptions } from '../helpers/worker.ts';

const options: WorkerOptions = { config: { env: { GREETING: 'from config' }, umask: 0o027 } };

test('an ES module with top-level await is loaded in the environment the config describes', async (t) => {
  const { worker, link } = await startWorker(t, 'basic/esm.mjs', options);
  assert.deepEqual(
    worker.messages.map(({ type }) => type).filter((type) => type !== 'heartbeat'),
    ['started', 'ready'],
  );
  const facts = (await ask(link, '/facts')).json();
  const expected = {
    pid: worker.pid,
    cwd: appsDir,
    umask: 0o027,
    nodeEnv: 'production',
    greeting: 'from config',
    role: null,
    argv1: join(appsDir, 'basic/esm.mjs'),
    title: 'portico: worker 2 (esm.mjs)',
    send: 'undefined',
  };
  for (const [key, value] of Object.entries(expected)) assert.equal(facts[key], value, key);
  const ready = await worker.heard('ready');
  assert.deepEqual(ready.sockets, [join(worker.dir, 'worker-7.sock')]);
  assert.equal(statSync(ready.sockets[0]!).mode & 0o777, 0o600);
});

test('with --reload NODE_ENV stays as it is', async (t) => {
  const { link } = await startWorker(t, 'basic/esm.mjs', { config: { reload: true } });
  assert.equal((await ask(link, '/facts')).json().nodeEnv, null);
});

test('a CommonJS module is the main module, as under node', async (t) => {
  const { link } = await startWorker(t, 'basic/cjs.cjs');
  assert.deepEqual((await ask(link, '/main')).json(), {
    isMain: true,
    mainFile: join(appsDir, 'basic/cjs.cjs'),
  });
});

test('the ending of the file may be left out', async (t) => {
  const { link } = await startWorker(t, 'basic/esm');
  assert.equal((await ask(link, '/')).text(), 'hello');
});

test('TypeScript is loaded, and its errors name the right line', async (t) => {
  const { worker, link } = await startWorker(t, 'basic/typed.ts');
  assert.equal((await ask(link, '/')).text(), 'hello typescript');
  assert.equal((await ask(link, '/throw')).status, 500);
  await worker.logged(/thrown in typescript.*typed\.ts:9:\d+/s);
});

test('TypeScript that Node cannot strip, with imports without ending, goes through jiti', async (t) => {
  const { link } = await startWorker(t, 'basic/transformed.ts');
  assert.equal((await ask(link, '/')).text(), 'hello enum');
});

test('--preload fills a compile cache in the runtime directory', async (t) => {
  const { worker } = await startWorker(t, 'basic/cjs.cjs', { config: { preload: true } });
  const cache = join(worker.dir, 'compile-cache');
  // Node 20 has none.
  const files = existsSync(cache) ? readdirSync(cache, { recursive: true }) : [];
  assert.equal(files.length > 0, 'enableCompileCache' in Module);
});

const exported: readonly [string, string, string][] = [
  ['exports/named.mjs', 'application', 'the first of the usual names'],
  ['exports/named.mjs:first', 'first', 'a named export'],
  ['exports/named.mjs:web.app', 'nested', 'a dotted path'],
  ['exports/named.mjs:web.handle', 'method of web', 'a method, with its object'],
  ["exports/named.mjs:create_app('made', 3)", 'made 3', 'a call with arguments'],
  ['exports/transpiled.cjs', 'transpiled default', 'a transpiled default export'],
  ['exports/object.cjs', 'member app', 'a member of module.exports'],
  ['exports/object.cjs:app', 'member app', 'a named member of module.exports'],
  ['exports/factory.cjs', 'made by a factory', 'a factory'],
  ['exports/factory-async.mjs', 'made by an async factory', 'an async factory'],
  ['exports/promise.cjs', 'promised', 'a promise'],
  ['exports/rest.mjs', 'rest', 'a handler with rest parameters'],
  ['exports/fetch-function.mjs', 'fetched /', 'a function of one parameter as fetch handler'],
  ['exports/server.mjs', 'GET over an exported server', 'an http.Server'],
];
for (const [app, answer, what] of exported) {
  test(`${app} is served: ${what}`, async (t) => {
    const { link } = await startWorker(t, app);
    assert.equal((await ask(link, '/')).text(), answer);
  });
}

test('an exported server hears checkContinue', async (t) => {
  const { link } = await startWorker(t, 'exports/server.mjs');
  const answer = await ask(link, {
    method: 'POST',
    expectsContinue: true,
    fields: ['Expect', '100-continue'],
  });
  assert.deepEqual([answer.status, answer.text()], [417, 'not wanted']);
});

const failures: readonly [string, 3 | 4, RegExp][] = [
  ['broken/syntax.mjs', 4, /Unexpected token '='.*syntax\.mjs:2:1\d/s],
  ['broken/imports-syntax.mjs', 4, /Unexpected token '='.*broken\/syntax\.mjs:2:1\d/s],
  ['broken/throws.cjs', 4, /Cannot read properties of undefined.*throws\.cjs:4:5/s],
  ['broken/throws.ts', 4, /typed 1.*throws\.ts:6:\d/s],
  ['broken/missing-package.mjs', 4, /no-such-package/],
  ['broken/never.mjs', 4, /awaits something that never comes/],
  ['broken/late.mjs', 4, /late at boot/],
  ['broken/exits.mjs', 4, /ended the process \(code 0\) while it was loading/],
  ['exports/factory-throws.mjs', 4, /no database.*factory-throws\.mjs:2/s],
  ['basic/esn.mjs', 4, /Cannot find the module "basic\/esn\.mjs" in .*Did you mean "esm\.mjs"\?/],
  [
    'exports/useless.mjs:app',
    4,
    /has no export "app"\. It exports: appp \(number\), settings \(object\)\. Did you mean "appp"\?/,
  ],
  ['exports/useless.mjs:settings', 4, /it is an object with the keys a\. Expected a \(req, res\)/],
  ['exports/useless.mjs', 4, /has no app: it exports none \(as default, app/],
  ['exports/named.mjs:App', 4, /it is a class \(App\); export an instance/],
  ['exports/named.mjs:config()', 4, /Cannot call the export "config"/],
  ['exports/named.mjs:create_app(x)', 4, /its arguments may only be/],
];
for (const [app, exitCode, reason] of failures) {
  test(`${app} fails the boot with exit code ${exitCode} and ${reason}`, async (t) => {
    const worker = spawnWorker(t, app);
    const message = await worker.heard('boot-failed');
    assert.match(message.reason, reason);
    assert.doesNotMatch(message.reason, /dist\/worker|node:internal/);
    assert.equal(message.exitCode, exitCode);
    assert.equal(await worker.exited, exitCode);
  });
}

test('a socket that cannot be bound fails the boot with exit code 3', async (t) => {
  const worker = spawnWorker(t, 'basic/esm.mjs', { socketDir: '/nowhere' });
  const message = await worker.heard('boot-failed');
  assert.match(message.reason, /Cannot listen on \/nowhere\/worker-7\.sock/);
  assert.equal(await worker.exited, 3);
});

test('an event log that cannot be opened fails the boot with exit code 3', async (t) => {
  const config = { errorLogfile: '/dev/null/error.log' };
  const worker = spawnWorker(t, 'basic/esm.mjs', { config });
  assert.match(
    (await worker.heard('boot-failed')).reason,
    /Cannot open the event log \/dev\/null\/error\.log/,
  );
  assert.equal(await worker.exited, 3);
});

test('a directory that is not there fails the boot with exit code 4', async (t) => {
  const worker = spawnWorker(t, 'app.js', { chdir: '/nowhere' });
  assert.match((await worker.heard('boot-failed')).reason, /Cannot change to the directory/);
  assert.equal(await worker.exited, 4);
});
