// PKCS#12 files of the real openssl, in all the ways it can write them, and what is left of them when they are damaged.

import assert from 'node:assert/strict';
import { createHmac, createPrivateKey, pbkdf2Sync, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { createSecureContext } from 'node:tls';
import {
  content,
  derReader,
  derWriter,
  parts,
  taggedParts,
  tags,
} from '../../src/certificates/der.ts';
import { loadForge } from '../../src/certificates/forge.ts';
import { type KeyKind, keyToPem, makeKeyPair } from '../../src/certificates/keys.ts';
import { makeCa, makeLeaf } from '../../src/certificates/make.ts';
import { readPkcs12 } from '../../src/certificates/pkcs12.ts';
import { needs } from '../helpers/need.ts';
import { type Openssl, openssl } from '../helpers/openssl.ts';
import { randomFrom, seed } from '../helpers/random.ts';

const dayMs = 86_400_000;

/** key.pem, leaf.pem and ca.pem in openssl's directory. */
async function chain(t: TestContext, kind: KeyKind = 'ecdsa'): Promise<Openssl> {
  const ssl = openssl(t);
  const nowMs = Date.now();
  const caKey = await makeKeyPair();
  const ca = await makeCa({ key: caKey, name: 'Test CA', nowMs, lifetimeMs: dayMs });
  const key = await makeKeyPair(kind);
  const issuer = { certificate: new X509Certificate(ca.pem), privateKey: caKey.privateKey };
  const leaf = await makeLeaf({
    issuer,
    publicKey: key.publicKey,
    hosts: ['localhost'],
    nowMs,
    lifetimeMs: dayMs,
  });
  ssl.file('key.pem', keyToPem(key.privateKey));
  ssl.file('leaf.pem', leaf.pem);
  ssl.file('ca.pem', ca.pem);
  return ssl;
}

async function exported(
  ssl: Openssl,
  passphrase: string,
  ...options: readonly string[]
): Promise<Buffer> {
  ssl.file('pass', `${passphrase}\n`);
  await ssl.run(
    ...['pkcs12', '-export', '-inkey', 'key.pem', '-in', 'leaf.pem', '-certfile', 'ca.pem'],
    ...['-passout', 'file:pass', '-name', 'my sité', '-out', 'out.p12', ...options],
  );
  return readFileSync(ssl.path('out.p12'));
}

async function assertRead(ssl: Openssl, bytes: Buffer, passphrase: string | null): Promise<void> {
  const read = await readPkcs12(bytes, passphrase);
  assert.ok(read.ok, JSON.stringify(read));
  const pem = (name: string) => readFileSync(ssl.path(name), 'utf8');
  assert.equal(read.certPem, pem('leaf.pem') + pem('ca.pem'), 'leaf, then CA');
  const key = createPrivateKey(pem('key.pem'));
  assert.ok(createPrivateKey(read.keyPem).equals(key));
  createSecureContext({ cert: read.certPem, key: read.keyPem });
}

const ways: Readonly<Record<string, readonly string[]>> = {
  'as OpenSSL 3 writes it': [],
  'as OpenSSL 1 wrote it (RC2-40 and 3DES)': ['-legacy'],
  'with 3DES for all': ['-keypbe', 'PBE-SHA1-3DES', '-certpbe', 'PBE-SHA1-3DES', '-macalg', 'sha1'],
  'with AES-128 and a MAC of SHA-512': [
    '-keypbe',
    'AES-128-CBC',
    '-certpbe',
    'AES-128-CBC',
    '-macalg',
    'sha512',
  ],
  'with AES-192, and certificates in the clear': [
    '-keypbe',
    'AES-192-CBC',
    '-certpbe',
    'NONE',
    '-macalg',
    'sha384',
  ],
  'with no MAC': ['-nomac'],
  'with one iteration': ['-noiter', '-nomaciter'],
  'in the clear': ['-keypbe', 'NONE', '-certpbe', 'NONE'],
};

for (const [way, options] of Object.entries(ways))
  for (const kind of ['ecdsa', 'rsa'] as const)
    test(`a file with an ${kind} key ${way} is read`, needs('openssl'), async (t) => {
      const ssl = await chain(t, kind);
      await assertRead(ssl, await exported(ssl, 'geheim', ...options), 'geheim');
    });

test('200,000 iterations are not too many', needs('openssl'), async (t) => {
  const ssl = await chain(t);
  await assertRead(ssl, await exported(ssl, 'geheim', '-iter', '200000'), 'geheim');
});

for (const options of [[], ['-legacy']])
  test(
    `passphrases in other scripts open what openssl wrote with them ${options}`,
    needs('openssl'),
    async (t) => {
      const ssl = await chain(t);
      const passphrase = 'пароль-ключ-𝄞-ß';
      await assertRead(ssl, await exported(ssl, passphrase, ...options), passphrase);
    },
  );

test('an empty passphrase and none are the same', needs('openssl'), async (t) => {
  const ssl = await chain(t);
  const bytes = await exported(ssl, '');
  await assertRead(ssl, bytes, '');
  await assertRead(ssl, bytes, null);
});

test('a wrong passphrase is told apart from a damaged file', needs('openssl'), async (t) => {
  const ssl = await chain(t);
  for (const options of [[], ['-legacy'], ['-nomac'], ['-legacy', '-nomac']]) {
    const bytes = await exported(ssl, 'geheim', ...options);
    const wrong = { ok: false, code: 'passphrase', problem: 'does not open with this passphrase' };
    const missing = { ok: false, code: 'passphrase', problem: 'needs a passphrase' };
    const broken = { ok: false, code: 'damaged', problem: 'is no PKCS#12 file, or a damaged one' };
    assert.deepEqual(await readPkcs12(bytes, 'Geheim'), wrong);
    assert.deepEqual(await readPkcs12(bytes, null), missing);
    assert.deepEqual(await readPkcs12(bytes.subarray(0, -1), 'geheim'), broken);
  }
});

test('what is no PKCS#12 file is said to be none', async () => {
  const pem = Buffer.from('-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n');
  const nested = Buffer.concat(Array<Buffer>(5000).fill(Buffer.from([0x30, 0x80])));
  for (const bytes of [
    Buffer.alloc(0),
    pem,
    Buffer.from([0x30, 0x00]),
    Buffer.alloc(1000, 0x30),
    nested,
  ]) {
    const read = await readPkcs12(bytes, 'x');
    assert.equal(read.ok ? 'ok' : read.code, 'damaged');
  }
});

test('a file without a key or without a certificate is named so', needs('openssl'), async (t) => {
  const ssl = await chain(t);
  const problem = async (...options: readonly string[]) => {
    await ssl.run('pkcs12', '-export', ...options, '-passout', 'pass:x', '-out', 'out.p12');
    const read = await readPkcs12(readFileSync(ssl.path('out.p12')), 'x');
    return read.ok ? 'none' : `${read.code}: ${read.problem}`;
  };
  assert.equal(await problem('-nokeys', '-in', 'leaf.pem'), 'incomplete: holds no private key');
  assert.equal(
    await problem('-nocerts', '-inkey', 'key.pem', '-in', 'key.pem'),
    'incomplete: holds no certificate',
  );
});

test('an Ed25519 key is read too', needs('openssl'), async (t) => {
  const ssl = openssl(t);
  await ssl.run(
    'req',
    '-x509',
    '-newkey',
    'ed25519',
    '-nodes',
    '-keyout',
    'key.pem',
    '-out',
    'leaf.pem',
    '-subj',
    '/CN=x',
    '-days',
    '1',
  );
  await ssl.run(
    'pkcs12',
    '-export',
    '-inkey',
    'key.pem',
    '-in',
    'leaf.pem',
    '-passout',
    'pass:x',
    '-out',
    'out.p12',
  );
  const read = await readPkcs12(readFileSync(ssl.path('out.p12')), 'x');
  assert.ok(read.ok);
  assert.equal(createPrivateKey(read.keyPem).asymmetricKeyType, 'ed25519');
});

test('a file that asks for two billion iterations is refused at once', async () => {
  const der = derWriter(await loadForge());
  const macData = der.sequence(
    der.sequence(
      der.sequence(der.oid('2.16.840.1.101.3.4.2.1'), der.null()),
      der.octets(Buffer.alloc(32)),
    ),
    der.octets(Buffer.alloc(8)),
    der.integer(Buffer.from([0x7f, 0xff, 0xff, 0xff])),
  );
  const safe = der.octets(der.encode(der.sequence()));
  const info = der.sequence(der.oid('1.2.840.113549.1.7.1'), der.tagged(0, [safe]));
  const bytes = der.encode(der.sequence(der.integer(Buffer.from([3])), info, macData));
  assert.deepEqual(await readPkcs12(bytes, 'x'), {
    ok: false,
    code: 'limit',
    problem: 'asks for too many iterations (2147483647)',
  });
});

test('a file larger than any chain is refused', async () => {
  const read = await readPkcs12(Buffer.alloc(1024 ** 2 + 1, 0x30), 'x');
  assert.equal(read.ok ? 'ok' : read.code, 'limit');
});

test('the newest MAC, PBMAC1 of RFC 9579, is checked', needs('openssl'), async (t) => {
  const ssl = await chain(t);
  const bytes = await exported(ssl, 'geheim');
  const forge = await loadForge();
  const der = derWriter(forge);
  const [version, info] = parts(derReader(forge).parse(bytes));
  const data = content(taggedParts(parts(info)[1], 0)[0], tags.octetString);
  const salt = Buffer.from('salt of ours');
  const key = pbkdf2Sync('geheim', salt, 2048, 32, 'sha256');
  const hmacSha256 = der.sequence(der.oid('1.2.840.113549.2.9'), der.null());
  const kdf = der.sequence(
    der.oid('1.2.840.113549.1.5.12'),
    der.sequence(
      der.octets(salt),
      der.integer(Buffer.from([8, 0])),
      der.integer(Buffer.from([32])),
      hmacSha256,
    ),
  );
  const algorithm = der.sequence(der.oid('1.2.840.113549.1.5.14'), der.sequence(kdf, hmacSha256));
  const digest = der.octets(createHmac('sha256', key).update(data).digest());
  const macData = der.sequence(
    der.sequence(algorithm, digest),
    der.octets(Buffer.from('NOT USED')),
    der.integer(Buffer.from([1])),
  );
  const rewritten = der.encode(der.sequence(version!, info!, macData));
  await assertRead(ssl, rewritten, 'geheim');
  const read = await readPkcs12(rewritten, 'wrong');
  assert.equal(read.ok ? 'ok' : read.code, 'passphrase');
});

test(
  `damage at any place ends in an answer, not in a fault (seed ${seed})`,
  needs('openssl'),
  async (t) => {
    const ssl = await chain(t);
    const roll = randomFrom(seed);
    for (const options of [
      ['-noiter', '-nomaciter'],
      ['-legacy', '-noiter', '-nomac'],
      ['-keypbe', 'NONE', '-certpbe', 'NONE', '-nomac'],
    ]) {
      const whole = await exported(ssl, 'x', ...options);
      for (let n = 0; n < 300; n++) {
        const bytes = Buffer.from(whole);
        for (let times = roll(3); times >= 0; times--) bytes[roll(bytes.length)] = roll(256);
        const read = await readPkcs12(
          n % 3 === 0 ? bytes.subarray(0, roll(bytes.length)) : bytes,
          'x',
        );
        assert.equal(typeof read.ok, 'boolean');
      }
    }
  },
);
