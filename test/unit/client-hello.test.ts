// What the first bytes of a TLS connection say.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { type ConnectionOptions, connect } from 'node:tls';
import { readFirstBytes } from '../../src/edge/tls/client-hello.ts';
import { shownKeyType } from '../../src/edge/tls/shown-key-type.ts';
import { distinguishedName } from '../../src/edge/tls/tls-facts.ts';
import { randomFrom, seed } from '../helpers/random.ts';

/** What Node's own client begins with. */
async function hello(options: ConnectionOptions): Promise<Buffer> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const client = connect({ port, host: '127.0.0.1', ...options });
  client.on('error', () => {});
  const [socket] = await once(server, 'connection');
  const [first] = await once(socket, 'data');
  socket.destroy();
  client.destroy();
  server.close();
  return first;
}

test('names and protocols of a ClientHello are read, at any length it is known by', async () => {
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    const options = { maxVersion, servername: 'a.example', ALPNProtocols: ['h2', 'http/1.1'] };
    const bytes = await hello(options);
    assert.deepEqual(readFirstBytes(bytes), {
      kind: 'hello',
      facts: { serverName: 'a.example', protocols: ['h2', 'http/1.1'], asksForStaple: false },
    });
    for (let length = 0; length < bytes.length; length++)
      assert.equal(readFirstBytes(bytes.subarray(0, length)).kind, 'partial');
  }
  const bare = readFirstBytes(await hello({}));
  assert.deepEqual(bare, {
    kind: 'hello',
    facts: { serverName: null, protocols: [], asksForStaple: false },
  });
});

test('other first bytes are told apart', () => {
  const kind = (bytes: Buffer | readonly number[]) => readFirstBytes(Buffer.from(bytes)).kind;
  assert.equal(kind(Buffer.from('GET / HTTP/1.1')), 'http');
  assert.equal(kind(Buffer.from('P')), 'http');
  assert.equal(kind([0x16]), 'partial');
  assert.equal(kind([0x16, 2]), 'other');
  assert.equal(kind([0x16, 3, 1, 0, 0]), 'other');
  assert.equal(kind([0x16, 3, 1, 0x40, 1]), 'other');
  assert.equal(kind([0x80, 0x2e, 1, 3, 1]), 'other');
  assert.equal(kind(Buffer.from('\r\n')), 'other');
});

test(`a ClientHello with any bytes changed is read without a fault (FUZZ_SEED=${seed})`, async () => {
  const bytes = await hello({ servername: 'a.example', ALPNProtocols: ['h2'] });
  const random = randomFrom(seed);
  for (let round = 0; round < 20_000; round++) {
    const copy = Buffer.from(bytes);
    for (let changes = 1 + random(3); changes > 0; changes--)
      copy[5 + random(copy.length - 5)] = random(256);
    const { kind } = readFirstBytes(copy);
    assert.equal(kind, 'hello');
    shownKeyType(copy, 'prime256v1', true);
  }
});

test('subjects are written as RFC 2253 has it', () => {
  assert.equal(distinguishedName('C=DE\nO=Example\\, Inc.\nCN=me'), 'CN=me,O=Example\\, Inc.,C=DE');
  assert.equal(distinguishedName('O=us\nCN=me + UID=7'), 'CN=me+UID=7,O=us');
  assert.equal(distinguishedName('CN=Jürgen'), 'CN=J\\C3\\BCrgen');
});

test('the certificate that OpenSSL will show is foreseen from the ClientHello, or nothing is', async () => {
  const tls13 = await hello({});
  const tls12 = await hello({ maxVersion: 'TLSv1.2' });
  assert.equal(shownKeyType(tls13, 'prime256v1', true), 'ec');
  assert.equal(shownKeyType(tls13, 'prime256v1', false), 'ec');
  // No scheme of TLS 1.3 is for it.
  assert.equal(shownKeyType(tls13, 'secp256k1', true), null);
  // Here the suites decide, and Node's client has OpenSSL's, ECDHE-ECDSA too.
  assert.equal(shownKeyType(tls12, 'prime256v1', true), 'ec');
  assert.equal(shownKeyType(tls12, 'prime256v1', false), null);
  const only = async (maxVersion: 'TLSv1.2' | 'TLSv1.3', sigalgs: string) =>
    shownKeyType(await hello({ maxVersion, sigalgs }), 'prime256v1', true);
  assert.equal(await only('TLSv1.3', 'rsa_pss_rsae_sha256'), 'rsa');
  assert.equal(await only('TLSv1.3', 'ecdsa_secp384r1_sha384:rsa_pss_rsae_sha512'), 'rsa');
  // RFC 8446 section 4.2.3: PKCS #1 is for certificates alone.
  assert.equal(await only('TLSv1.3', 'ecdsa_secp384r1_sha384:RSA+SHA256'), null);
  assert.equal(await only('TLSv1.2', 'RSA+SHA256'), 'rsa');
  assert.equal(await only('TLSv1.2', 'ed25519'), null);
  const ciphers = 'ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384';
  const suites = await hello({ maxVersion: 'TLSv1.2', ciphers });
  assert.equal(shownKeyType(suites, 'prime256v1', true), 'rsa');
});

test('a client that takes a stapled response says so', async () => {
  const read = readFirstBytes(await hello({ requestOCSP: true } as ConnectionOptions));
  assert.ok(read.kind === 'hello' && read.facts?.asksForStaple === true);
});
