// What portico cert inspect says of servers that answer well, badly, or not at all.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';
import { keyToPem, makeKeyPair } from '../../src/certificates/keys.ts';
import { makeSelfSigned } from '../../src/certificates/make.ts';
import { askServer } from '../../src/cli/cert/ask-server.ts';
import { needs } from '../helpers/need.ts';
import { openssl } from '../helpers/openssl.ts';

const dayMs = 86_400_000;

async function pair(hosts: readonly string[] = ['localhost']) {
  const key = await makeKeyPair();
  const made = await makeSelfSigned({ key, hosts, nowMs: Date.now(), lifetimeMs: dayMs });
  return { cert: made.pem, key: keyToPem(key.privateKey) };
}

async function listening(t: TestContext, server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

async function tlsServer(t: TestContext, options: TlsOptions): Promise<number> {
  const server = createTlsServer(options, (socket) => socket.on('error', () => {}));
  server.on('tlsClientError', () => {});
  return listening(t, server);
}

function ask(port: number, given: { timeoutMs?: number; name?: string; host?: string } = {}) {
  return askServer({ host: '127.0.0.1', port, name: 'localhost', timeoutMs: 5000, ...given });
}

async function problem(port: number, given: Parameters<typeof ask>[1] = {}): Promise<string> {
  const asked = await ask(port, given);
  return asked.ok ? 'none' : asked.problem;
}

test('a good server: chain, protocol, cipher, ALPN and no OCSP', async (t) => {
  const port = await tlsServer(t, { ...(await pair()), ALPNProtocols: ['h2'] });
  const asked = await ask(port);
  assert.ok(asked.ok, JSON.stringify(asked));
  const { certificates, ...answer } = asked.answer;
  assert.equal(certificates.length, 1);
  assert.equal(certificates[0]?.checkHost('localhost'), 'localhost');
  const { keyExchange, ...rest } = answer;
  assert.deepEqual(rest, {
    protocol: 'TLSv1.3',
    cipher: 'TLS_AES_256_GCM_SHA384',
    alpn: 'h2',
    ocsp: null,
    address: '127.0.0.1',
  });
  // Node 22 does not tell that of its hybrid with ML-KEM.
  assert.notEqual(keyExchange, '');
});

test('a server of TLS 1.2 without ALPN, and one that staples', async (t) => {
  const old = await ask(await tlsServer(t, { ...(await pair()), maxVersion: 'TLSv1.2' }));
  assert.ok(old.ok, JSON.stringify(old));
  assert.equal(old.answer.protocol, 'TLSv1.2');
  assert.equal(old.answer.alpn, null);
  const stapling = createTlsServer(await pair(), (socket) => socket.on('error', () => {}));
  stapling.on('OCSPRequest', (_certificate, _issuer, answer) =>
    answer(null, Buffer.from('a response')),
  );
  const stapled = await ask(await listening(t, stapling));
  assert.ok(stapled.ok, JSON.stringify(stapled));
  assert.equal(stapled.answer.ocsp?.toString(), 'a response');
});

test('the name that is asked for chooses the certificate', async (t) => {
  const [one, two] = [await pair(['one.test']), await pair(['two.test'])];
  const server = createTlsServer(one);
  server.addContext('two.test', two);
  const port = await listening(t, server);
  const asked = await ask(port, { name: 'two.test' });
  assert.equal(asked.ok && asked.answer.certificates[0]?.checkHost('two.test'), 'two.test');
});

test('a server that asks for a client certificate is inspected none the less', async (t) => {
  const own = await pair();
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    const port = await tlsServer(t, {
      ...own,
      ca: own.cert,
      requestCert: true,
      rejectUnauthorized: true,
      maxVersion,
    });
    const asked = await ask(port);
    assert.ok(asked.ok || /client certificate/.test(asked.problem), JSON.stringify(asked));
  }
});

test('nobody listens, nobody is called so, or the name is refused', needs('openssl'), async (t) => {
  const gone = createServer();
  gone.listen(0, '127.0.0.1');
  await once(gone, 'listening');
  const { port } = gone.address() as AddressInfo;
  gone.close();
  await once(gone, 'close');
  assert.match(await problem(port), /refuses connections/);
  assert.match(await problem(443, { host: 'no-such-host.invalid' }), /cannot be (found|looked up)/);

  const own = await pair();
  const ssl = openssl(t);
  ssl.file('own.pem', own.key + own.cert);
  const names = [
    '-servername',
    'only.test',
    '-servername_fatal',
    '-cert2',
    'own.pem',
    '-key2',
    'own.pem',
  ];
  const child = spawn(
    'openssl',
    ['s_server', '-accept', '127.0.0.1:0', '-cert', 'own.pem', '-key', 'own.pem', ...names],
    { cwd: ssl.dir, stdio: ['pipe', 'pipe', 'ignore'] },
  );
  t.after(() => child.kill('SIGKILL'));
  const accepting = await new Promise<string>((done) => {
    let printed = '';
    child.stdout.on('data', (data) => {
      printed += data;
      const found = /ACCEPT \S+:(\d+)/.exec(printed);
      if (found) done(found[1]!);
    });
  });
  assert.match(await problem(Number(accepting)), /has no certificate for this name/);
});

test('what speaks no TLS is said to: plain HTTP, SSH, noise', async (t) => {
  const http = createHttpServer((_req, res) => res.end());
  assert.equal(await problem(await listening(t, http)), 'does not speak TLS');
  for (const greeting of [
    'SSH-2.0-OpenSSH_9.2\r\n',
    '220 mail ESMTP\r\n',
    '\0'.repeat(100),
    '\x15\x03\x01'.repeat(50),
  ]) {
    const port = await listening(
      t,
      createServer((socket) => socket.end(greeting)),
    );
    assert.match(
      await problem(port),
      /does not speak TLS|does not complete a TLS handshake|hangs up|resets/,
    );
  }
});

test('a server that is silent, or lets one wait for ever, is left', async (t) => {
  const silent = await listening(t, createServer());
  assert.match(
    await problem(silent, { timeoutMs: 300 }),
    /does not finish a TLS handshake within 0.3 s/,
  );
  // A record of 16 KB that comes a byte at a time.
  const slow = createServer((socket) => {
    socket.write(Buffer.from([0x16, 3, 3, 0x40, 0, 2, 0, 0x3f, 0xfc]));
    const timer = setInterval(() => socket.write('\0'), 20);
    socket.on('close', () => clearInterval(timer)).on('error', () => {});
  });
  assert.match(await problem(await listening(t, slow), { timeoutMs: 300 }), /does not finish/);
});

test('a server that hangs up at once, or in the middle, is said to', async (t) => {
  const atOnce = await listening(
    t,
    createServer((socket) => socket.destroy()),
  );
  assert.match(await problem(atOnce), /hangs up|resets/);
  const later = await listening(
    t,
    createServer((socket) => socket.once('data', () => socket.destroy())),
  );
  assert.match(await problem(later), /hangs up|resets/);
});

test('a server that sends without end is left', async (t) => {
  // Empty handshake records are no error to OpenSSL at first; whatever it makes of them, it must end.
  const record = Buffer.concat([
    Buffer.from([0x16, 3, 3, 0x40, 0]),
    Buffer.from([2, 0xff, 0xff, 0xff]),
    Buffer.alloc(0x4000 - 4),
  ]);
  const flood = createServer((socket) => {
    const more = () => {
      while (!socket.destroyed && socket.write(record));
    };
    socket.on('drain', more).on('error', () => {});
    more();
  });
  assert.match(await problem(await listening(t, flood)), /handshake|certificates|TLS/);
});

test('a chain longer than any is not followed for ever', needs('openssl'), async (t) => {
  const own = await pair();
  const port = await tlsServer(t, { ...own, cert: own.cert.repeat(60) });
  const asked = await ask(port);
  assert.ok(!asked.ok || asked.answer.certificates.length <= 20);
});
