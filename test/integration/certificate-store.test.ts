// The certificate store with real handshakes: which certificate a name gets, and which it is refused.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { type ConnectionOptions, connect, TLSSocket } from 'node:tls';
import { CertificateStore, type StoreSettings } from '../../src/edge/tls/certificate-store.ts';
import { type CertificateOptions, makeCertificate } from '../helpers/certificates.ts';
import { needs } from '../helpers/need.ts';

const settings: StoreSettings = {
  ciphers: null,
  tlsMinVersion: 'TLSv1.2',
  tlsUnknownName: 'default',
  caPem: null,
};

function pair(names: readonly string[], options: Omit<CertificateOptions, 'names'> = {}) {
  return { hosts: [], ...makeCertificate({ names, ...options }) };
}

/** A server that takes its certificates from the store, and what a client of it sees. */
async function serve(t: TestContext, store: CertificateStore) {
  const server = createServer((raw) => {
    const secureContext = store.select(undefined)!;
    const socket = new TLSSocket(raw, {
      isServer: true,
      secureContext,
      SNICallback(name, done) {
        const context = store.select(name);
        if (context === null) done(new Error('unrecognized'));
        else done(null, context);
      },
    });
    socket.on('error', () => raw.destroy());
    socket.on('data', () => {});
    socket.on('end', () => socket.end());
  }).listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  /** The names and the key of the certificate the server presents, or the code of the refusal. */
  return async (servername: string | undefined, options: ConnectionOptions = {}) => {
    const client = connect({
      port,
      servername: servername ?? '',
      rejectUnauthorized: false,
      ...options,
    });
    try {
      await once(client, 'secureConnect');
      const { raw } = client.getPeerCertificate();
      const certificate = new X509Certificate(raw);
      return {
        names: certificate.subjectAltName!.replaceAll('DNS:', ''),
        key: certificate.publicKey.asymmetricKeyType,
        cipher: client.getCipher().name,
        protocol: client.getProtocol(),
        chain: chainLength(client),
      };
    } catch (error) {
      return (error as NodeJS.ErrnoException).code;
    } finally {
      client.destroy();
    }
  };
}

function chainLength(client: TLSSocket): number {
  let length = 1;
  let at = client.getPeerCertificate(true);
  while (at.issuerCertificate !== undefined && at.issuerCertificate !== at) {
    at = at.issuerCertificate;
    length += 1;
  }
  return length;
}

test(
  'a name gets its certificate, exact before wildcard, whatever its case',
  needs('openssl'),
  async (t) => {
    const store = new CertificateStore(settings);
    store.set('files', [pair(['a.test', 'b.test']), pair(['*.a.test']), pair(['x.a.test'])]);
    const ask = await serve(t, store);
    const namesFor = async (name: string | undefined) => {
      const answer = await ask(name);
      return typeof answer === 'object' ? answer.names : answer;
    };
    assert.equal(await namesFor('A.test'), 'a.test, b.test');
    assert.equal(await namesFor('b.test'), 'a.test, b.test');
    assert.equal(await namesFor('y.a.test'), '*.a.test');
    assert.equal(await namesFor('x.a.test'), 'x.a.test');
    // A wildcard is one label, and not none.
    assert.equal(await namesFor('z.y.a.test'), 'a.test, b.test');
    assert.equal(await namesFor('other.test'), 'a.test, b.test');
    assert.equal(await namesFor(undefined), 'a.test, b.test');
  },
);
