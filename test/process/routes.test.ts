// Routes through the whole program: the example stack, nginx as an upstream, and a start with routes alone.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { portico as command, directoryOf } from '../helpers/cli.ts';
import { needs } from '../helpers/need.ts';
import { repositoryRoot, startPortico } from '../helpers/portico.ts';

const run = promisify(execFile);

/** A program that says "listening on PORT". */
async function started(t: TestContext, file: string, env: Record<string, string>): Promise<number> {
  const child = spawn(process.execPath, [file], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const gone = new Promise((done) => child.once('exit', done));
  t.after(async () => {
    if (child.exitCode === null && child.kill()) await gone;
  });
  for await (const text of child.stdout) {
    const port = /listening on (\d+)/.exec(String(text))?.[1];
    if (port !== undefined) return Number(port);
  }
  throw new Error(`${file} ended`);
}

test('examples/routes: an app and an API behind one door', async (t) => {
  const example = join(repositoryRoot, 'examples/routes');
  const port = await started(t, join(example, 'api.mjs'), { PORT: '0' });
  const config = join(example, 'portico.config.mjs');
  const env = { BIND: '127.0.0.1:0', API_URL: `http://127.0.0.1:${port}` };
  const running = await startPortico(t, ['--config', config], { env, ownBind: true });
  const { origin } = running;
  const get = (path: string, init: RequestInit = {}) =>
    fetch(origin + path, { redirect: 'manual', ...init });
  const page = await get('/');
  assert.match(await page.text(), /<h1>Two servers, one door<\/h1>/);
  assert.equal(page.headers.get('x-frame-options'), 'SAMEORIGIN');
  assert.deepEqual(await (await get('/api/hello?a=b')).json(), {
    url: '/hello?a=b',
    host: origin.slice(7),
    prefix: '/api',
    caller: 'web',
  });
  const old = await get('/v1/users/7?x');
  assert.deepEqual([old.status, old.headers.get('location')], [308, '/api/users/7?x']);
  assert.match(await (await get('/robots.txt')).text(), /Disallow: \/api/);
  assert.equal((await get('/internal')).status, 200);
  const preflight = await get('/api/x', {
    method: 'OPTIONS',
    headers: { Origin: 'https://shop.example.com', 'Access-Control-Request-Method': 'PUT' },
  });
  assert.equal(preflight.status, 204);
  const status = await command(['status'], {
    cwd: repositoryRoot,
    env: { PORTICO_RUNTIME_DIR: running.runtimeDir },
  });
  assert.match(
    status.stdout,
    /upstream http:\/\/127\.0\.0\.1:\d+\n +127\.0\.0\.1:\d+: up, 0 in flight, 1 served/,
  );
  const table = await command(['routes', '-c', config], { cwd: repositoryRoot });
  assert.match(table.stdout, /\/api +\* +\* +http:\/\/127\.0\.0\.1:8001 +api\n/);
});

test(
  'nginx as an upstream, with files, ranges, uploads and errors of its own',
  needs('nginx', 'curl'),
  async (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'portico-routes-'));
    t.after(() => rmSync(dir, { recursive: true, force: true }));
    writeFileSync(join(dir, 'large.bin'), Buffer.alloc(3_000_000, 'x'));
    const socket = join(dir, 'nginx.sock');
    const log = join(dir, 'error.log');
    writeFileSync(
      join(dir, 'nginx.conf'),
      `daemon off; pid ${dir}/nginx.pid; error_log ${log}; user root;
events {}
http {
  access_log off; client_body_temp_path ${dir}/body; proxy_temp_path ${dir}/proxy;
  fastcgi_temp_path ${dir}/f; uwsgi_temp_path ${dir}/u; scgi_temp_path ${dir}/s; client_max_body_size 1m;
  server {
    listen unix:${socket};
    location / { root ${dir}; }
    location /echo { return 200 "$request_method $request_uri $http_x_forwarded_for $http_host"; }
    location /put { dav_methods PUT; root ${dir}; }
  }
}`,
    );
    const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` };
    const nginx = spawn('nginx', ['-p', dir, '-e', log, '-c', join(dir, 'nginx.conf')], {
      stdio: 'ignore',
      env,
    });
    const gone = new Promise((done) => nginx.once('exit', done));
    t.after(async () => {
      if (nginx.exitCode === null && nginx.kill()) await gone;
    });
    const cwd = directoryOf(t, {
      'portico.config.json': JSON.stringify({
        routes: [
          { path: '/n', strip: true, to: { targets: `unix:${socket}`, host: 'files.test' } },
        ],
      }),
    });
    // Without an app.
    const { origin } = await startPortico(t, [], { cwd });
    const curl = async (...args: string[]) =>
      (await run('curl', ['-sS', '--max-time', '15', ...args], { maxBuffer: 1e7 })).stdout;
    // nginx may open its socket a moment later: the request waits for it.
    assert.equal(await curl(`${origin}/n/echo/a%20b?c`), 'GET /echo/a%20b?c 127.0.0.1 files.test');
    assert.equal((await curl(`${origin}/n/large.bin`)).length, 3_000_000);
    assert.equal(await curl('-r', '5-9', `${origin}/n/large.bin`), 'xxxxx');
    assert.match(await curl('-I', `${origin}/n/large.bin`), /Content-Length: 3000000/i);
    const code = ['-o', '/dev/null', '-w', '%{http_code}'];
    assert.equal(await curl(...code, `${origin}/n/none`), '404');
    assert.equal(await curl(...code, '-T', join(dir, 'large.bin'), `${origin}/n/put/x`), '413');
    // Nothing is beside the routes.
    assert.equal(await curl(...code, `${origin}/`), '404');
    assert.equal(await curl(...code, `${origin}/nn`), '404');
  },
);
