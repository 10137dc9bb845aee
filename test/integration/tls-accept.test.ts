// The accept side of https:// binds: handshakes that succeed, fail, stall, and what the app hears of them.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect as connectTcp, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import type { Config } from '../../src/config/config.ts';
import { staticMount } from '../../src/config/static-mounts.ts';
import { type MadePair, makePair } from '../helpers/certificates.ts';
import { needs } from '../helpers/need.ts';

import { runEdge as runWith } from '../helpers/running-edge.ts';
import { until } from '../helpers/until.ts';

let pair: MadePair;
let other: MadePair;
before(async () => {
  pair = await makePair(['localhost', '127.0.0.1']);
  other = await makePair(['other.test'], { key: 'rsa' });
});

const LARGE = 3_000_000;

/** An edge with a small and a large file. */
function runEdge(t: TestContext, changes: Partial<Config>, pairs: readonly MadePair[]) {
  const dir = mkdtempSync(join(tmpdir(), 'portico-tls-'));
  writeFileSync(join(dir, 'index.html'), 'hello');
  writeFileSync(join(dir, 'large.bin'), Buffer.alloc(LARGE, 'large '));
  t.after(() => rmSync(dir, { recursive: true }));
  return runWith(t, { static: [staticMount({ prefix: '/', dir })], ...changes }, pairs);
}

const clients: Socket[] = [];
after(() => {
  for (const client of clients) client.destroy();
});

async function shake(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const client = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options });
  clients.push(client);
  // Whoever waits hears of it; at the end of a test the edge resets who is still there.
  client.on('error', () => {});
  await once(client, 'secureConnect');
  return client;
}

/** Sends bytes to a port, and gives all that comes back until the end. */
async function sendRaw(port: number, ...pieces: (string | Buffer)[]): Promise<Buffer> {
  const client = connectTcp(port, '127.0.0.1');
  clients.push(client);
  const got: Buffer[] = [];
  client.on('data', (chunk) => got.push(chunk));
  client.on('error', () => {});
  for (const piece of pieces) client.write(piece);
  await once(client, 'close');
  return Buffer.concat(got);
}

async function answer(
  client: TLSSocket,
  head = 'GET / HTTP/1.1\r\nHost: localhost\r\n',
): Promise<string> {
  client.write(`${head}Connection: close\r\n\r\n`);
  let text = '';
  for await (const chunk of client) text += chunk;
  return text;
}

test(
  'curl gets answers over TLS 1.2 and 1.3, several on one connection',
  needs('curl'),
  async (t) => {
    const edge = await runEdge(t, {}, [pair]);
    const url = `https://127.0.0.1:${edge.tlsPort}/`;
    for (const version of ['1.2', '1.3']) {
      const args = [
        '-ksS',
        '--http1.1',
        '--tls-max',
        version,
        '--tlsv1.2',
        '-w',
        '%{num_connects}%{http_code} ',
      ];
      const { stdout } = await promisify(execFile)('curl', [...args, url, url]);
      assert.match(stdout, /1200 [\s\S]*0200 $/);
    }
    assert.deepEqual(edge.edge.status().tls?.full, 2);
  },
);

test('the name chooses the certificate, and what the client offers the version', async (t) => {
  const edge = await runEdge(t, {}, [pair, other]);
  const named = await shake(edge.tlsPort, { servername: 'other.test' });
  assert.equal(named.getPeerCertificate().subject.CN, 'other.test');
  const plain = await shake(edge.tlsPort, { maxVersion: 'TLSv1.2' });
  assert.equal(plain.getPeerCertificate().subject.CN, 'localhost');
  assert.equal(plain.getProtocol(), 'TLSv1.2');
  assert.match(await answer(named), /^HTTP\/1\.1 200 /);
});

test('a name without certificate is refused with unrecognized_name where that is set', async (t) => {
  const edge = await runEdge(t, { tlsUnknownName: 'refuse' }, [pair]);
  await assert.rejects(shake(edge.tlsPort, { servername: 'unknown.test' }), /unrecognized name/);
  assert.equal(edge.edge.status().tls?.failures.name, 1);
  await shake(edge.tlsPort);
});

test('HTTP without TLS gets 400 and one line that says so', async (t) => {
  const edge = await runEdge(t, {}, [pair]);
  const got = await sendRaw(edge.tlsPort, 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  assert.match(
    got.toString(),
    /^HTTP\/1\.1 400 Bad Request\r\n[\s\S]*\r\n\r\n400 TLS_EXPECTED: This port speaks HTTPS[^\n]*\n$/,
  );
  assert.equal(edge.edge.status().tls?.failures.http, 1);
  assert.ok(edge.logged.some((line) => line.includes('TLS_EXPECTED')));
});

test('bytes that are no TLS end the connection, are counted and told', async (t) => {
  const edge = await runEdge(t, {}, [pair]);
  for (const bytes of [
    Buffer.from([0x80, 0x2e, 1]),
    Buffer.from([0]),
    Buffer.from([0x16, 9]),
    Buffer.from([0x16, 3, 1, 0, 0]),
  ])
    assert.equal((await sendRaw(edge.tlsPort, bytes)).length, 0);
  assert.equal(edge.edge.status().tls?.failures.garbage, 4);
  assert.equal(
    edge.logged.filter((line) => line.startsWith('info') && line.includes('TLS_HANDSHAKE')).length,
    1,
  );
});

test('a record that begins as a handshake and is none fails in OpenSSL', async (t) => {
  const edge = await runEdge(t, {}, [pair]);
  const got = await sendRaw(edge.tlsPort, Buffer.from([0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0]));
  assert.equal(got[0], 21, 'an alert');
  assert.equal(edge.edge.status().tls?.failures.protocol, 1);
});

test('silent, half and slow handshakes end when their time is over', async (t) => {
  const edge = await runEdge(t, { tlsHandshakeTimeoutMs: 300 }, [pair]);
  const hello = Buffer.from([0x16, 3, 1, 2, 0, 1]);
  await Promise.all([sendRaw(edge.tlsPort), sendRaw(edge.tlsPort, hello)]);
  assert.equal(edge.edge.status().tls?.failures.timeout, 2);
  assert.equal(edge.edge.status().tls?.underWay, 0);
});

test('a ClientHello may come byte by byte', async (t) => {
  const edge = await runEdge(t, {}, [pair]);
  const tcp = connectTcp(edge.tlsPort, '127.0.0.1');
  clients.push(tcp);
  tcp.setNoDelay(true);
  await once(tcp, 'connect');
  const write = tcp.write.bind(tcp);
  // The client's TLS runs over a stream that sends single bytes.
  const { Duplex } = await import('node:stream');
  const slow = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      void (async () => {
        for (const byte of chunk) {
          write(Buffer.from([byte]));
          await new Promise((resolve) => setImmediate(resolve));
        }
        done();
      })();
    },
  });
  tcp.on('data', (chunk) => slow.push(chunk));
  tcp.on('end', () => slow.push(null));
  const client = connectTls({ socket: slow, rejectUnauthorized: false, servername: 'localhost' });
  await once(client, 'secureConnect');
  assert.match(await answer(client), /^HTTP\/1\.1 200 /);
});

test('at the limit new connections are refused, and stalled ones make room', async (t) => {
  const edge = await runEdge(t, { tlsHandshakesMax: 2, tlsHandshakeTimeoutMs: 4000 }, [pair]);
  const stalled = [0, 1].map(() => connectTcp(edge.tlsPort, '127.0.0.1'));
  clients.push(...stalled);
  await until('two under way', () => edge.edge.status().tls?.underWay === 2);
  await assert.rejects(shake(edge.tlsPort));
  assert.equal(edge.edge.status().tls?.failures.crowd, 1);
  // After a quarter of their time.
  const client = await until('room', () => shake(edge.tlsPort).catch(() => null));
  assert.match(await answer(client), /^HTTP\/1\.1 200 /);
});

test('a client that connects and leaves, as health checks do, is no failure', async (t) => {
  const edge = await runEdge(t, {}, [pair]);
  const client = connectTcp(edge.tlsPort, '127.0.0.1');
  await once(client, 'connect');
  client.end();
  await once(client, 'close');
  await until('the end', () => edge.edge.status().tls?.underWay === 0);
  assert.deepEqual(Object.values(edge.edge.status().tls!.failures).filter(Boolean), []);
  // Who leaves in the middle of it is one.
  const half = connectTcp(edge.tlsPort, '127.0.0.1');
  await once(half, 'connect');
  half.end(Buffer.from([0x16, 3, 1, 2, 0, 1]));
  half.resume();
  await once(half, 'close');
  assert.equal(edge.edge.status().tls?.failures.left, 1);
  // So is who leaves after a whole ClientHello, however long there is time.
  const proxy = createServer((own) => {
    const onwards = connectTcp(edge.tlsPort, '127.0.0.1');
    onwards.on('error', () => {});
    own.once('data', (hello) => onwards.end(hello));
    onwards.resume();
    own.on('error', () => {});
    onwards.on('close', () => own.destroy());
  }).listen(0, '127.0.0.1');
  t.after(() => proxy.close());
  await once(proxy, 'listening');
  await assert.rejects(shake((proxy.address() as AddressInfo).port));
  await until('the end', () => edge.edge.status().tls?.failures.left === 2);
});

test('a drain finishes handshakes just begun and does not wait for silent clients', async (t) => {
  const edge = await runEdge(t, {}, [pair]);
  const silent = connectTcp(edge.tlsPort, '127.0.0.1');
  const tcp = connectTcp(edge.tlsPort, '127.0.0.1');
  clients.push(silent, tcp);
  await Promise.all([once(silent, 'connect'), once(tcp, 'connect')]);
  await until('two under way', () => edge.edge.status().tls?.underWay === 2);
  const drained = edge.edge.drain(10_000);
  const client = connectTls({ socket: tcp, rejectUnauthorized: false });
  await once(client, 'secureConnect');
  assert.match(await answer(client), /^HTTP\/1\.1 200 [\s\S]*Connection: close/);
  silent.resume();
  await drained;
});

test('a resumed session is counted as one', async (t) => {
  const edge = await runEdge(t, {}, [pair]);
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    const first = connectTls({
      port: edge.tlsPort,
      host: '127.0.0.1',
      rejectUnauthorized: false,
      maxVersion,
    });
    clients.push(first);
    const session = once(first, 'session').then(([one]) => one as Buffer);
    await once(first, 'secureConnect');
    const text = answer(first);
    const ticket = await session;
    await text;
    const second = await shake(edge.tlsPort, { session: ticket, maxVersion });
    assert.equal(second.isSessionReused(), true, maxVersion);
    assert.match(await answer(second), /^HTTP\/1\.1 200 /);
  }
  const { full, resumed } = edge.edge.status().tls!;
  assert.deepEqual([full, resumed], [2, 2]);
});

/** A session, once its ticket is there, and whether it was a resumed one. */
async function session(port: number, options: ConnectionOptions) {
  const given = { port, host: '127.0.0.1', rejectUnauthorized: false, ...options };
  const client = connectTls(given);
  clients.push(client);
  let ticket: Buffer | null = null;
  client.on('session', (one) => {
    ticket = one;
  });
  await once(client, 'secureConnect');
  const isResumed = client.isSessionReused();
  await answer(client);
  return { ticket: ticket ?? undefined, isResumed };
}

test('tickets of the former key are taken, those before it are not', async (t) => {
  const edge = await runEdge(t, {}, [pair]);
  const [first, second, third] = [1, 2, 3].map((fill) => Buffer.alloc(48, fill)) as Buffer[];
  const { certificates } = edge.edge;
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    const shakeWith = (ticket?: Buffer) =>
      session(edge.tlsPort, { maxVersion, ...(ticket ? { session: ticket } : {}) });
    certificates.setTicketKeys({ current: first!, former: null });
    const { ticket } = await shakeWith();
    certificates.setTicketKeys({ current: second!, former: first! });
    assert.equal((await shakeWith(ticket)).isResumed, true, maxVersion);
    // The key was lent for that handshake only.
    assert.equal((await shakeWith((await shakeWith()).ticket)).isResumed, true, maxVersion);
    certificates.setTicketKeys({ current: third!, former: second! });
    assert.equal((await shakeWith(ticket)).isResumed, false, maxVersion);
  }
});

test('large answers arrive whole, in many writes', needs('curl'), async (t) => {
  const edge = await runEdge(t, {}, [pair]);
  const url = `https://127.0.0.1:${edge.tlsPort}/large.bin`;
  for (const http of ['--http1.1', '--http2']) {
    // From the disk, then from memory.
    for (let round = 0; round < 3; round++) {
      const options = { encoding: 'buffer', maxBuffer: 2 * LARGE } as const;
      const { stdout } = await promisify(execFile)('curl', ['-ksS', http, url], options);
      assert.ok(stdout.equals(Buffer.alloc(LARGE, 'large ')), http);
    }
  }
});

test('curl speaks HTTP/2 where both offer it', needs('curl'), async (t) => {
  const edge = await runEdge(t, {}, [pair]);
  const args = ['-ksS', '--http2', '-w', ' %{http_version}', `https://127.0.0.1:${edge.tlsPort}/`];
  assert.equal((await promisify(execFile)('curl', args)).stdout, 'hello 2');
  edge.configure({ http2: false });
});
