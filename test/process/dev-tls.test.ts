// --tls dev in the whole program: the first start, later ones, names, renewal, terminals, users.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { connect } from 'node:tls';
import { promisify } from 'node:util';
import { openDevCertificate } from '../../src/certificates/dev/dev-certificate.ts';
import { devCertificates } from '../../src/cli/dev-certificate.ts';
import { tempDir } from '../helpers/arbiter.ts';
import { portico } from '../helpers/cli.ts';
import { testConfig } from '../helpers/config.ts';
import { needs } from '../helpers/need.ts';
import { repositoryRoot, spawnPortico, startPortico } from '../helpers/portico.ts';
import { until } from '../helpers/until.ts';

const program = join(repositoryRoot, 'dist/main.js');
const app = join(repositoryRoot, 'test/fixtures/echo-app.mjs');
const dayMs = 86_400_000;
const anyPort = 'https://127.0.0.1:0';

/** Where a test's CA is; its directory is not made yet. */
function place(t: TestContext) {
  const data = tempDir(t);
  const dir = join(data, 'portico', 'dev-ca');
  return { dir, env: { XDG_DATA_HOME: data }, caPath: join(dir, 'ca.pem') };
}

/** The status of an answer over TLS that the CA vouches for. */
function get(port: number, caPath: string, host = 'localhost'): Promise<number> {
  return new Promise((done, fail) => {
    const ca = readFileSync(caPath);
    const options = { host: '127.0.0.1', port, ca, servername: host, agent: false };
    request(options, (response) => {
      response.resume();
      done(response.statusCode ?? 0);
    })
      .on('error', fail)
      .end();
  });
}

function served(port: number): Promise<X509Certificate> {
  return new Promise((done, fail) => {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false }, () => {
      done(socket.getPeerX509Certificate() as X509Certificate);
      socket.destroy();
    });
    socket.on('error', fail);
  });
}

test('the first start makes a CA, says how to trust it, and serves https', async (t) => {
  const { env, dir, caPath } = place(t);
  const args = ['--tls', 'dev', '--bind', anyPort, '--workers', '1', app];
  const first = await startPortico(t, args, { env });
  assert.match(first.origin, /^https:/);
  assert.equal(await get(first.port, caPath), 200);
  assert.equal(first.log().match(/How to trust it: portico cert dev/g)?.length, 1);
  assert.ok(first.log().includes(caPath));
  assert.equal(statSync(dir).mode & 0o777, 0o700);
  for (const name of ['ca.key.pem', 'ca.pem', 'server.pem'])
    assert.equal(statSync(join(dir, name)).mode & 0o777, 0o600, name);
  // The CA's key stays in the arbiter's process: the edge gets the server's pair.
  const pair = readFileSync(join(dir, 'server.pem'), 'utf8');
  const second = await startPortico(t, args, { env });
  assert.equal(await get(second.port, caPath), 200);
  assert.equal(readFileSync(join(dir, 'server.pem'), 'utf8'), pair, 'nothing was made anew');
});

test('two first starts at once have one CA', async (t) => {
  const { env, caPath } = place(t);
  const args = ['--tls', 'dev', '--bind', anyPort, '--workers', '1', app];
  const both = await Promise.all([startPortico(t, args, { env }), startPortico(t, args, { env })]);
  for (const { port } of both) assert.equal(await get(port, caPath), 200);
});

test('names that are given are in the certificate, also after a reload', async (t) => {
  const { env, caPath } = place(t);
  const cwd = tempDir(t);
  const config = (dev: unknown) =>
    writeFileSync(
      join(cwd, 'portico.config.json'),
      JSON.stringify({ bind: anyPort, workers: 1, tls: { dev } }),
    );
  config(['shop.test']);
  const { port, signal, logged, log } = await startPortico(
    t,
    ['--config', 'portico.config.json', '--bind', anyPort, app],
    { env, cwd },
  );
  assert.equal(await get(port, caPath, 'shop.test'), 200);
  await assert.rejects(get(port, caPath, 'api.localhost'), /altnames/i);
  const from = log().length;
  config(['shop.test', 'api.localhost', 'www.example.com']);
  signal('SIGHUP');
  await logged(/is not for www\.example\.com: its CA vouches for local names alone/, { from });
  await until('the new name', async () =>
    (await get(port, caPath, 'api.localhost').catch(() => 0)) === 200 ? true : null,
  );
  assert.equal(await get(port, caPath, 'shop.test'), 200);
});

test('a certificate that was renewed is served without a restart', async (t) => {
  const { env, dir, caPath } = place(t);
  const { port } = await startPortico(
    t,
    ['--tls', 'dev', '--bind', anyPort, '--workers', '1', app],
    { env },
  );
  const before = await served(port);
  const later = Date.now() + 80 * dayMs;
  // As the look in 80 days would.
  const made = await openDevCertificate({ dir, machine: 'x', user: 'x', hosts: [], nowMs: later });
  assert.ok(made.ok, JSON.stringify(made));
  await until('the new certificate', async () => {
    const now = await served(port);
    return now.fingerprint256 !== before.fingerprint256 ? true : null;
  });
  assert.equal(
    (await served(port)).verify(new X509Certificate(readFileSync(caPath)).publicKey),
    true,
  );
});

test('the running process looks at the certificate again and again', async (t) => {
  const { env, dir } = place(t);
  const { XDG_DATA_HOME: former } = process.env;
  process.env.XDG_DATA_HOME = env.XDG_DATA_HOME;
  t.after(() => {
    if (former === undefined) delete process.env.XDG_DATA_HOME;
    else process.env.XDG_DATA_HOME = former;
  });
  // 70 of its 90 days are over.
  const options = {
    dir,
    machine: 'localhost',
    user: 'x',
    hosts: [],
    nowMs: Date.now() - 70 * dayMs,
  };
  assert.ok((await openDevCertificate(options)).ok);
  const path = join(dir, 'server.pem');
  const old = readFileSync(path, 'utf8');
  const dev = devCertificates({ lookMs: 20 });
  t.after(() => dev.close());
  // The timer alone would not keep a process.
  const alive = setInterval(() => {}, 1000);
  t.after(() => clearInterval(alive));
  const config = testConfig({
    tls: { dev: true, devHosts: [], certificates: [] },
    errorLogfile: join(tempDir(t), 'log'),
  });
  const put = await dev.put(config);
  assert.ok(put.ok, JSON.stringify(put));
  assert.deepEqual(put.config.tls.certificates, [
    { cert: path, key: null, passphrase: null, hosts: [] },
  ]);
  const fresh = readFileSync(path, 'utf8');
  assert.notEqual(fresh, old, 'at once');
  writeFileSync(path, old);
  await until('renewal by itself', () => (readFileSync(path, 'utf8') !== old ? true : null));
});

test('what others could have written stops the start, with the reason', async (t) => {
  const { env, dir } = place(t);
  mkdirSync(dir, { recursive: true });
  chmodSync(dir, 0o777);
  const ran = spawnPortico(t, ['--tls', 'dev', '--bind', anyPort, app], { env });
  assert.equal(await ran.exited, 1);
  assert.match(
    ran.log(),
    /portico: Cannot make the certificate of --tls dev: others may write to .*dev-ca/,
  );
});

test('--tls dev beside plain binds alone is warned of', async (t) => {
  const { env } = place(t);
  const args = ['--tls', 'dev', '--bind', '127.0.0.1:8000', '--check-config', app];
  const ran = await portico(args, { cwd: tempDir(t), env });
  assert.equal(ran.code, 0, ran.stderr);
  assert.match(ran.stderr, /no bind begins with https:\/\//);
});

test('--tls dev alone makes https of the default bind', async (t) => {
  const { env } = place(t);
  const cwd = tempDir(t);
  const printed = await portico(['--tls', 'dev', '--print-config'], { cwd, env });
  assert.match(printed.stdout, /^bind +https:\/\/127\.0\.0\.1:8000 +default: 127\.0\.0\.1:8000$/m);
  const named = await portico(
    ['--tls', 'dev:shop.test, 10.0.0.7', '--bind', 'https://localhost:8443', '--print-config'],
    { cwd, env },
  );
  assert.match(named.stdout, /^tls +dev shop\.test 10\.0\.0\.7 localhost +--tls/m);
  assert.equal(existsSync(join(env.XDG_DATA_HOME, 'portico')), false, 'looking makes nothing');
});

test(
  'an https:// bind gets it without asking on a terminal, and nowhere else',
  needs('script'),
  async (t) => {
    const { env } = place(t);
    const cwd = tempDir(t);
    writeFileSync(join(cwd, 'app.mjs'), 'export default (_req, res) => res.end();');
    writeFileSync(join(cwd, 'code.config.mjs'), 'export default {};');
    for (const config of ['none', 'code.config.mjs']) {
      const args = [
        '--config',
        config,
        '--bind',
        'https://127.0.0.1:0',
        '--check-config',
        'app.mjs',
      ];
      const piped = await portico(args, { cwd, env });
      assert.match(piped.stderr, /there is no certificate: give --certfile, --acme or --tls dev/);
      const command = [process.execPath, program, ...args].join(' ');
      const { stdout } = await promisify(execFile)('script', ['-qec', command, '/dev/null'], {
        cwd,
        env: { ...process.env, ...env },
        timeout: 30_000,
      });
      assert.match(stdout, /configuration ok/);
    }
  },
);

test('started as root, edges of another user serve what only root can read', {
  skip: process.getuid?.() === 0 ? false : 'only root can',
}, async (t) => {
  const { env, dir, caPath } = place(t);
  // Where the other user may go.
  const runtime = tempDir(t);
  chmodSync(runtime, 0o755);
  const args = ['--tls', 'dev', '--bind', anyPort, '--workers', '1', '--user', 'nobody', app];
  const { port } = await startPortico(t, args, {
    env: { ...env, PORTICO_RUNTIME_DIR: join(runtime, 'run') },
  });
  assert.equal(await get(port, caPath), 200);
  assert.equal(statSync(join(dir, 'ca.key.pem')).uid, 0);
});
