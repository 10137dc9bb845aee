// WebSocket and other upgrades to HTTP upstreams: over TCP, a Unix socket and TLS, and to upstreams that lie.

import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import { createServer as createSecure } from 'node:https';
import { connect, createServer as createRaw, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { WebSocketServer } from 'ws';
import type { UpstreamTarget } from '../../src/config/upstream-config.ts';
import { makePair } from '../helpers/certificates.ts';
import { httpWorker } from '../helpers/http-workers.ts';
import { until } from '../helpers/until.ts';
import { tcpServer, type UpstreamEdge, upstreamEdge } from '../helpers/upstream-edge.ts';
import { openWebSocket } from '../helpers/websockets.ts';

function tcp(port: number, protocol: 'http' | 'https' = 'http'): UpstreamTarget {
  return { protocol, kind: 'tcp', host: '127.0.0.1', port, path: '', weight: 1 };
}

/** Answers each message with itself, the path and Host. */
function echoOn(t: TestContext, server: Server): void {
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (socket, request) => {
    socket.on('message', (data, isBinary) => {
      if (isBinary) socket.send(data);
      else socket.send(`${String(data)} ${request.url} ${request.headers.host}`);
    });
  });
  t.after(() => {
    for (const socket of sockets.clients) socket.terminate();
    sockets.close();
  });
}

async function echoes(edge: UpstreamEdge, expected: RegExp): Promise<void> {
  const { socket, messages, closed } = await openWebSocket(`ws://127.0.0.1:${edge.port}//a?b`);
  socket.send('hello');
  assert.match(String(await messages.next()), expected);
  const large = Buffer.alloc(1024 * 1024, 7);
  socket.send(large);
  assert.deepEqual(await messages.next(), large);
  assert.equal(edge.upstream.status().members[0]!.inFlight, 0);
  socket.close(1000, 'bye');
  assert.deepEqual(await closed, [1000, 'bye']);
}

test('WebSockets pass to upstreams over TCP, over a Unix socket, and over TLS', async (t) => {
  const plain = createServer();
  echoOn(t, plain);
  const { port } = await tcpServer(t, () => {}, { server: plain });
  const overTcp = await upstreamEdge(t, { targets: [tcp(port)] });
  await echoes(overTcp, /^hello \/\/a\?b 127\.0\.0\.1:\d+$/);
  const own = await upstreamEdge(t, { targets: [tcp(port)], hostField: 'api.test' });
  await echoes(own, /^hello \/\/a\?b api\.test$/);

  const worker = await httpWorker(t, () => {});
  echoOn(t, worker.server);
  const path = worker.address.sockets[0]!;
  const unix = await upstreamEdge(t, { targets: [{ ...tcp(0), kind: 'unix', host: '', path }] });
  await echoes(unix, /^hello /);

  const pair = await makePair(['127.0.0.1']);
  const secure = createSecure({ cert: pair.certPem, key: pair.keyPem });
  echoOn(t, secure as unknown as Server);
  const tls = await tcpServer(t, () => {}, { server: secure as unknown as Server });
  const overTls = await upstreamEdge(t, {
    targets: [tcp(tls.port, 'https')],
    tls: { caFile: null, serverName: null, verify: false },
  });
  await echoes(overTls, /^hello /);
});

/** A raw upstream that answers each upgrade by `speak`. */
async function rawUpstream(t: TestContext, speak: (socket: Socket, nth: number) => void) {
  const open = new Set<Socket>();
  let asked = 0;
  const server = createRaw({ allowHalfOpen: true }, (socket) => {
    open.add(socket);
    socket.on('error', () => {});
    socket.on('end', () => socket.end());
    socket.on('close', () => open.delete(socket));
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      const had = text.includes('\r\n\r\n');
      text += chunk.toString('latin1');
      if (!had && text.includes('\r\n\r\n')) speak(socket, ++asked);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.close();
    for (const socket of open) socket.destroy();
  });
  const { port } = server.address() as { port: number };
  return { port, open, asked: () => asked };
}

const upgrade =
  'GET /up HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';

const lies: readonly (readonly [string, string, number])[] = [
  [
    'a 101 to another protocol',
    'HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n',
    502,
  ],
  ['a 101 to no protocol', 'HTTP/1.1 101 S\r\n\r\n', 502],
  ['what is no HTTP', 'SSH-2.0-OpenSSH_9.2\r\n\r\n', 502],
  ['two lengths', 'HTTP/1.1 403 X\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab', 502],
  ['a head of 100 KB', `HTTP/1.1 101 S\r\nX: ${'a'.repeat(100_000)}\r\n\r\n`, 502],
  ['a refusal', 'HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno', 403],
];

for (const [what, bytes, status] of lies)
  test(`${what}: ${status}, and no connection to the upstream is left`, async (t) => {
    const { port, open } = await rawUpstream(t, (socket) => socket.write(bytes));
    const edge = await upstreamEdge(t, { targets: [tcp(port)] });
    const client = edge.connect().send(upgrade);
    assert.equal((await client.response()).status, status);
    client.leave();
    await until('the end of all connections', () => open.size === 0);
  });

test('an upstream that is not there, hangs up, or is silent is a 502, 502 and 504', async (t) => {
  const hangsUp = await rawUpstream(t, (socket) => socket.destroy());
  const one = await upstreamEdge(t, { targets: [tcp(hangsUp.port)] });
  assert.equal((await one.connect().send(upgrade).response()).status, 502);
  assert.equal(hangsUp.asked(), 2, 'an idempotent request is asked once more');
  const silent = await rawUpstream(t, () => {});
  const two = await upstreamEdge(t, { targets: [tcp(silent.port)], firstByteTimeoutMs: 80 });
  assert.equal((await two.connect().send(upgrade).response()).status, 504);
  await until('the end of all connections', () => silent.open.size === 0);
});

test('a client that resets before the answer leaves nothing behind', async (t) => {
  const { port, open, asked } = await rawUpstream(t, () => {});
  const edge = await upstreamEdge(t, { targets: [tcp(port)] });
  const client = edge.connect().send(upgrade);
  await until('request', () => asked() === 1);
  client.reset();
  await until('the end of all connections', () => open.size === 0);
  const next = connect(edge.port, '127.0.0.1');
  await new Promise((resolve) => next.once('connect', resolve));
  next.destroy();
});
