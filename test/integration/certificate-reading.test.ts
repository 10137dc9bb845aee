// Certificates as text: names, dates, PEM blocks, and what is wrong with a pair of files.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ciphersFault, modernCiphers } from '../../src/certificates/ciphers.ts';
import { expiryText, isNearExpiry } from '../../src/certificates/expiry.ts';
import { certificateFacts, certificateNames, shortName } from '../../src/certificates/facts.ts';
import { loadPair } from '../../src/certificates/load.ts';
import { readPemBlocks } from '../../src/certificates/pem.ts';
import { withoutPassphrases, withoutSecrets } from '../../src/config/certificate-files.ts';
import { Unfit } from '../../src/config/kinds.ts';
import { tlsTable } from '../../src/config/tls-table.ts';
import { createExpiryWatch } from '../../src/edge/tls/expiry-watch.ts';
import { tempDir } from '../helpers/arbiter.ts';
import { makeCaPair, makePair, openssl } from '../helpers/certificates.ts';
import { testConfig } from '../helpers/config.ts';
import { needs } from '../helpers/need.ts';

const dayMs = 86_400_000;
const now = Date.UTC(2026, 10, 22, 12);
const lasting = (days: number, ofDays = 90) => ({
  notBeforeMs: now + (days - ofDays) * dayMs,
  notAfterMs: now + days * dayMs,
});

test('a certificate is said to expire in days, then hours, and loudly from 21 days on', () => {
  const said = (days: number, ofDays?: number) => expiryText(lasting(days, ofDays), now);
  assert.equal(said(60), 'expires in 60 days (2027-01-21)');
  assert.equal(said(21), 'expires in 21 days (2026-12-13)');
  assert.equal(said(20.9), 'EXPIRES in 20 days (2026-12-13)');
  assert.equal(said(1.5), 'EXPIRES in 1 day (2026-11-24)');
  assert.equal(said(0.2), 'EXPIRES in 5 hours (2026-11-22)');
  assert.equal(said(-1), 'EXPIRED on 2026-11-21');
  assert.equal(said(100, 90), 'NOT VALID before 2026-12-02');
  // Those that last six days are renewed at two days.
  assert.equal(isNearExpiry(lasting(2, 6), now), false);
  assert.equal(isNearExpiry(lasting(1.4, 6), now), true);
  // Of a year.
  assert.equal(isNearExpiry(lasting(22, 365), now), false);
  assert.equal(isNearExpiry(lasting(20, 365), now), true);
});

test('the log is told of a certificate once a day, and of a renewed one no more', () => {
  const lines: string[] = [];
  const watch = createExpiryWatch({ warning: (text: string) => lines.push(text) });
  const facts = {
    source: 'files',
    file: '/a.pem',
    names: ['a.test'],
    issuer: 'CA',
    key: 'RSA 2048',
    staple: null,
  };
  const old = { ...facts, ...lasting(3) };
  watch([old, { ...facts, file: '/b.pem', ...lasting(80) }], now);
  watch([old], now + 23 * 3_600_000);
  assert.deepEqual(lines.splice(0), [
    'The certificate in /a.pem (a.test, by CA) EXPIRES in 3 days (2026-11-25)',
  ]);
  watch([old], now + dayMs);
  assert.equal(lines.splice(0).length, 1);
  watch([{ ...facts, ...lasting(90) }], now + dayMs);
  watch([old], now + dayMs + 1);
  assert.equal(lines.length, 1, 'it is back: news again');
});

test('names come from the SAN, in lower case, addresses too; the common name only where there are no others', async () => {
  const named = async (hosts: string[]) =>
    certificateNames(new X509Certificate((await makePair(hosts)).certPem));
  assert.deepEqual(await named(['Example.com', '*.example.com', '127.0.0.1', '::1']), [
    'example.com',
    '*.example.com',
    '127.0.0.1',
    '0:0:0:0:0:0:0:1',
  ]);
  const ca = new X509Certificate((await makeCaPair('ca.test')).certPem);
  assert.deepEqual(certificateNames(ca), ['ca.test']);
  const forged = (subjectAltName: string) =>
    certificateNames({ subjectAltName, subject: 'CN=cn.test' } as X509Certificate);
  assert.deepEqual(forged('DNS:a.test, DNS:"b.test, DNS:evil.test", email:x@y, DNS:c.test'), [
    'a.test',
    'c.test',
  ]);
  assert.deepEqual(forged('DNS:a b, DNS:*.*.test, DNS:x*.test, DNS:../x'), ['cn.test']);
  assert.equal(shortName('C=US\nO=Some CA\nCN=R10'), 'R10');
  assert.equal(shortName('C=US\nO=Some CA'), 'Some CA');
});

test('keys are named by kind and size', async () => {
  const key = async (kind: 'rsa' | 'ecdsa') =>
    certificateFacts(new X509Certificate((await makePair(['a.test'], { key: kind })).certPem)).key;
  assert.deepEqual([await key('rsa'), await key('ecdsa')], ['RSA 2048', 'ECDSA P-256']);
});

test('PEM blocks are found among text, and what is cut off is overlooked', () => {
  const text =
    'Bag Attributes\n-----BEGIN A-----\nx\n-----END A-----\ntext\n-----BEGIN B-----\n-----BEGIN C-----\ny\n-----END C-----';
  assert.deepEqual(
    readPemBlocks(Buffer.from(text)).map(({ label }) => label),
    ['A', 'C'],
  );
  assert.deepEqual(readPemBlocks(Buffer.from('-----BEGIN ')), []);
  assert.deepEqual(readPemBlocks(Buffer.from('-----BEGIN A-----\n'.repeat(50_000))), []);
});

async function inDir(t: TestContext) {
  const dir = tempDir(t);
  const put = (name: string, content: string | Buffer) => {
    writeFileSync(join(dir, name), content);
    return join(dir, name);
  };
  return { dir, put };
}

const load = async (cert: string, key: string | null = null, passphrase: string | null = null) => {
  const result = await loadPair({ cert, key, passphrase });
  if (result.ok) return ['ok', ...result.warnings];
  return result.faults.map(({ part, reason }) => `${part}: ${reason}`);
};

test(
  'a pair may lie in one file or in two, in any PEM form, encrypted or not',
  needs('openssl'),
  async (t) => {
    const { dir, put } = await inDir(t);
    const at = (name: string) => join(dir, name);
    for (const kind of ['rsa', 'ecdsa'] as const) {
      const ca = await makeCaPair('CA');
      const { certPem, keyPem } = await makePair(['a.test'], { key: kind, issuer: ca });
      const cert = put('a.pem', certPem + ca.certPem);
      const key = put('a.key', keyPem);
      assert.deepEqual(await load(cert, key), ['ok']);
      assert.deepEqual(await load(put('both.pem', keyPem + certPem)), ['ok']);
      openssl([
        kind === 'rsa' ? 'rsa' : 'ec',
        '-in',
        key,
        '-out',
        at('old.key'),
        ...(kind === 'rsa' ? ['-traditional'] : []),
      ]);
      assert.deepEqual(await load(cert, at('old.key')), ['ok']);
      const out = ['-in', key, '-aes256', '-passout', 'pass:word', '-out', at('enc.key')];
      openssl([kind === 'rsa' ? 'rsa' : 'ec', ...out, ...(kind === 'rsa' ? ['-traditional'] : [])]);
      assert.deepEqual(await load(cert, at('enc.key'), 'word'), ['ok']);
      // A passphrase that is not needed does no harm.
      assert.deepEqual(await load(cert, key, 'word'), ['ok']);
      openssl([
        'pkcs12',
        '-export',
        '-in',
        cert,
        '-inkey',
        key,
        '-passout',
        'pass:word',
        '-out',
        at('a.p12'),
      ]);
      assert.deepEqual(await load(at('a.p12'), null, 'word'), ['ok']);
      assert.deepEqual(await load(at('a.p12')), [`passphrase: ${at('a.p12')} needs a passphrase`]);
      assert.deepEqual(await load(at('a.p12'), null, 'other'), [
        `passphrase: ${at('a.p12')} does not open with this passphrase`,
      ]);
      assert.deepEqual(await load(put('wrong.pem', ca.certPem + certPem), key), [
        `cert: the certificate of the key comes as number 2 in ${at('wrong.pem')}: it must be the first`,
      ]);
      const stranger = await makeCaPair('Stranger');
      assert.deepEqual(await load(put('chain.pem', certPem + stranger.certPem), key), [
        'ok',
        `The chain in ${at('chain.pem')} is out of order: certificate 2 has not issued number 1`,
      ]);
    }
  },
);

test(
  'what cannot be read is named with its reason, and nothing hangs',
  needs('openssl', 'mkfifo'),
  async (t) => {
    const { dir, put } = await inDir(t);
    const at = (name: string) => join(dir, name);
    const { certPem, keyPem } = await makePair(['a.test']);
    const cert = put('a.pem', certPem);
    execFileSync('mkfifo', [at('pipe')]);
    assert.deepEqual(await load(at('pipe'), at('no/where')), [
      `cert: ${at('pipe')} is not a file`,
      `key: there is no file ${at('no/where')}`,
    ]);
    assert.deepEqual(
      await load(put('large.pem', 'x'.repeat(1024 ** 2 + 1)), put('a.key', keyPem)),
      [`cert: ${at('large.pem')} is larger than 1048576 bytes`],
    );
    const broken = certPem.replace(/^MII/m, 'MIJ');
    assert.match(
      (await load(put('broken.pem', broken), at('a.key')))[0]!,
      /^cert: certificate 1 in .*broken\.pem cannot be read: /,
    );
    assert.match(
      (await load(cert, put('broken.key', keyPem.replace(/^MI/m, 'XX'))))[0]!,
      /^key: the key in .*broken\.key cannot be read: /,
    );
    assert.match(
      (await load(put('der', Buffer.from(new X509Certificate(certPem).raw)), null))[0]!,
      /is no PKCS#12 file, or a damaged one/,
    );
    openssl([
      'req',
      '-x509',
      '-newkey',
      'rsa:512',
      '-nodes',
      '-keyout',
      at('w.key'),
      '-out',
      at('w.pem'),
      '-subj',
      '/CN=w',
    ]);
    assert.match((await load(at('w.pem'), at('w.key')))[0]!, /cannot be used: .*key too small/);
    if (process.getuid?.() !== 0) {
      chmodSync(at('a.key'), 0);
      assert.deepEqual(await load(cert, at('a.key')), [
        `key: ${at('a.key')} cannot be read: permission denied`,
      ]);
    }
  },
);

test('a cipher list must have one that OpenSSL knows', () => {
  assert.equal(ciphersFault(modernCiphers), null);
  assert.equal(ciphersFault('ECDHE+AESGCM'), null);
  assert.notEqual(ciphersFault('NOTHING'), null);
});

test('the table takes certificates with hosts, and shows no passphrase', () => {
  const table = tlsTable.read({
    certificates: [
      { cert: 'a.pem', key: 'a.key', passphrase: 'word', hosts: ['A.test', '*.b.test.'] },
    ],
  });
  assert.ok(!(table instanceof Unfit));
  assert.deepEqual(table.certificates, [
    { cert: 'a.pem', key: 'a.key', passphrase: 'word', hosts: ['a.test', '*.b.test'] },
  ]);
  assert.equal(tlsTable.show(table), 'a.pem');
  const hint = (raw: unknown) => {
    const read = tlsTable.read(raw);
    return read instanceof Unfit ? read.hint : 'fits';
  };
  assert.equal(hint({ certificates: [{ certt: 'a' }] }), 'certt: did you mean cert?');
  assert.equal(hint({ certificates: [{ key: 'a' }] }), 'cert is the path of a file');
  assert.match(hint({ certificates: [{ cert: 'a', hosts: ['*.*.test'] }] }), /is no host name/);
  assert.match(hint({ certificates: [{ cert: 'a', hosts: 'a/b' }] }), /is no host name/);
  assert.match(hint({ certificates: {} }), /certificates is a list/);
});

test('edges are told no passphrase, workers no secret at all', () => {
  const files = { cert: '/a.pem', key: null, passphrase: 'word', hosts: [] };
  const config = testConfig({
    keyfilePassword: 'word',
    acmeEabHmacKey: 'hmac',
    env: { DB_PASSWORD: 'the app’s own' },
    tls: { dev: false, devHosts: [], certificates: [files] },
  });
  const forEdge = withoutPassphrases(config);
  assert.doesNotMatch(JSON.stringify(forEdge), /"word"/);
  assert.equal(forEdge.acmeEabHmacKey, 'hmac');
  const forWorker = withoutSecrets(config);
  assert.doesNotMatch(JSON.stringify(forWorker), /"word"|"hmac"/);
  assert.equal(forWorker.env.DB_PASSWORD, 'the app’s own');
});
