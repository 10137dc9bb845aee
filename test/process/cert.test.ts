// portico cert, as a user runs it.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createServer } from 'node:tls';
import { mustStaple } from '../../src/certificates/extensions.ts';
import { keyToPem, makeKeyPair } from '../../src/certificates/keys.ts';
import { makeCa, makeLeaf, makeSelfSigned } from '../../src/certificates/make.ts';
import { systemOf, trustHelp } from '../../src/cli/cert/trust-help.ts';
import { directoryOf, portico } from '../helpers/cli.ts';
import { needs } from '../helpers/need.ts';
import { openssl } from '../helpers/openssl.ts';

const dayMs = 86_400_000;

/** chain.pem (leaf and CA), leaf.pem, ca.pem, key.pem and other.pem (a key) in a directory. */
async function files(
  t: TestContext,
  given: { nowMs?: number; hosts?: string[]; name?: string } = {},
) {
  const { nowMs = Date.now(), hosts = ['shop.test', '::1'], name = 'Test CA' } = given;
  const caKey = await makeKeyPair();
  const ca = await makeCa({ key: caKey, name, nowMs, lifetimeMs: 365 * dayMs });
  const key = await makeKeyPair();
  const issuer = { certificate: new X509Certificate(ca.pem), privateKey: caKey.privateKey };
  const leaf = await makeLeaf({
    issuer,
    publicKey: key.publicKey,
    hosts,
    nowMs,
    lifetimeMs: 90.5 * dayMs,
  });
  const other = await makeKeyPair();
  const texts = {
    'chain.pem': leaf.pem + ca.pem,
    'leaf.pem': leaf.pem,
    'ca.pem': ca.pem,
    'key.pem': keyToPem(key.privateKey),
    'other.pem': keyToPem(other.privateKey),
  };
  return { cwd: directoryOf(t, texts), key: texts['key.pem'], cert: texts['chain.pem'] };
}

test('cert dev makes the CA, says where it is, and how it is trusted', async (t) => {
  const cwd = directoryOf(t, {});
  const env = { XDG_DATA_HOME: join(cwd, 'a b') };
  const ran = await portico(['cert', 'dev'], { cwd, env });
  assert.equal(ran.code, 0, ran.stderr);
  const path = join(cwd, 'a b/portico/dev-ca/ca.pem');
  assert.ok(ran.stdout.includes(path));
  for (const system of [
    'Debian',
    'Fedora',
    'macOS',
    'Windows',
    'Firefox',
    'Chrome',
    'curl',
    'NODE_EXTRA_CA_CERTS',
    'Python',
  ])
    assert.ok(ran.stdout.includes(system), system);
  assert.ok(ran.stdout.includes(`--cacert '${path}'`), 'quoted for a shell');
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const again = await portico(['cert', 'dev', '--json'], { cwd, env });
  const { fingerprint256, validTo } = new X509Certificate(readFileSync(path));
  assert.deepEqual(JSON.parse(again.stdout), {
    ca: path,
    fingerprint256,
    validUntil: new Date(validTo).toISOString(),
  });
});

test('cert dev says in a sentence why it cannot', async (t) => {
  const cwd = directoryOf(t, { file: '' });
  const ran = await portico(['cert', 'dev'], { cwd, env: { XDG_DATA_HOME: join(cwd, 'file') } });
  assert.equal(ran.code, 1);
  assert.match(
    ran.stderr,
    /^portico: Cannot use the development CA: .*a part of the path is not a directory\n$/,
  );
  const env: Record<string, string> = { XDG_DATA_HOME: 'relative', HOME: '/' };
  if (process.getuid?.() === 0) return;
  const homeless = await portico(['cert', 'dev'], { cwd, env });
  assert.match(homeless.stderr, /no home directory/);
});

test(
  'NSS, and with it Chrome and Firefox on Linux, takes the command that cert dev prints',
  needs('certutil'),
  async (t) => {
    const cwd = directoryOf(t, {});
    const data = join(cwd, "it's");
    const ran = await portico(['cert', 'dev'], { cwd, env: { XDG_DATA_HOME: data } });
    const lines = ran.stdout.split('\n').map((line) => line.trim());
    const commands = lines.filter((line) => /^(mkdir|certutil) .*\.pki/.test(line));
    assert.equal(commands.length, 2);
    writeFileSync(
      join(cwd, 'trust.sh'),
      `set -e\n${commands.join('\n')}\ncertutil -d sql:"$HOME/.pki/nssdb" -L`,
    );
    const { execFileSync } = await import('node:child_process');
    const shown = execFileSync('sh', ['trust.sh'], {
      cwd,
      env: { ...process.env, HOME: cwd },
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    assert.match(shown, /Portico development CA +C,,/);
  },
);

test('each system is told its own way first', () => {
  const help = (release: string) =>
    trustHelp({ caPath: '/x/ca.pem', sha1: 'AA:BB' }, systemOf(release)).split('\n')[2];
  assert.match(help('ID=ubuntu\nID_LIKE=debian\n') ?? '', /Debian/);
  assert.match(help('NAME=x\nID="rocky"\nID_LIKE="rhel centos fedora"\n') ?? '', /Fedora/);
  assert.match(help('ID=manjaro\nID_LIKE=arch\n') ?? '', /Arch/);
  assert.match(help('ID="opensuse-leap"\nID_LIKE="suse opensuse"\n') ?? '', /openSUSE/);
  assert.equal(systemOf('ID=plan9\n'), 'other');
});

test('cert inspect shows a file that is in order', async (t) => {
  const { cwd } = await files(t);
  const env = { SSL_CERT_FILE: join(cwd, 'ca.pem') };
  const ran = await portico(['cert', 'inspect', 'chain.pem', 'key.pem'], { cwd, env });
  assert.equal(ran.code, 0, ran.stderr);
  for (const line of [
    /^chain\.pem$/m,
    /names +shop\.test, ::1$/m,
    /issuer +O=Portico, CN=Test CA$/m,
    /: 90 days left$/m,
    /key +ECDSA P-256$/m,
    /signature +ECDSA with SHA-256$/m,
    /^Root 2$/m,
    /complete +leads to Test CA$/m,
    /trusted +yes, by .*ca\.pem$/m,
    /key +that in key\.pem fits$/m,
    /would be content with it\.$/m,
  ])
    assert.match(ran.stdout, line);
  const json = JSON.parse(
    (await portico(['cert', 'inspect', 'chain.pem', 'key.pem', '--json'], { cwd, env })).stdout,
  );
  assert.equal(json.certificates.length, 2);
  assert.deepEqual(json.certificates[0].names, ['shop.test', '::1']);
  assert.deepEqual(json.objections, []);
  assert.deepEqual(json.key, { place: 'key.pem', fits: true, problem: null });
  assert.equal(json.trusted, true);
});

test('cert inspect names what is wrong with a file', needs('openssl'), async (t) => {
  const { cwd } = await files(t);
  const shown = async (...args: string[]) =>
    (await portico(['cert', 'inspect', ...args], { cwd })).stdout;
  assert.match(
    await shown('leaf.pem'),
    /complete +NO: the issuer Test CA is neither there nor known[\s\S]*- Its issuer is not there/,
  );
  assert.match(await shown('chain.pem'), /- It leads to a root that this system does not trust\./);
  assert.match(await shown('leaf.pem', 'other.pem'), /does NOT FIT/);
  assert.match(await shown('ca.pem'), /- It is a CA, not the certificate of a server/);
  const old = await files(t, { nowMs: Date.now() - 100 * dayMs });
  assert.match(await shown(join(old.cwd, 'leaf.pem')), /EXPIRED 9 days ago[\s\S]*- It expired on/);
  const early = await files(t, { nowMs: Date.now() + 10 * dayMs });
  assert.match(
    await shown(join(early.cwd, 'leaf.pem')),
    /not yet, in 9 days[\s\S]*- It is not valid before/,
  );

  const ssl = openssl(t);
  const make = (name: string, ...options: string[]) =>
    ssl.run('req', '-x509', '-nodes', '-keyout', 'k.pem', '-out', name, ...options);
  await make(
    'cn.pem',
    '-newkey',
    'rsa:1024',
    '-subj',
    '/CN=old.test',
    '-days',
    '900',
    '-sha1',
    '-addext',
    'basicConstraints=CA:FALSE',
    '-addext',
    'extendedKeyUsage=clientAuth',
  );
  const bad = await shown(ssl.path('cn.pem'));
  for (const line of [
    /It is signed by itself/,
    /subject alone \(CN\)/,
    /too short: RSA 1024/,
    /lacks serverAuth/,
    /valid for 900 days/,
  ])
    assert.match(bad, line);
  await make('ed.pem', '-newkey', 'ed25519', '-subj', '/CN=x.test', '-days', '9');
  assert.match(await shown(ssl.path('ed.pem')), /this one is Ed25519/);
});

test('cert inspect opens DER, PKCS#12 and encrypted keys', needs('openssl'), async (t) => {
  const { cwd } = await files(t);
  const ssl = openssl(t);
  const at = (name: string) => join(cwd, name);
  await ssl.run('x509', '-in', at('leaf.pem'), '-outform', 'DER', '-out', at('leaf.cer'));
  await ssl.run(
    'pkcs12',
    '-export',
    '-in',
    at('chain.pem'),
    '-inkey',
    at('key.pem'),
    '-passout',
    'pass:geheim',
    '-out',
    at('all.p12'),
  );
  await ssl.run(
    'pkcs8',
    '-topk8',
    '-in',
    at('key.pem'),
    '-passout',
    'pass:geheim',
    '-out',
    at('locked.pem'),
  );
  const env = { PORTICO_KEYFILE_PASSWORD: 'geheim' };
  const inspect = (args: string[], given: Record<string, string> = {}) =>
    portico(['cert', 'inspect', ...args], { cwd, env: given });
  assert.match((await inspect(['leaf.cer'])).stdout, /names +shop\.test/);
  assert.match(
    (await inspect(['all.p12'], env)).stdout,
    /leads to Test CA[\s\S]*that in the same file fits/,
  );
  assert.match((await inspect(['leaf.pem', 'locked.pem'], env)).stdout, /that in locked\.pem fits/);
  assert.match(
    (await inspect(['leaf.pem', 'locked.pem'])).stdout,
    /cannot be read: it is encrypted/,
  );
  const wrong = await inspect(['all.p12'], { PORTICO_KEYFILE_PASSWORD: 'nein' });
  assert.deepEqual(
    [wrong.code, wrong.stderr],
    [1, 'portico: all.p12 does not open with this passphrase (PORTICO_KEYFILE_PASSWORD)\n'],
  );
});

test('every failure of cert inspect is a sentence', async (t) => {
  const { cwd } = await files(t);
  writeFileSync(join(cwd, 'text.txt'), 'hello');
  writeFileSync(
    join(cwd, 'broken.pem'),
    '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n',
  );
  writeFileSync(join(cwd, 'large.pem'), 'x'.repeat(2 * 1024 ** 2));
  mkdirSync(join(cwd, 'dir.d'));
  const cases: readonly (readonly [string[], RegExp])[] = [
    [[], /needs a file, or HOST:PORT/],
    [['missing.pem'], /There is no file missing\.pem/],
    [['text.txt'], /text\.txt holds no certificate/],
    [['broken.pem'], /certificate 1 in broken\.pem is damaged/],
    [['key.pem'], /key\.pem holds no certificate/],
    [['large.pem'], /large\.pem is larger than/],
    [['dir.d'], /dir\.d is not a file/],
    [['leaf.pem', 'ca.pem'], /ca\.pem holds no key/],
    [['leaf.pem', 'no-key.pem'], /there is no file no-key\.pem/],
    [['leaf.pem', 'key.pem', 'third'], /Unexpected argument "third"/],
    [['something'], /neither a file that is there, nor HOST:PORT/],
    [['localhost:99999'], /neither a file that is there, nor HOST:PORT/],
    [['http://localhost/'], /plain HTTP/],
    [['127.0.0.1:1'], /^portico: 127\.0\.0\.1:1 refuses connections/],
    [['[::1]:1'], /^portico: \[::1\]:1 /],
    [['leaf.pem', '--check-config'], /Cannot use --check with portico cert/],
    [['leaf.pem', '--workers', '3'], /Cannot use --workers with portico cert/],
  ];
  for (const [args, message] of cases) {
    const ran = await portico(['cert', 'inspect', ...args], { cwd });
    assert.equal(ran.code, 1, args.join(' '));
    assert.match(ran.stderr, message);
    assert.doesNotMatch(ran.stderr, /\n +at /, 'no stack');
  }
  const unknown = await portico(['cert', 'inspct', 'x'], { cwd });
  assert.match(unknown.stderr, /Unknown portico cert "inspct": did you mean inspect\?/);
  assert.match((await portico(['cert'], { cwd })).stderr, /needs to be told what/);
  assert.match(
    (await portico(['cert', '--help'], { cwd })).stdout,
    /portico cert inspect HOST:PORT/,
  );
});

test('a certificate with a key of an unknown kind is shown none the less', async (t) => {
  const { cwd } = await files(t);
  const der = Buffer.from(new X509Certificate(readFileSync(join(cwd, 'leaf.pem'))).raw);
  // id-ecPublicKey becomes an OID that is nobody's.
  der[der.indexOf(Buffer.from('06072a8648ce3d0201', 'hex')) + 8] = 0x7f;
  writeFileSync(join(cwd, 'odd.cer'), der);
  const ran = await portico(['cert', 'inspect', 'odd.cer', 'key.pem'], { cwd });
  assert.equal(ran.code, 0, ran.stderr);
  assert.match(ran.stdout, /key +of a kind that is not known here[\s\S]*does NOT FIT/);
});

test('names cannot move the cursor of a terminal', async (t) => {
  const { cwd } = await files(t, { name: 'Evil\x1b[2J\x9b1m\u202eCA\nissuer  trusted' });
  for (const args of [['chain.pem'], ['chain.pem', '--json']]) {
    const { stdout } = await portico(['cert', 'inspect', ...args], { cwd });
    assert.match(stdout, /Evil/);
    assert.doesNotMatch(stdout, /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/);
    assert.doesNotMatch(stdout, /^issuer {2}trusted/m);
  }
});

test('cert inspect shows what a server sends', async (t) => {
  const { cwd, key, cert } = await files(t, { hosts: ['localhost', '127.0.0.1'] });
  const server = createServer({ key, cert, ALPNProtocols: ['h2', 'http/1.1'] }, (socket) =>
    socket.on('error', () => {}),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const env = { SSL_CERT_FILE: join(cwd, 'ca.pem') };
  const ran = await portico(['cert', 'inspect', `127.0.0.1:${port}`], { cwd, env });
  assert.equal(ran.code, 0, ran.stderr);
  for (const line of [
    /trusted +yes/,
    /protocol +TLSv1\.3/,
    /cipher +TLS_AES_256_GCM_SHA384/,
    /ALPN +h2/,
    /OCSP +not stapled/,
    /would be content/,
  ])
    assert.match(ran.stdout, line);
  const other = await portico(['cert', 'inspect', `127.0.0.1:${port}`, 'shop.test'], { cwd, env });
  assert.match(other.stdout, /asked for shop\.test[\s\S]*- It is not for shop\.test\./);
  const url = await portico(['cert', 'inspect', `https://localhost:${port}/path`, '--json'], {
    cwd,
    env,
  });
  const json = JSON.parse(url.stdout);
  assert.equal(json.connection.alpn, 'h2');
  assert.deepEqual(json.objections, []);
});

test('a certificate that demands stapling is held to it', async (t) => {
  const keys = await makeKeyPair();
  const made = await makeSelfSigned({
    key: keys,
    hosts: ['localhost'],
    extensions: [mustStaple()],
    nowMs: Date.now(),
    lifetimeMs: dayMs,
  });
  const cwd = directoryOf(t, { 'own.pem': made.pem });
  const server = createServer({ key: keyToPem(keys.privateKey), cert: made.pem });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const ofServer = await portico(['cert', 'inspect', `localhost:${port}`], { cwd });
  assert.match(ofServer.stdout, /It demands a stapled OCSP response, and the server sends none/);
  assert.match(
    (await portico(['cert', 'inspect', 'own.pem'], { cwd })).stdout,
    /demands +a stapled OCSP response/,
  );
});
