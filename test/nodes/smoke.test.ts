// The whole program in short, for `npm run test:nodes`, which runs this under other versions of Node.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:https';
import { join } from 'node:path';
import { test } from 'node:test';
import { WebSocket } from 'ws';
import { makePair } from '../helpers/certificates.ts';
import { directoryOf } from '../helpers/cli.ts';
import { ask, h2c } from '../helpers/http2-client.ts';
import { repositoryRoot, startPortico } from '../helpers/portico.ts';

const app = join(repositoryRoot, 'test/fixtures/smoke-app.mjs');

test(`the program on Node ${process.versions.node}: HTTP/1.1, HTTP/2, TLS, a file, a WebSocket, reload, stop`, async (t) => {
  const { certPem, keyPem } = await makePair(['localhost']);
  const dir = directoryOf(t, { 'cert.pem': certPem, 'key.pem': keyPem, 'public/a.txt': 'a file' });
  const files = ['--certfile', join(dir, 'cert.pem'), '--keyfile', join(dir, 'key.pem')];
  const binds = ['--bind', '127.0.0.1:0', '--bind', 'https://127.0.0.2:0'];
  const portico = await startPortico(t, [
    ...[...binds, ...files, '--h2c', '--workers', '2'],
    ...['--static', `/static=${join(dir, 'public')}`, app],
  ]);
  const page = await fetch(`${portico.origin}/x`);
  assert.equal(await page.text(), `${process.version} /x`);
  assert.equal(await (await fetch(`${portico.origin}/static/a.txt`)).text(), 'a file');

  const session = h2c(t, portico.port);
  const answer = await ask(session, '/over-http2');
  assert.equal(answer.body, `${process.version} /over-http2`);

  const [, tlsPort] = await portico.logged(/Listening at: .*https:\/\/127\.0\.0\.2:(\d+)/s);
  const secure = request({
    host: '127.0.0.2',
    port: tlsPort,
    path: '/tls',
    ca: certPem,
    servername: 'localhost',
  });
  secure.end();
  const [response] = await once(secure, 'response');
  let text = '';
  for await (const piece of response) text += piece;
  assert.equal(text, `${process.version} /tls`);

  const socket = new WebSocket(`ws://127.0.0.1:${portico.port}/`);
  await once(socket, 'open');
  socket.send('hello');
  const [message] = await once(socket, 'message');
  assert.equal(String(message), 'hello');
  socket.close();

  portico.signal('SIGHUP');
  await portico.logged(/Reloaded: generation 2 serves/, { deadlineMs: 30_000 });
  assert.equal((await fetch(`${portico.origin}/again`)).status, 200);
  portico.signal('SIGTERM');
  assert.equal(await portico.exited, 0);
  assert.doesNotMatch(portico.log(), /DeprecationWarning|ExperimentalWarning/);
});
