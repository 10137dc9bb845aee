// The PROXY protocol to upstreams: what is said, and that no connection serves a second client.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttp, type RequestListener, type Server } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { type AddressInfo, connect, createServer as createTcp } from 'node:net';
import { test } from 'node:test';
import { WebSocketServer } from 'ws';
import { proxyHeader } from '../../src/edge/upstream/proxy-protocol.ts';
import type { ClientFacts } from '../../src/http/exchange.ts';
import { makePair } from '../helpers/certificates.ts';
import { lyingWorker } from '../helpers/http-workers.ts';
import { tcpServer, upstreamEdge } from '../helpers/upstream-edge.ts';
import { openWebSocket } from '../helpers/websockets.ts';

const base: ClientFacts = {
  ...{ address: '192.0.2.1', port: 4711, peerAddress: '192.0.2.1' },
  ...{ localAddress: '198.51.100.2', localPort: 443, tls: null, scheme: 'https' },
};

const hex = (text: string): string => Buffer.from(text, 'latin1').toString('hex');
const signature = '0d0a0d0a000d0a515549540a';

test('version 1 is a line of text', () => {
  assert.equal(proxyHeader(1, base), 'PROXY TCP4 192.0.2.1 198.51.100.2 4711 443\r\n');
  const v6 = { ...base, address: '2001:db8::1', localAddress: '::1' };
  assert.equal(proxyHeader(1, v6), 'PROXY TCP6 2001:db8::1 ::1 4711 443\r\n');
  for (const odd of [null, { ...base, address: '' }, { ...base, localAddress: '::1' }])
    assert.equal(proxyHeader(1, odd), 'PROXY UNKNOWN\r\n');
});

test('version 2 is binary', () => {
  assert.equal(
    hex(proxyHeader(2, base)),
    `${signature}2111000c${'c0000201'}${'c6336402'}${'1267'}${'01bb'}`,
  );
  const v6 = { ...base, address: '2001:db8::ff00:42:8329', localAddress: '::ffff:192.0.2.128' };
  assert.equal(
    hex(proxyHeader(2, v6)),
    `${signature}21210024${'20010db8000000000000ff0000428329'}${'00000000000000000000ffffc0000280'}126701bb`,
  );
  assert.equal(hex(proxyHeader(2, null)), `${signature}20000000`);
  assert.equal(hex(proxyHeader(2, { ...base, address: '' })), `${signature}21000000`);
});

test('each request has a connection of its own, and its client is said first', async (t) => {
  const worker = await lyingWorker(t, ({ socket, received }) => {
    // A probe says that it is no client's.
    if (received.includes('GET ')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
  });
  const path = worker.address.sockets[0]!;
  const target = { protocol: 'http', kind: 'unix', host: '', port: 0, path, weight: 1 } as const;
  const edge = await upstreamEdge(t, { targets: [target], proxyProtocol: 1 });
  const client = edge.connect();
  for (let n = 0; n < 3; n++)
    assert.equal((await client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n').response()).body, 'ok');
  const asked = worker.lies.filter(({ received }) => received.includes('GET '));
  assert.equal(asked.length, 3);
  for (const { received } of asked) {
    assert.match(
      received,
      /^PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 \d+ \d+\r\nGET \/ HTTP\/1\.1\r\n/,
    );
    assert.match(received, /\r\nConnection: close\r\n/);
  }
  const others = worker.lies.filter(({ received }) => !received.includes('GET '));
  for (const { received } of others) assert.equal(received, 'PROXY UNKNOWN\r\n');
});

for (const protocol of ['http', 'https'] as const)
  test(`${protocol}: the client is said before all else, of requests, upgrades and health checks`, async (t) => {
    const { certPem: cert, keyPem: key } = await makePair(['127.0.0.1']);
    const answer: RequestListener = (_request, response) => void response.end('ok');
    const behind =
      protocol === 'http' ? createHttp(answer) : createHttps({ cert, key }, answer as never);
    new WebSocketServer({ server: behind as Server }).on('connection', (socket) =>
      socket.on('message', (data) => socket.send(`got ${data}`)),
    );
    const { port: behindPort } = await tcpServer(t, () => {}, { server: behind as Server });
    // As a load balancer would: it reads a line, and passes on the rest.
    const said: string[] = [];
    const balancer = createTcp((socket) => {
      socket.on('error', () => {});
      socket.once('data', (bytes: Buffer) => {
        const end = bytes.indexOf('\n') + 1;
        said.push(bytes.toString('latin1', 0, end));
        const onward = connect(behindPort, '127.0.0.1');
        onward.on('error', () => socket.destroy());
        socket.on('close', () => onward.destroy());
        onward.write(bytes.subarray(end));
        socket.pipe(onward).pipe(socket);
      });
    });
    balancer.listen(0, '127.0.0.1');
    await once(balancer, 'listening');
    t.after(() => balancer.close());
    const { port } = balancer.address() as AddressInfo;
    const edge = await upstreamEdge(t, {
      targets: [{ protocol, kind: 'tcp', host: '127.0.0.1', port, path: '', weight: 1 }],
      ...{
        proxyProtocol: 1,
        healthCheck: { path: '/', intervalMs: 20, timeoutMs: 5_000, failures: 2, successes: 1 },
      },
      tls: { caFile: null, serverName: null, verify: false },
    });
    for (let n = 0; n < 2; n++) assert.equal((await edge.get()).body, 'ok');
    const { socket, messages } = await openWebSocket(`ws://127.0.0.1:${edge.port}/`);
    socket.send('hello');
    assert.equal(String(await messages.next()), 'got hello');
    socket.terminate();
    const clients = said.filter((line) => !line.startsWith('PROXY UNKNOWN\r\n'));
    assert.equal(clients.length, 3);
    for (const line of clients)
      assert.match(line, /^PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 \d+ \d+\r\n$/);
    assert.ok(said.length > 3, 'the first connection, and health checks');
  });
