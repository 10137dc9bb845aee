// WebSockets over TLS through the whole program: ws to a Node worker and to upstreams, and a browser with an event
// stream beside.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { WebSocketServer } from 'ws';
import { type MadePair, makePair } from '../helpers/certificates.ts';
import { needs } from '../helpers/need.ts';
import {
  type PorticoProcess,
  repositoryRoot,
  startPortico,
  suiteOwner,
} from '../helpers/portico.ts';
import { until } from '../helpers/until.ts';
import { openWebSocket } from '../helpers/websockets.ts';

const suite = suiteOwner();
const dir = mkdtempSync(join(tmpdir(), 'portico-wss-'));
const apps = join(repositoryRoot, 'test/fixtures/apps/upgrade');
let pair: MadePair;
let portico: PorticoProcess;
/** What the page in the browser told, in order. */
const reports: { event?: string; message?: string; closed?: number; protocol?: string }[] = [];

before(async () => {
  pair = await makePair(['127.0.0.1']);
  const upstreamPair = await makePair(['127.0.0.1']);
  const certificate = { cert: upstreamPair.certPem, key: upstreamPair.keyPem };
  const plain = await listen(createServer(takeReports));
  const secure = await listen(createSecureServer(certificate));
  writeFileSync(join(dir, 'pair.pem'), pair.certPem + pair.keyPem);
  writeFileSync(join(dir, 'upstream.pem'), upstreamPair.certPem);
  const secureTarget = { targets: `https://127.0.0.1:${secure}` };
  const config = {
    apps: {
      live: { module: join(apps, 'live.mjs'), workers: 1 },
      ws: { module: join(apps, 'ws.cjs'), workers: 1 },
    },
    routes: [
      { path: '/worker/*', to: 'app:ws', strip: true },
      { path: '/plain/*', to: `http://127.0.0.1:${plain}`, strip: true },
      {
        path: '/secure/*',
        to: { ...secureTarget, tls: { caFile: join(dir, 'upstream.pem') } },
        strip: true,
      },
      { path: '/report', to: `http://127.0.0.1:${plain}` },
    ],
    certfile: join(dir, 'pair.pem'),
    // Event streams never end by themselves.
    gracefulTimeout: '300ms',
    upgradeGrace: '0s',
  };
  writeFileSync(join(dir, 'portico.config.json'), JSON.stringify(config));
  const args = ['-c', join(dir, 'portico.config.json'), '--bind', 'https://127.0.0.1:0'];
  portico = await startPortico(suite, args, { cwd: dir });
});
after(async () => {
  await suite.end();
  // What is left of the browser may still write to its profile.
  rmSync(dir, { recursive: true, force: true, maxRetries: 20 });
});

/** Its port. WebSockets to it are told what it saw of them. */
async function listen(server: Server): Promise<number> {
  new WebSocketServer({ server }).on('connection', (socket, { url, headers }) =>
    socket.send(JSON.stringify({ url, headers })),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  suite.after(async () => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

function takeReports(request: IncomingMessage, response: ServerResponse): void {
  let text = '';
  request.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  request.on('end', () => {
    reports.push(JSON.parse(text));
    response.end();
  });
}

async function seenBy(path: string) {
  const url = `wss://127.0.0.1:${portico.port}${path}`;
  const opened = await openWebSocket(url, { ca: pair.certPem });
  const seen = JSON.parse(String(await opened.messages.next()));
  const { headers } = seen;
  assert.equal(headers.host, `127.0.0.1:${portico.port}`);
  assert.equal(headers['x-forwarded-proto'], 'https');
  assert.equal(headers['x-forwarded-for'], '127.0.0.1');
  assert.equal(headers['x-real-ip'], '127.0.0.1');
  assert.equal(headers['x-forwarded-port'], String(portico.port));
  return { ...opened, seen };
}

test('wss to a Node worker: its socket is encrypted, and knows the client’s address', async () => {
  const { socket, seen } = await seenBy('/worker/info/room?a=b');
  const { _socket: client } = socket as unknown as { _socket: { localPort: number } };
  const { url, remoteAddress, remotePort, encrypted } = seen;
  assert.deepEqual([url, remoteAddress, encrypted], ['/info/room?a=b', '127.0.0.1', true]);
  assert.equal(remotePort, client.localPort);
  socket.terminate();
  const { socket: other, messages } = await openWebSocket(
    `wss://127.0.0.1:${portico.port}/worker/echo`,
    { ca: pair.certPem },
  );
  const large = Buffer.alloc(1024 * 1024, 'portico ');
  other.send(large);
  assert.ok(large.equals(await messages.next()));
  other.terminate();
});

for (const kind of ['plain', 'secure'])
  test(`wss to an upstream by ${kind === 'plain' ? 'HTTP' : 'HTTPS'}`, async () => {
    const { socket, seen } = await seenBy(`/${kind}/chat?room=1`);
    assert.equal(seen.url, '/chat?room=1');
    assert.equal(seen.headers['x-forwarded-prefix'], `/${kind}`);
    socket.terminate();
  });

test(
  'a browser’s page over HTTP/2 has a WebSocket and an event stream, before and after a reload',
  needs('chromium'),
  async (t) => {
    // To Chromium this one key is right for any name.
    const spki = new X509Certificate(pair.certPem).publicKey.export({
      type: 'spki',
      format: 'der',
    });
    const pin = createHash('sha256').update(spki).digest('base64');
    const browser = spawn(
      'chromium',
      [
        ...['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
        ...[`--user-data-dir=${join(dir, 'profile')}`, '--remote-debugging-port=0'],
        ...[`--ignore-certificate-errors-spki-list=${pin}`, portico.origin],
      ],
      { env: { ...process.env, HOME: dir }, stdio: 'ignore' },
    );
    const gone = once(browser, 'exit');
    t.after(async () => {
      browser.kill();
      await gone;
    });
    const heard = async (since: number): Promise<string> => {
      const { event, message } = await until('both messages', async () => {
        const news = reports.slice(since);
        const event = news.find((it) => it.event !== undefined);
        const message = news.find((it) => it.message !== undefined);
        return event && message ? { event, message } : null;
      });
      assert.equal(event.protocol, 'h2');
      assert.deepEqual(message, { message: `${event.event} from the page`, protocol: 'chat' });
      return event.event!;
    };
    const before = await heard(0);
    const since = reports.length;
    portico.signal('SIGHUP');
    const after = await heard(since);
    assert.notEqual(after, before);
    assert.ok(reports.some(({ closed }) => closed === 1001));
  },
);
