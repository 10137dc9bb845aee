// A single executable made by `portico build`, alone in a directory, without PATH and without rights.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { get } from 'node:https';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { makePair } from '../helpers/certificates.ts';
import { openWorkshop, type Workshop } from '../helpers/executable.ts';
import { type PorticoProcess, startExecutable, suiteOwner } from '../helpers/portico.ts';
import { openWebSocket } from '../helpers/websockets.ts';

const suite = suiteOwner();
const uid = process.getuid?.() === 0 ? { uid: 65534 } : {};
let workshop: Workshop;
let file: string;
let service: PorticoProcess;
let temp: string;

before(async () => {
  workshop = openWorkshop();
  file = workshop.build('app', '--include', 'views');
  temp = join(workshop.dir, 'temp');
  mkdirSync(temp, { mode: 0o777 });
  spawnSync('chmod', ['1777', temp]);
  service = await startExecutable(suite, [file], { ...uid, env: { TMPDIR: temp } });
});
after(async () => {
  await suite.end();
  // What was carried along goes with the instance.
  const left = readdirSync(temp);
  workshop.remove();
  assert.deepEqual(left, []);
});

const text = async (path: string) => (await fetch(service.origin + path)).text();

test('it says what it is made of and what it carries along', () => {
  assert.match(workshop.printed, /MB are Node \d+\.\d+\.\d+ for linux-x64\n/);
  assert.match(workshop.printed, /static files: 3\n/);
  assert.match(workshop.printed, /carried along.*: bcrypt, socket\.io, views\n/);
  assert.deepEqual(readdirSync(dirname(file)), ['service']);
});

test('app, views, machine code and packages that read their own files work inside', async () => {
  const { pid } = (await (await fetch(`${service.origin}/`)).json()) as { pid: number };
  assert.notEqual(pid, service.pid);
  assert.equal(await text('/view'), 'hello from a view\n');
  assert.equal(await text('/native'), 'true');
  assert.match(await text('/socket.io/socket.io.min.js'), /Socket\.IO v4/);
  const names = JSON.parse(await text('/names'));
  assert.deepEqual([names.wasStarted, names.isMain], [false, true]);
  assert.equal(JSON.parse(await text('/')).pid > 0, true);
});

test('carried files are in a directory that nobody else can enter', async () => {
  const [name] = readdirSync(temp);
  const { argv } = JSON.parse(await text('/names'));
  assert.equal(dirname(argv[1]), join(temp, name as string));
  const { stdout } = spawnSync('stat', ['-c', '%a', join(temp, name as string)]);
  assert.equal(stdout.toString().trim(), '700');
});

test('static files come from inside, with validators, ranges, an index and a listing', async () => {
  const page = await fetch(`${service.origin}/assets/`);
  assert.equal(await page.text(), '<h1>inside</h1>\n');
  assert.equal(page.headers.get('cache-control'), 'public, max-age=3600');
  assert.equal(page.headers.get('last-modified'), null);
  const etag = page.headers.get('etag') as string;
  const again = await fetch(`${service.origin}/assets/`, { headers: { 'If-None-Match': etag } });
  assert.equal(again.status, 304);
  const part = await fetch(`${service.origin}/assets/sub/style.css`, {
    headers: { Range: 'bytes=5-9' },
  });
  assert.deepEqual([part.status, await part.text()], [206, '{ col']);
  assert.match(await text('/assets/sub/'), /style\.css/);
  assert.equal((await fetch(`${service.origin}/assets/nothing.css`)).status, 404);
  assert.equal((await fetch(`${service.origin}/assets/%2e%2e/app.mjs`)).status, 404);
  assert.equal((await fetch(`${service.origin}/private/secret.txt`)).status, 404);
  assert.equal(await text('/handed-over'), 'for your eyes only\n');
});

test('an error of the app is told without frames of Portico', async () => {
  await fetch(`${service.origin}/fault`);
  await service.logged(/Error: on purpose\n +at .*app\.mjs/);
  assert.doesNotMatch(service.log(), /portico\.cjs/);
});

test('a killed worker is replaced, and HUP replaces all', async () => {
  const { pid } = JSON.parse(await text('/'));
  let from = service.log().length;
  process.kill(pid, 'SIGKILL');
  await service.logged(/Booting worker/, { from });
  assert.equal((await fetch(`${service.origin}/`)).status, 200);
  from = service.log().length;
  service.signal('SIGHUP');
  await service.logged(/Reloaded: generation 2 serves/, { from, deadlineMs: 20_000 });
  assert.equal((await fetch(`${service.origin}/`)).status, 200);
  await service.logged(/"GET \/view HTTP\/1\.1" 200/);
});

test('its settings are defaults: TLS, an overlaid directory and another number of workers', async (t) => {
  const { certPem, keyPem } = await makePair(['localhost']);
  const pair = join(workshop.dir, 'pair.pem');
  writeFileSync(pair, certPem + keyPem);
  const outside = join(workshop.dir, 'outside');
  mkdirSync(outside);
  writeFileSync(join(outside, 'index.html'), 'outside\n');
  const flags = [
    ...['--certfile', pair, '--bind', 'https://127.0.0.1:0', '--workers', '1'],
    ...['--log-level', 'debug'],
  ];
  const own = await startExecutable(t, [file, ...flags, '--static', `/assets=${outside}`], {
    env: { NO_ACCESS_LOG: '1', TMPDIR: workshop.dir },
  });
  const secure = async (path: string) => {
    const options = { rejectUnauthorized: false };
    const [response] = await once(get(`https://127.0.0.1:${own.port}${path}`, options), 'response');
    return Buffer.concat(await response.toArray()).toString();
  };
  assert.deepEqual(JSON.parse(await secure('/')).encrypted, true);
  assert.equal(await secure('/assets/'), 'outside\n');
  assert.equal(await secure('/assets/sub/style.css'), 'body { color: teal }\n');
  const url = `wss://127.0.0.1:${own.port}/echo`;
  const { socket, messages } = await openWebSocket(url, { rejectUnauthorized: false });
  socket.send('through');
  assert.equal((await messages.next()).toString(), 'through');
  socket.terminate();
  assert.doesNotMatch(own.log(), /HTTP\/1\.1" 200/);
  assert.equal(own.log().match(/Booting worker/g)?.length, 1);
  if (process.platform === 'linux') assert.match(own.log(), /writes past Node’s streams/);
});

test('--self-test starts everything on a private socket and reports; commands and --version work', () => {
  const env = { PORTICO_RUNTIME_DIR: service.runtimeDir, TMPDIR: temp };
  const run = (...args: string[]) => spawnSync(file, args, { env, encoding: 'utf8', ...uid });
  const tested = run('--self-test');
  assert.equal(tested.status, 0, tested.stdout + tested.stderr);
  assert.match(tested.stdout, /^ok {3}GET \/ answers 200, \d+ ms after the start\n/);
  assert.match(tested.stdout, /ok {3}2 of 2 workers serve\n/);
  assert.match(tested.stdout, /ok {3}2 of 2 files below \/assets are what was built\n/);
  const status = run('status');
  assert.match(status.stdout, /app {9}app\.mjs:server/);
  const other = run('other.js:app');
  assert.equal(other.status, 1);
  assert.match(other.stderr, /this executable has its app in it/);
});

test('a secret is not built in', () => {
  assert.throws(
    () => workshop.build('secret', '--keyfile-password', 'sesame'),
    (error: { stderr?: string }) => /could read it/.test(error.stderr ?? ''),
  );
});
