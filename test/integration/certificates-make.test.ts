import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { acmeIdentifier, mustStaple } from '../../src/certificates/extensions.ts';
import { ipOctets, readHost } from '../../src/certificates/hosts.ts';
import {
  type KeyKind,
  keyPairFromPem,
  keyToPem,
  makeKeyPair,
} from '../../src/certificates/keys.ts';
import { makeCa, makeCsr, makeLeaf, makeSelfSigned } from '../../src/certificates/make.ts';
import { needs } from '../helpers/need.ts';
import { openssl } from '../helpers/openssl.ts';

const dayMs = 86_400_000;
const hosts = ['app.example.test', '*.app.example.test', '127.0.0.1', '::1'];
const kinds: readonly KeyKind[] = ['ecdsa', 'rsa'];

for (const kind of kinds) {
  test(
    `a self-signed ${kind} certificate is one to openssl and to node`,
    needs('openssl'),
    async (t) => {
      const ssl = openssl(t);
      const key = await makeKeyPair(kind);
      const nowMs = Date.now();
      const made = await makeSelfSigned({ key, hosts, nowMs, lifetimeMs: 30 * dayMs });
      ssl.file('cert.pem', made.pem);
      await ssl.run(
        'verify',
        '-x509_strict',
        '-check_ss_sig',
        '-purpose',
        'sslserver',
        '-trusted',
        'cert.pem',
        'cert.pem',
      );
      const text = await ssl.run('x509', '-in', 'cert.pem', '-noout', '-text');
      assert.match(text, /Version: 3/);
      assert.match(
        text,
        /DNS:app\.example\.test, DNS:\*\.app\.example\.test, IP Address:127\.0\.0\.1, IP Address:0:0:0:0:0:0:0:1/,
      );
      assert.match(text, /Basic Constraints: critical\s+CA:FALSE/);
      assert.match(
        text,
        kind === 'rsa'
          ? /Digital Signature, Key Encipherment\n/
          : /Key Usage: critical\s+Digital Signature\n/,
      );
      assert.match(text, /TLS Web Server Authentication/);
      const x509 = new X509Certificate(made.der);
      assert.ok(x509.verify(key.publicKey));
      assert.ok(x509.checkPrivateKey(key.privateKey));
      assert.equal(x509.checkHost('www.app.example.test'), '*.app.example.test');
      assert.equal(x509.checkIP('::1'), '::1');
      assert.equal(x509.subject, 'CN=app.example.test');
      assert.equal(Date.parse(x509.validTo), Math.floor((nowMs + 30 * dayMs) / 1000) * 1000);
      assert.equal(Date.parse(x509.validFrom), Math.floor((nowMs - 3_600_000) / 1000) * 1000);
      assert.equal(x509.serialNumber.length, 32);
    },
  );

  test(
    `a ${kind} request is one to openssl, with its names and extensions`,
    needs('openssl'),
    async (t) => {
      const ssl = openssl(t);
      const key = await makeKeyPair(kind);
      const made = await makeCsr({ key, hosts, extensions: [mustStaple()] });
      ssl.file('csr.pem', made.pem);
      const text = await ssl.run('req', '-in', 'csr.pem', '-noout', '-verify', '-text');
      assert.match(text, /verify OK/);
      assert.match(text, /Subject: *\n/);
      assert.match(
        text,
        /DNS:app\.example\.test, DNS:\*\.app\.example\.test, IP Address:127\.0\.0\.1/,
      );
      assert.match(text, /TLS Feature:\s+status_request/);
    },
  );

  test(
    `a ${kind} CA and its leaf make a chain that a TLS client trusts`,
    needs('openssl'),
    async (t) => {
      const ssl = openssl(t);
      const nowMs = Date.now();
      const caKey = await makeKeyPair(kind);
      const ca = await makeCa({
        key: caKey,
        name: 'Test CA of bücher',
        nowMs,
        lifetimeMs: 3650 * dayMs,
      });
      const key = await makeKeyPair(kind);
      const issuer = { certificate: new X509Certificate(ca.pem), privateKey: caKey.privateKey };
      const leaf = await makeLeaf({
        issuer,
        publicKey: key.publicKey,
        hosts: ['localhost', '127.0.0.1'],
        nowMs,
        lifetimeMs: dayMs,
      });
      ssl.file('ca.pem', ca.pem);
      ssl.file('leaf.pem', leaf.pem);
      await ssl.run(
        'verify',
        '-x509_strict',
        '-purpose',
        'sslserver',
        '-CAfile',
        'ca.pem',
        'leaf.pem',
      );
      const text = await ssl.run('x509', '-in', 'ca.pem', '-noout', '-text');
      assert.match(text, /CA:TRUE, pathlen:0/);
      assert.match(text, /Key Usage: critical\s+Certificate Sign, CRL Sign\n/);
      const server = createServer({ cert: leaf.pem, key: keyToPem(key.privateKey) }, (socket) =>
        socket.end(),
      );
      server.listen(0, '127.0.0.1');
      await new Promise((done) => server.once('listening', done));
      t.after(() => server.close());
      const { port } = server.address() as { port: number };
      const client = connect({ port, host: '127.0.0.1', servername: 'localhost', ca: ca.pem });
      await new Promise<void>((done, fail) =>
        client.once('secureConnect', done).once('error', fail),
      );
      assert.equal((client as TLSSocket).authorized, true);
      client.destroy();
    },
  );
}

test('a leaf outside what its CA may vouch for is refused', needs('openssl'), async (t) => {
  const ssl = openssl(t);
  const nowMs = Date.now();
  const caKey = await makeKeyPair();
  const constraints = {
    dns: ['localhost', 'test'],
    ip: [
      [ipOctets('127.0.0.0'), ipOctets('255.0.0.0')],
      [ipOctets('::1'), ipOctets('ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff')],
    ],
  } as const;
  const ca = await makeCa({ key: caKey, name: 'Test CA', constraints, nowMs, lifetimeMs: dayMs });
  ssl.file('ca.pem', ca.pem);
  const issuer = { certificate: new X509Certificate(ca.pem), privateKey: caKey.privateKey };
  const verify = async (names: readonly string[]) => {
    const { publicKey } = await makeKeyPair();
    const leaf = await makeLeaf({ issuer, publicKey, hosts: names, nowMs, lifetimeMs: dayMs });
    ssl.file('leaf.pem', leaf.pem);
    return ssl.run('verify', '-x509_strict', '-CAfile', 'ca.pem', 'leaf.pem');
  };
  await verify(['localhost', '*.localhost', 'a.b.test', '127.0.0.5', '::1']);
  await assert.rejects(verify(['example.com']), /permitted subtree violation/);
  await assert.rejects(verify(['localhost', '192.0.2.1']), /permitted subtree violation/);
});

test('the tls-alpn-01 certificate has its extension, critical', needs('openssl'), async (t) => {
  const ssl = openssl(t);
  const key = await makeKeyPair();
  const digest = createHash('sha256').update('token.thumbprint').digest();
  const made = await makeSelfSigned({
    key,
    hosts: ['example.test'],
    extensions: [acmeIdentifier(digest)],
    nowMs: Date.now(),
    lifetimeMs: dayMs,
  });
  ssl.file('cert.pem', made.pem);
  const shown = await ssl.run('asn1parse', '-in', 'cert.pem');
  const at = shown.indexOf('1.3.6.1.5.5.7.1.31');
  assert.match(
    shown.slice(at).split('\n').slice(1, 3).join('\n'),
    new RegExp(`BOOLEAN +:255\\n.*0420${digest.toString('hex').toUpperCase()}`),
  );
  assert.throws(() => acmeIdentifier(Buffer.alloc(31)), TypeError);
});

test('dates from 2050 on are written as the RFC wants them', needs('openssl'), async (t) => {
  const ssl = openssl(t);
  const key = await makeKeyPair();
  const made = await makeSelfSigned({
    key,
    hosts: ['localhost'],
    nowMs: Date.UTC(2049, 11, 31),
    lifetimeMs: 2 * dayMs,
  });
  ssl.file('cert.pem', made.pem);
  assert.match(
    await ssl.run('x509', '-in', 'cert.pem', '-noout', '-dates'),
    /notBefore=Dec 30 23:00:00 2049 GMT\nnotAfter=Jan {2}2 00:00:00 2050 GMT/,
  );
  assert.match(await ssl.run('asn1parse', '-in', 'cert.pem'), /UTCTIME[\s\S]*GENERALIZEDTIME/);
});

test('a name too long for a subject stands in the SAN alone', async () => {
  const key = await makeKeyPair();
  const name = `${'a'.repeat(60)}.example.test`;
  const made = await makeSelfSigned({ key, hosts: [name], nowMs: Date.now(), lifetimeMs: dayMs });
  const x509 = new X509Certificate(made.pem);
  // Node 20 says undefined.
  assert.equal(x509.subject ?? '', '');
  assert.equal(x509.checkHost(name), name);
});

test('no two certificates have one serial number', async () => {
  const key = await makeKeyPair();
  const serials = new Set<string>();
  for (let n = 0; n < 50; n++) {
    const made = await makeSelfSigned({
      key,
      hosts: ['localhost'],
      nowMs: Date.now(),
      lifetimeMs: dayMs,
    });
    serials.add(new X509Certificate(made.der).serialNumber);
  }
  assert.equal(serials.size, 50);
});

test('keys survive the way through PEM', async () => {
  for (const kind of kinds) {
    const { privateKey, publicKey } = await makeKeyPair(kind);
    const read = keyPairFromPem(keyToPem(privateKey));
    assert.ok(read.publicKey.equals(publicKey));
  }
});

test('hosts are read as certificates write them', () => {
  const ascii = (text: string) => {
    const host = readHost(text);
    return host === null ? null : host.kind === 'dns' ? host.name : host.octets.toString('hex');
  };
  assert.equal(ascii('Example.COM'), 'example.com');
  assert.equal(ascii('bücher.example'), 'xn--bcher-kva.example');
  assert.equal(ascii('*.bücher.example'), '*.xn--bcher-kva.example');
  assert.equal(ascii('127.0.0.1'), '7f000001');
  assert.equal(ascii('[::1]'), `${'0'.repeat(31)}1`);
  assert.equal(ascii('fe80::1:2'), 'fe800000000000000000000000010002');
  assert.equal(ascii('::ffff:1.2.3.4'), '00000000000000000000ffff01020304');
  assert.equal(ascii('2001:db8:1:2:3:4:5:6'), '20010db8000100020003000400050006');
  for (const bad of [
    '',
    '*',
    '*.',
    'a..b',
    '-a.example',
    'a b',
    'a/b',
    'fe80::1%eth0',
    '*.*.example',
    'a*.example',
    'x'.repeat(64),
    '1.2.3',
    'a\0b',
    'a\nb',
  ])
    assert.equal(ascii(bad), null, JSON.stringify(bad));
});

test('a certificate for no host, or for what is none, is not made', async () => {
  const key = await makeKeyPair();
  const common = { key, nowMs: Date.now(), lifetimeMs: dayMs };
  await assert.rejects(makeSelfSigned({ ...common, hosts: [] }), TypeError);
  await assert.rejects(makeSelfSigned({ ...common, hosts: ['a b'] }), /"a b" is no host/);
});
