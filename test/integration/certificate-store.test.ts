// The certificate store with real handshakes: which certificate a name gets, and which it is refused.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { type ConnectionOptions, connect, TLSSocket, type TLSSocketOptions } from 'node:tls';
import { CertificateStore, type StoreSettings } from '../../src/edge/tls/certificate-store.ts';
import { type CertificateOptions, makeCaPair, makePair } from '../helpers/certificates.ts';

const settings: StoreSettings = {
  ciphers: null,
  tlsMinVersion: 'TLSv1.2',
  tlsUnknownName: 'default',
  caPem: null,
};

const pair = async (names: readonly string[], options: CertificateOptions = {}) => ({
  hosts: [],
  ...(await makePair(names, options)),
});

/** By `name` the certificates are chosen before the handshake, as the listener does it: by an SNICallback,
 *  Node 24 and newer take over one certificate of a context alone, the last.
 *  A server that takes its certificates from the store; returns what a client of it sees, or the
 *  code of its error. */
async function serve(t: TestContext, store: CertificateStore, name?: string) {
  const SNICallback: TLSSocketOptions['SNICallback'] = (asked, done) => {
    const context = store.select(asked);
    if (context === null) done(new Error('unrecognized name'));
    else done(null, context);
  };
  const server = createServer((raw) => {
    const socket = new TLSSocket(raw, {
      isServer: true,
      secureContext: store.select(name)!,
      ...(name === undefined ? { SNICallback } : {}),
    });
    socket.on('error', () => raw.destroy());
    socket.on('data', () => {});
    socket.on('end', () => socket.end());
  }).listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return async (servername = '', options: ConnectionOptions = {}) => {
    const client = connect({ port, servername, rejectUnauthorized: false, ...options });
    try {
      await once(client, 'secureConnect');
      const { raw } = client.getPeerCertificate();
      const certificate = new X509Certificate(raw);
      return {
        names: certificate.subjectAltName!.replaceAll('DNS:', ''),
        key: certificate.publicKey.asymmetricKeyType,
        cipher: client.getCipher().name,
        protocol: client.getProtocol(),
        verified: client.authorized,
      };
    } catch (error) {
      return { names: (error as NodeJS.ErrnoException).code };
    } finally {
      client.destroy();
    }
  };
}

test('a name gets its certificate: exact before wildcard, one label for "*", whatever its case', async (t) => {
  const store = new CertificateStore(settings, [
    await pair(['a.test', 'b.test']),
    await pair(['*.a.test']),
    await pair(['x.a.test']),
  ]);
  const ask = await serve(t, store);
  for (const [name, names] of [
    ['A.test', 'a.test, b.test'],
    ['b.test', 'a.test, b.test'],
    ['y.a.test', '*.a.test'],
    ['X.A.test', 'x.a.test'],
    ['z.y.a.test', 'a.test, b.test'],
    ['other.test', 'a.test, b.test'],
    ['', 'a.test, b.test'],
  ] as const)
    assert.equal((await ask(name)).names, names, name);
});

test('where unknown names are refused, a client without a name still gets the default', async (t) => {
  const store = new CertificateStore({ ...settings, tlsUnknownName: 'refuse' }, [
    await pair(['a.test']),
  ]);
  assert.equal(store.select('b.test'), null);
  assert.equal(store.select('.a.test'), null);
  assert.equal(store.select('test'), null);
  assert.equal(store.select('127.0.0.1'), store.select(undefined));
  const ask = await serve(t, store);
  assert.equal((await ask('a.test')).names, 'a.test');
  assert.equal((await ask('')).names, 'a.test');
  assert.equal((await ask('b.test')).names, 'ECONNRESET');
});

test('an RSA and an ECDSA certificate stand side by side for a name, each with its chain', async (t) => {
  const [rsaCa, ecCa] = [await makeCaPair('RSA side', 'rsa'), await makeCaPair('EC side')];
  const withChain = async (kind: 'rsa' | 'ecdsa', issuer: typeof rsaCa) => {
    const made = await pair(['a.test'], { key: kind, issuer });
    return { ...made, certPem: made.certPem + issuer.certPem };
  };
  const store = new CertificateStore(settings, [
    await withChain('rsa', rsaCa),
    await withChain('ecdsa', ecCa),
  ]);
  const ask = await serve(t, store, 'a.test');
  const both = { ca: [rsaCa.certPem, ecCa.certPem], rejectUnauthorized: true };
  const rsa = { sigalgs: 'rsa_pss_rsae_sha256:RSA+SHA256' };
  const ec = { sigalgs: 'ecdsa_secp256r1_sha256' };
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    const seen = [
      await ask('a.test', { ...both, ...rsa, maxVersion }),
      await ask('a.test', { ...both, ...ec, maxVersion }),
    ];
    assert.deepEqual(
      seen.map(({ key, verified }) => [key, verified]),
      [
        ['rsa', true],
        ['ec', true],
      ],
    );
  }
  // A client that takes either gets the one that costs less.
  assert.equal((await ask('a.test')).key, 'ec');
});

test('hosts take the place of the names in a certificate', async (t) => {
  const store = new CertificateStore(settings, [
    await pair(['default.test']),
    { ...(await pair(['inside.test'])), hosts: ['Given.test', '*.given.test'] },
  ]);
  const ask = await serve(t, store);
  assert.equal((await ask('given.test')).names, 'inside.test');
  assert.equal((await ask('x.given.test')).names, 'inside.test');
  assert.equal((await ask('inside.test')).names, 'default.test');
});

test('TLS 1.1 is not spoken, TLS 1.2 unless it is switched off; ciphers are modern ones', async (t) => {
  const certificate = await pair(['a.test']);
  const store = new CertificateStore(settings, [certificate]);
  const ask = await serve(t, store);
  const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL@SECLEVEL=0' } as const;
  assert.match((await ask('a.test', old)).names ?? '', /PROTOCOL|VERSION|ALERT/);
  assert.equal((await ask('a.test', { maxVersion: 'TLSv1.2' })).protocol, 'TLSv1.2');
  for (const ciphers of ['AES128-SHA', 'ECDHE-ECDSA-AES128-SHA256', 'ECDHE-ECDSA-AES256-SHA'])
    assert.match(
      (await ask('a.test', { maxVersion: 'TLSv1.2', ciphers })).names ?? '',
      /HANDSHAKE/,
    );
  // The server's order: the client would rather have the other one.
  const ciphers = 'ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256';
  const { cipher } = await ask('a.test', { maxVersion: 'TLSv1.2', ciphers });
  assert.equal(cipher, 'ECDHE-ECDSA-AES128-GCM-SHA256');
  // A list of somebody's own is of TLS 1.2, unless it names those of TLS 1.3.
  store.configure({ ...settings, ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384' }, [certificate]);
  assert.equal(
    (await ask('a.test', { maxVersion: 'TLSv1.2' })).cipher,
    'ECDHE-ECDSA-AES256-GCM-SHA384',
  );
  assert.equal((await ask('a.test')).cipher, 'TLS_AES_128_GCM_SHA256');
  store.configure({ ...settings, ciphers: 'TLS_CHACHA20_POLY1305_SHA256' }, [certificate]);
  assert.equal((await ask('a.test')).cipher, 'TLS_CHACHA20_POLY1305_SHA256');
  assert.match(
    (await ask('a.test', { maxVersion: 'TLSv1.2' })).names ?? '',
    /PROTOCOL|VERSION|ALERT|HANDSHAKE/,
  );
  store.configure({ ...settings, tlsMinVersion: 'TLSv1.3' }, [certificate]);
  assert.match(
    (await ask('a.test', { maxVersion: 'TLSv1.2' })).names ?? '',
    /PROTOCOL|VERSION|ALERT/,
  );
  assert.equal((await ask('a.test')).protocol, 'TLSv1.3');
});

test('what was configured comes before what was obtained, and a renewed one replaces the former', async (t) => {
  const store = new CertificateStore(settings);
  assert.equal(store.isEmpty, true);
  assert.equal(store.select('a.test'), null);
  const [first, renewed] = [await pair(['a.test'], { days: 10 }), await pair(['a.test'])];
  store.put('acme', { ...first, hosts: ['a.test'] });
  store.put('acme', { ...(await pair(['b.test'])), hosts: ['b.test'] });
  const before = store.select('b.test');
  store.put('acme', { ...renewed, hosts: ['a.test'] });
  assert.equal(store.select('b.test'), before, 'what has not changed keeps its sessions');
  assert.deepEqual(
    store.summary().map(({ names, source }) => `${source} ${names.join()}`),
    ['acme b.test', 'acme a.test'],
  );
  const ask = await serve(t, store);
  assert.equal((await ask('a.test')).names, 'a.test');
  store.set('files', [await pair(['a.test', 'files.test'])]);
  assert.equal((await ask('a.test')).names, 'a.test, files.test');
  store.set('files', []);
  assert.equal((await ask('a.test')).names, 'a.test');
});

test('a pair that does not fit is refused and changes nothing', async () => {
  const [a, b] = [await pair(['a.test']), await pair(['b.test'])];
  const store = new CertificateStore(settings, [a]);
  const before = store.select('a.test');
  assert.throws(() => store.set('files', [b, { ...a, keyPem: b.keyPem }]), /key values mismatch/);
  assert.throws(() => store.put('acme', { ...b, keyPem: a.keyPem }), /key values mismatch/);
  assert.throws(() => store.configure({ ...settings, ciphers: 'NOTHING' }, [a]), /cipher/);
  assert.equal(store.select('a.test'), before);
  assert.equal(store.select('b.test'), before);
  assert.deepEqual(
    store.summary().map(({ names, key }) => [names, key]),
    [[['a.test'], 'ECDSA P-256']],
  );
});
