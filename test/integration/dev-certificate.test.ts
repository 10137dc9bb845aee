// The development CA in a directory of its own: made once, kept, renewed, and refused where others could have touched it.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openDevCa, openDevCertificate } from '../../src/certificates/dev/dev-certificate.ts';
import { constraintsFor, permits, usualHosts } from '../../src/certificates/dev/hosts.ts';
import { tempDir } from '../helpers/arbiter.ts';
import { needs } from '../helpers/need.ts';
import { openssl } from '../helpers/openssl.ts';

const dayMs = 86_400_000;
const start = Date.UTC(2026, 0, 15);

function opened(dir: string, given: { hosts?: string[]; nowMs?: number; machine?: string } = {}) {
  const options = { machine: 'Laptop', user: 'anna', hosts: [], nowMs: start, ...given };
  return openDevCertificate({ dir, ...options });
}

async function good(dir: string, given: Parameters<typeof opened>[1] = {}) {
  const result = await opened(dir, given);
  assert.ok(result.ok, JSON.stringify(result));
  return result.value;
}

function place(t: TestContext): string {
  return join(tempDir(t), 'data', 'dev-ca');
}

const certificateIn = (path: string) => {
  const text = readFileSync(path, 'utf8');
  return new X509Certificate(text.slice(text.indexOf('-----BEGIN CERTIFICATE')));
};

test(
  'the first start makes a CA and a certificate, for one user alone',
  needs('openssl'),
  async (t) => {
    const dir = place(t);
    const made = await good(dir, { nowMs: Date.now() });
    assert.equal(made.ca.isNew, true);
    assert.deepEqual(readdirSync(dir).sort(), ['ca.key.pem', 'ca.pem', 'server.pem']);
    assert.equal(statSync(dir).mode & 0o777, 0o700);
    for (const name of readdirSync(dir))
      assert.equal(statSync(join(dir, name)).mode & 0o777, 0o600);
    assert.doesNotMatch(readFileSync(join(dir, 'ca.pem'), 'utf8'), /PRIVATE/);
    const ssl = openssl(t);
    await ssl.run(
      'verify',
      '-x509_strict',
      '-purpose',
      'sslserver',
      '-CAfile',
      join(dir, 'ca.pem'),
      join(dir, 'server.pem'),
    );
    const server = certificateIn(made.path);
    for (const host of ['localhost', 'laptop', 'laptop.local'])
      assert.ok(server.checkHost(host) !== undefined, host);
    // In it, but few clients take a wildcard that has one label below it: such names are given one by one.
    assert.match(server.subjectAltName ?? '', /DNS:\*\.localhost/);
    for (const ip of ['127.0.0.1', '::1']) assert.ok(server.checkIP(ip) !== undefined, ip);
    const ca = certificateIn(join(dir, 'ca.pem'));
    assert.match(ca.subject, /CN=Portico development CA \(anna@Laptop\)/);
  },
);

test('later starts change nothing while it is good', async (t) => {
  const dir = place(t);
  const first = await good(dir);
  const before = readFileSync(first.path, 'utf8');
  const second = await good(dir, { nowMs: start + 59 * dayMs });
  assert.equal(second.ca.isNew, false);
  assert.equal(second.notAfterMs, first.notAfterMs);
  assert.equal(readFileSync(first.path, 'utf8'), before);
});

test('a certificate with less than 30 days left is made anew by the same CA', async (t) => {
  const dir = place(t);
  const first = await good(dir);
  const second = await good(dir, { nowMs: start + 61 * dayMs });
  assert.equal(second.notAfterMs, start + 151 * dayMs);
  assert.equal(
    certificateIn(second.path).validTo,
    new Date(second.notAfterMs)
      .toUTCString()
      .replace(
        /^\w+, (\d+) (\w+) (\d+) (.*) GMT/,
        (_all, day, month, year, time) => `${month} ${day.replace(/^0/, ' ')} ${time} ${year} GMT`,
      ),
  );
  assert.equal(second.ca.certificate.fingerprint256, first.ca.certificate.fingerprint256);
});

test('a certificate does not outlive its CA, and is not made anew at each look then', async (t) => {
  const dir = place(t);
  await good(dir);
  const late = start + 3640 * dayMs;
  const first = await good(dir, { nowMs: late });
  assert.equal(first.notAfterMs, Date.parse(first.ca.certificate.validTo));
  const before = readFileSync(first.path, 'utf8');
  await good(dir, { nowMs: late + dayMs });
  assert.equal(readFileSync(first.path, 'utf8'), before);
});

test('another name makes a certificate for it too, and former names stay', async (t) => {
  const dir = place(t);
  await good(dir, { hosts: ['shop.test'] });
  const second = await good(dir, { hosts: ['192.168.1.7', 'fd00::7', 'blog.test'] });
  const server = certificateIn(second.path);
  for (const host of ['shop.test', 'blog.test', 'localhost'])
    assert.ok(server.checkHost(host) !== undefined, host);
  for (const ip of ['192.168.1.7', 'fd00::7']) assert.ok(server.checkIP(ip) !== undefined, ip);
  const before = readFileSync(second.path, 'utf8');
  await good(dir, { hosts: ['shop.test', 'FD00:0::7'] });
  assert.equal(readFileSync(second.path, 'utf8'), before, 'nothing new in it');
});

test('names that are somebody else’s on the internet are left out and told', async (t) => {
  const dir = place(t);
  const made = await good(dir, { hosts: ['www.example.com', 'shop.test', '8.8.8.8'] });
  assert.deepEqual(made.left, ['www.example.com', '8.8.8.8']);
  assert.equal(certificateIn(made.path).checkHost('www.example.com'), undefined);
});

test('a machine that goes by another name keeps its CA', async (t) => {
  const dir = place(t);
  await good(dir, { machine: 'one' });
  const second = await good(dir, { machine: 'two' });
  const server = certificateIn(second.path);
  assert.equal(server.checkHost('one'), 'one');
  assert.equal(server.checkHost('two'), undefined, 'its CA does not know it');
  assert.ok(server.checkHost('two.local') !== undefined);
});

test('many first starts at once end up with one CA', async (t) => {
  const dir = place(t);
  const all = await Promise.all(Array.from({ length: 12 }, () => good(dir)));
  const fingerprints = new Set(all.map(({ ca }) => ca.certificate.fingerprint256));
  assert.equal(fingerprints.size, 1);
  assert.equal(all.filter(({ ca }) => ca.isNew).length, 1);
  assert.deepEqual(readdirSync(dir).sort(), ['ca.key.pem', 'ca.pem', 'server.pem']);
  assert.ok(
    certificateIn(join(dir, 'server.pem')).verify(certificateIn(join(dir, 'ca.pem')).publicKey),
  );
});

test('what others may have written is refused', async (t) => {
  const dir = place(t);
  await good(dir);
  const problem = async () => {
    const result = await opened(dir);
    return result.ok ? 'none' : result.problem;
  };
  chmodSync(join(dir, 'ca.key.pem'), 0o640);
  assert.match(await problem(), /others may read or write .*ca\.key\.pem/);
  chmodSync(join(dir, 'ca.key.pem'), 0o600);
  chmodSync(join(dir, 'server.pem'), 0o606);
  assert.match(await problem(), /others may read or write .*server\.pem/);
  chmodSync(join(dir, 'server.pem'), 0o600);
  chmodSync(dir, 0o770);
  assert.match(await problem(), /others may write to .*dev-ca/);
  chmodSync(dir, 0o700);
  assert.equal(await problem(), 'none');
  if (process.getuid?.() !== 0) return;
  chownSync(join(dir, 'ca.key.pem'), 65_534, 65_534);
  assert.match(await problem(), /belongs to another user \(uid 65534\)/);
  chownSync(join(dir, 'ca.key.pem'), 0, 0);
  chownSync(dir, 65_534, 65_534);
  assert.match(await problem(), /belongs to another user/);
});

test('links, directories and broken files in its place are named', async (t) => {
  const dir = place(t);
  await good(dir);
  const secret = readFileSync(join(dir, 'ca.key.pem'), 'utf8');
  const problem = async (at = dir) => {
    const result = await opened(at);
    return result.ok ? 'none' : result.problem;
  };
  const other = join(tempDir(t), 'x');
  writeFileSync(other, secret, { mode: 0o600 });
  const second = join(tempDir(t), 'second');
  mkdirSync(second, { mode: 0o700 });
  symlinkSync(other, join(second, 'ca.key.pem'));
  assert.match(await problem(second), /ca\.key\.pem cannot be read: it is a symbolic link/);
  const linked = join(tempDir(t), 'linked');
  symlinkSync(dir, linked);
  assert.match(await problem(linked), /is not a directory/);
  assert.match(await problem(join(other, 'below')), /cannot be used/);
  for (const broken of [
    '',
    'x',
    secret.slice(0, 100),
    secret.slice(secret.indexOf('-----BEGIN CERT')),
  ]) {
    writeFileSync(join(dir, 'ca.key.pem'), broken);
    assert.match(await problem(), /does not hold a key and its certificate: remove/);
  }
  writeFileSync(join(dir, 'ca.key.pem'), 'x'.repeat(70_000));
  assert.match(await problem(), /larger than/);
});

test('a server’s file that is broken, or another CA’s, is made anew', async (t) => {
  const [dir, other] = [place(t), place(t)];
  await good(dir);
  await good(other);
  for (const text of ['', 'nonsense', readFileSync(join(other, 'server.pem'), 'utf8')]) {
    writeFileSync(join(dir, 'server.pem'), text);
    const made = await good(dir);
    assert.ok(certificateIn(made.path).verify(made.ca.certificate.publicKey));
  }
});

test('ca.pem is put back to what belongs to the key', async (t) => {
  const dir = place(t);
  const made = await good(dir);
  writeFileSync(join(dir, 'ca.pem'), 'something else');
  chmodSync(join(dir, 'ca.pem'), 0o666);
  const ca = await openDevCa({ dir, machine: 'Laptop', user: 'anna', nowMs: start });
  assert.ok(ca.ok);
  assert.equal(certificateIn(ca.value.path).fingerprint256, made.ca.certificate.fingerprint256);
  assert.equal(statSync(ca.value.path).mode & 0o777, 0o600);
});

test('a CA past its end, or before its beginning, is said to be so', async (t) => {
  const dir = place(t);
  await good(dir);
  const late = await opened(dir, { nowMs: start + 3651 * dayMs });
  assert.match(late.ok ? '' : late.problem, /expired on .*remove .*dev-ca/);
  const early = await opened(dir, { nowMs: start - dayMs });
  assert.match(early.ok ? '' : early.problem, /valid from .*is the clock right/);
});

test('a directory that cannot be made is a plain sentence', async (t) => {
  const file = join(tempDir(t), 'file');
  writeFileSync(file, '');
  const result = await opened(join(file, 'dev-ca'));
  assert.match(result.ok ? '' : result.problem, /a part of the path is not a directory/);
  assert.equal(existsSync(join(file, 'dev-ca')), false);
});

test('a CA vouches for what is local, and for nothing on the internet', () => {
  const constraints = constraintsFor('build-7.corp.example.com');
  const yes = [
    'localhost',
    'a.b.localhost',
    'x.test',
    'box.local',
    'build-7.corp.example.com',
    'api.build-7.corp.example.com',
    '127.1.2.3',
    '10.0.0.1',
    '172.31.255.255',
    '192.168.0.1',
    '169.254.1.1',
    '::1',
    'fd12::1',
    'fe80::1',
    '*.localhost',
  ];
  const no = [
    'example.com',
    'corp.example.com',
    'notlocalhost',
    'test.com',
    '172.32.0.1',
    '128.0.0.1',
    '8.8.8.8',
    '::2',
    '2001:db8::1',
    'fec0::1',
    '',
    'not a host',
  ];
  for (const host of yes) assert.ok(permits(constraints, host), host);
  for (const host of no) assert.ok(!permits(constraints, host), host);
});

test('odd machine names do no harm', () => {
  const loopback = ['localhost', '*.localhost', '127.0.0.1', '::1'];
  assert.deepEqual(usualHosts('localhost'), loopback);
  assert.deepEqual(usualHosts(''), loopback);
  assert.deepEqual(usualHosts('a b'), loopback);
  assert.deepEqual(usualHosts('Mac.local'), [...loopback, 'mac.local']);
  assert.deepEqual(usualHosts('box'), [...loopback, 'box', 'box.local']);
  assert.ok(!permits(constraintsFor('a b'), 'a b'));
});
