// Load balancers in front of a running edge that speak the PROXY protocol, well and badly.

import assert from 'node:assert/strict';
import { connect as connectHttp2 } from 'node:http2';
import { connect as connectTcp, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import type { Config } from '../../src/config/config.ts';
import { makePair } from '../helpers/certificates.ts';
import { workerFactory } from '../helpers/link-workers.ts';
import { preambleV2 } from '../helpers/proxy-protocol.ts';
import { runEdge } from '../helpers/running-edge.ts';
import { until } from '../helpers/until.ts';

const v1 = 'PROXY TCP4 192.0.2.1 198.51.100.7 56324 8443\r\n';
const request = 'GET /x HTTP/1.1\r\nHost: test\r\nX-Forwarded-For: 203.0.113.5\r\n\r\n';

/** An edge that believes the test to be a balancer, and an app. */
async function behindBalancer(t: TestContext, changes: Partial<Config> = {}, tls = false) {
  const pairs = tls ? [await makePair(['localhost'])] : [];
  const running = await runEdge(
    t,
    {
      proxyProtocol: true,
      proxyAllowFrom: ['127.0.0.1'],
      forwardedAllowIps: ['127.0.0.1'],
      ...changes,
    },
    pairs,
  );
  const app = await workerFactory(t)((taken) => taken.echo());
  running.edge.pools.admit(app.address);
  const facts = (at = -1) => {
    const { client, request: asked } = app.taken.at(at)!.exchange;
    const forwardedFor = asked.fields[asked.fields.indexOf('X-Forwarded-For') + 1];
    return {
      address: client.address,
      port: client.port,
      localPort: client.localPort,
      scheme: client.scheme,
      forwardedFor,
    };
  };
  return { ...running, app, facts };
}

test('the client is who the balancer says, however the bytes are cut; its own word counts no more than anyone’s', async (t) => {
  const { connect, facts } = await behindBalancer(t);
  const expected = {
    address: '192.0.2.1',
    port: 56324,
    localPort: 8443,
    scheme: 'http',
    forwardedFor: '192.0.2.1',
  };
  const client = connect();
  assert.equal((await client.send(v1 + request).response()).body, 'GET /x ');
  assert.deepEqual(facts(), expected);
  // The same client on the same connection.
  await client.send(request).response();
  assert.deepEqual(facts(), expected);
  const slow = connect();
  slow.socket.setNoDelay(true);
  for (const byte of v1 + request) {
    slow.send(byte);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await slow.response();
  assert.deepEqual(facts(), expected);
  const preamble = preambleV2({ family: 0x21, from: '2001:db8::1', to: '::1', ports: [7, 9] });
  await connect()
    .send(Buffer.concat([preamble, Buffer.from(request)]))
    .response();
  assert.deepEqual(facts(), {
    ...expected,
    address: '2001:db8::1',
    port: 7,
    localPort: 9,
    forwardedFor: '2001:db8::1',
  });
});

test('a balancer that speaks for itself is itself', async (t) => {
  const { connect, facts } = await behindBalancer(t, { forwardedAllowIps: [] });
  await connect().send(`PROXY UNKNOWN\r\n${request}`).response();
  assert.equal(facts().address, '127.0.0.1');
  const local = preambleV2({
    command: 0x20,
    family: 0,
    from: '192.0.2.1',
    to: '192.0.2.1',
    ports: [1, 2],
  });
  await connect()
    .send(Buffer.concat([local, Buffer.from(request)]))
    .response();
  assert.equal(facts().address, '127.0.0.1');
});

test('a client that came to the balancer over TLS came by https', async (t) => {
  const { connect, facts } = await behindBalancer(t);
  const tlvs = Buffer.from([0x20, 0, 5, 1, 0, 0, 0, 0]);
  const preamble = preambleV2({
    family: 0x11,
    from: '192.0.2.1',
    to: '192.0.2.2',
    ports: [1, 443],
    tlvs,
  });
  await connect()
    .send(Buffer.concat([preamble, Buffer.from(request)]))
    .response();
  assert.equal(facts().scheme, 'https');
});

test('in front of TLS and of HTTP/2 too', async (t) => {
  const { tlsPort, port, facts } = await behindBalancer(t, { h2c: true }, true);
  const opened = (to: number, preamble: string): Promise<Socket> =>
    new Promise((resolve, reject) => {
      const socket = connectTcp(to, '127.0.0.1', () =>
        socket.write(preamble, () => resolve(socket)),
      );
      t.after(() => void socket.destroy());
      socket.on('error', reject);
    });
  const secure = connectTls({ socket: await opened(tlsPort, v1), rejectUnauthorized: false });
  secure.write(request);
  await new Promise((resolve) => secure.once('data', resolve));
  assert.deepEqual([facts().address, facts().scheme], ['192.0.2.1', 'https']);
  for (const [to, scheme] of [
    [tlsPort, 'https'],
    [port, 'http'],
  ] as const) {
    const raw = await opened(to, v1.replace('192.0.2.1', '192.0.2.2'));
    const session = connectHttp2(`${scheme}://localhost`, {
      createConnection: () =>
        scheme === 'http'
          ? raw
          : connectTls({ socket: raw, rejectUnauthorized: false, ALPNProtocols: ['h2'] }),
    });
    t.after(() => session.destroy());
    const stream = session.request({ ':path': '/h2' });
    await new Promise((resolve, reject) => stream.once('response', resolve).once('error', reject));
    assert.deepEqual([facts().address, facts().scheme], ['192.0.2.2', scheme]);
    session.destroy();
  }
});

test('who is no balancer is served as ever, and its preamble is no request', async (t) => {
  const { connect, app } = await behindBalancer(t, { proxyAllowFrom: ['10.0.0.0/8'] });
  assert.equal((await connect().send(request).response()).status, 200);
  assert.equal(
    (
      await connect()
        .send(v1 + request)
        .response()
    ).status,
    400,
  );
  assert.equal(app.taken.length, 1);
});

test('a balancer that says nothing of the kind, or nothing at all, is cut off', async (t) => {
  const { connect, edge, logged, app } = await behindBalancer(t, { headerTimeoutMs: 60 });
  const ended = (bytes: string) => {
    const client = connect().send(bytes);
    return client.until('end', () => client.ending);
  };
  for (const bytes of [
    request,
    'PROXY TCP4 x',
    `PROXY ${'x'.repeat(200)}`,
    '\x16\x03\x01\x00\x05',
    'PROXY TCP4 1.1.1.1',
    '',
  ])
    assert.match(await ended(bytes), /fin|reset/, JSON.stringify(bytes));
  assert.equal(app.taken.length, 0);
  await until('no connection', () => edge.status().connections === 0);
  assert.ok(
    logged.some((text) => text.includes('PROXY_PROTOCOL') && text.includes('neither version')),
  );
});

test('a drain does not wait for preambles', async (t) => {
  const { connect, edge } = await behindBalancer(t);
  const client = connect().send('PROXY ');
  await until('a connection', () => edge.status().connections === 1);
  await Promise.all([edge.drain(200), client.until('end', () => client.ending)]);
  assert.equal(edge.status().connections, 0);
});
