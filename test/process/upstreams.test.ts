// HTTP upstreams through the whole program, with real peers: nginx and Python behind it, ws and curl before it.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { WebSocketServer } from 'ws';
import { needs } from '../helpers/need.ts';
import { type Owner, type PorticoProcess, startPortico } from '../helpers/portico.ts';
import { freePort } from '../helpers/ports.ts';
import { until } from '../helpers/until.ts';
import { edgeStatus, openWebSocket } from '../helpers/websockets.ts';

const run = promisify(execFile);

/** Portico with these routes and no app. */
async function withRoutes(t: Owner & TestContext, routes: unknown): Promise<PorticoProcess> {
  const dir = mkdtempSync(join(tmpdir(), 'portico-routes-'));
  t.after(async () => rmSync(dir, { recursive: true, force: true }));
  const config = join(dir, 'portico.config.json');
  writeFileSync(config, JSON.stringify({ routes, gracefulTimeout: 5 }));
  return startPortico(t, ['-c', config], { cwd: dir });
}

async function listen(t: TestContext, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}

test('requests, WebSockets and event streams go to an upstream by its path', async (t) => {
  let left = 0;
  const server = createServer((request, response) => {
    if (request.url !== '/events') {
      response.end(
        `${request.url} ${request.headers['x-forwarded-prefix']} ${request.headers.host}`,
      );
      return;
    }
    response.on('close', () => left++);
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    response.write('data: 1\n\n');
  });
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (socket, request) =>
    socket.on('message', (data) => socket.send(`${String(data)} ${request.url}`)),
  );
  const port = await listen(t, server);
  const portico = await withRoutes(t, [
    { path: '/api', to: `http://localhost:${port}`, strip: true },
    { to: { respond: 404, body: 'elsewhere' } },
  ]);
  const answer = await fetch(`${portico.origin}/api/a?b=c`);
  assert.equal(await answer.text(), `/a?b=c /api 127.0.0.1:${portico.port}`);
  assert.equal((await fetch(`${portico.origin}/other`)).status, 404);

  const { socket, messages } = await openWebSocket(`ws://127.0.0.1:${portico.port}/api/ws`);
  socket.send('hello');
  assert.equal(String(await messages.next()), 'hello /ws');

  const stream = spawn('curl', ['-sN', `${portico.origin}/api/events`]);
  const [first] = (await once(stream.stdout, 'data')) as [Buffer];
  assert.equal(String(first), 'data: 1\n\n');
  stream.kill();
  await until('word of its end at the upstream', () => left === 1);

  const { upstreams } = await edgeStatus(portico.runtimeDir);
  const up = upstreams[0]!.members.filter(({ state }) => state === 'up');
  assert.ok(up.some(({ address, served }) => address === `127.0.0.1:${port}` && served >= 2));
  socket.terminate();
});

test('nginx is an upstream, large answers and ranges included', needs('nginx'), async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'portico-up-nginx-'));
  const port = await freePort();
  writeFileSync(join(dir, 'file.bin'), Buffer.alloc(3_000_000, 'portico '));
  writeFileSync(
    join(dir, 'nginx.conf'),
    `${process.getuid?.() === 0 ? 'user root;' : ''} daemon off; worker_processes 1; pid ${dir}/pid; error_log ${dir}/error.log;
     events {} http { access_log off; client_body_temp_path ${dir}/1; proxy_temp_path ${dir}/2; fastcgi_temp_path ${dir}/3;
       uwsgi_temp_path ${dir}/4; scgi_temp_path ${dir}/5;
       server { listen 127.0.0.1:${port}; root ${dir}; location = /moved { return 301 /file.bin; } } }`,
  );
  const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` };
  const nginx = spawn('nginx', ['-p', dir, '-c', join(dir, 'nginx.conf')], { env });
  t.after(async () => {
    nginx.kill();
    await once(nginx, 'exit');
    rmSync(dir, { recursive: true, force: true });
  });
  const portico = await withRoutes(t, [{ to: [`http://127.0.0.1:${port}`] }]);
  const whole = await fetch(`${portico.origin}/file.bin`);
  assert.equal((await whole.arrayBuffer()).byteLength, 3_000_000);
  const part = await fetch(`${portico.origin}/file.bin`, { headers: { Range: 'bytes=8-15' } });
  assert.deepEqual([part.status, await part.text()], [206, 'portico ']);
  const moved = await fetch(`${portico.origin}/moved`, { redirect: 'manual' });
  assert.equal(moved.status, 301);
  const again = await fetch(`${portico.origin}/file.bin`, {
    headers: { 'If-None-Match': whole.headers.get('etag')! },
  });
  assert.equal(again.status, 304);
  const head = await run('curl', ['-sI', `${portico.origin}/file.bin`]);
  assert.match(head.stdout, /Content-Length: 3000000/i);
});

test(
  "Python's own server is an upstream, which ends each response with the connection",
  needs('python3'),
  async (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'portico-up-python-'));
    writeFileSync(join(dir, 'a.txt'), 'from Python');
    const port = await freePort();
    const args = ['-m', 'http.server', String(port), '--bind', '127.0.0.1', '--directory', dir];
    const python = spawn('python3', args, { stdio: 'ignore' });
    t.after(async () => {
      python.kill();
      await once(python, 'exit');
      rmSync(dir, { recursive: true, force: true });
    });
    const portico = await withRoutes(t, [{ to: `http://127.0.0.1:${port}` }]);
    for (let n = 0; n < 3; n++)
      assert.equal(await (await fetch(`${portico.origin}/a.txt`)).text(), 'from Python');
    assert.equal((await fetch(`${portico.origin}/none`)).status, 404);
  },
);

test('an upstream is left by a reload while requests are in flight, and none is lost', async (t) => {
  const answers: (() => void)[] = [];
  const first = createServer((request, response) => {
    if (request.url === '/slow') answers.push(() => response.end('old'));
    else response.end('old');
  });
  const second = createServer((_request, response) => response.end('new'));
  const ports = [await listen(t, first), await listen(t, second)];
  const dir = mkdtempSync(join(tmpdir(), 'portico-routes-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const config = join(dir, 'portico.config.json');
  const write = (at: number): void =>
    writeFileSync(config, JSON.stringify({ routes: [{ to: `http://127.0.0.1:${ports[at]}` }] }));
  write(0);
  const portico = await startPortico(t as never, ['-c', config], { cwd: dir });
  const slow = fetch(`${portico.origin}/slow`);
  await until('request', () => answers.length === 1);
  write(1);
  const from = portico.log().length;
  portico.signal('SIGHUP');
  await portico.logged(/[Rr]eload/, { from });
  for (let text = 'old'; text === 'old'; ) text = await (await fetch(`${portico.origin}/`)).text();
  answers[0]!();
  assert.equal(await (await slow).text(), 'old');
  // No connection to the old one is left.
  await new Promise((resolve) => first.close(resolve));
});
