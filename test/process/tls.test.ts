// TLS in the whole program, with the clients people use: tickets across edges, what the app hears, what a scanner finds.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { makePair, openssl } from '../helpers/certificates.ts';
import { needs } from '../helpers/need.ts';
import { type PorticoProcess, startPortico, suiteOwner } from '../helpers/portico.ts';
import { statusOf } from '../helpers/status.ts';
import { until } from '../helpers/until.ts';

const suite = suiteOwner();
const dir = mkdtempSync(join(tmpdir(), 'portico-tls-'));
const at = (name: string) => join(dir, name);
let portico: PorticoProcess;

before(async () => {
  const ca = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout'];
  openssl(['req', '-x509', ...ca, at('ca.key'), '-out', at('ca.pem'), '-subj', '/CN=Clients']);
  openssl(['req', '-new', ...ca, at('me.key'), '-out', at('me.csr'), '-subj', '/O=Us, Inc./CN=me']);
  const signer = ['-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-set_serial', '7'];
  openssl(['x509', '-req', '-in', at('me.csr'), ...signer, '-days', '2', '-out', at('me.pem')]);
  for (const key of ['ecdsa', 'rsa'] as const) {
    const { certPem, keyPem } = await makePair(['localhost', '127.0.0.1', 'a.test'], { key });
    writeFileSync(at(`${key}.pem`), certPem + keyPem);
  }
  writeFileSync(
    at('portico.config.mjs'),
    `export default ${JSON.stringify({
      app: join(import.meta.dirname, '../../../test/fixtures/tls-facts-app.mjs'),
      tls: { certificates: [{ cert: at('ecdsa.pem') }, { cert: at('rsa.pem') }] },
      caCerts: at('ca.pem'),
      certReqs: 'optional',
      edges: 2,
      workers: 1,
      hsts: '365d',
      accessLogfile: at('access.log'),
      accessLogformat:
        '%({tls-protocol}x)s %({tls-cipher}x)s %({tls-server-name}x)s %({tls-client-verify}x)s "%({tls-client-subject}x)s" %(H)s %(U)s',
    })}`,
  );
  portico = await startPortico(suite, [
    ...['--config', at('portico.config.mjs'), '--bind', 'https://127.0.0.1:0'],
  ]);
});
after(async () => {
  await suite.end();
  rmSync(dir, { recursive: true, force: true });
});

async function curl(...args: string[]): Promise<string> {
  const common = ['-sS', '--cacert', at('ecdsa.pem'), '--max-time', '10'];
  const { stdout } = await promisify(execFile)('curl', [...common, ...args]);
  return stdout;
}

/** Once it has a line about `path`. */
function accessLog(path: string): Promise<string> {
  // Lines wait a while for company; opening the file anew writes them.
  const flushed = async () => {
    const from = portico.log().length;
    portico.signal('SIGUSR1');
    await portico.logged(/signal: usr1/, { from });
    return readFileSync(at('access.log'), 'utf8');
  };
  return until(`a line about ${path}`, flushed, (text) => text.includes(` ${path}\n`));
}

/** What the edges have counted, together. */
async function handshakes(): Promise<{ full: number; resumed: number }> {
  const { edges } = await statusOf(portico.runtimeDir);
  const sum = { full: 0, resumed: 0 };
  for (const { status } of edges) {
    sum.full += status!.tls!.full;
    sum.resumed += status!.tls!.resumed;
  }
  return sum;
}

test('the app hears of the connection and of the certificate', needs('curl'), async () => {
  const url = `${portico.origin}/`;
  const bare = JSON.parse(
    await curl('--http1.1', '-H', 'X-Client-Cert-Subject: CN=root', `${url}bare`),
  );
  assert.deepEqual(bare, {
    encrypted: true,
    protocol: 'TLSv1.3',
    cipher: 'TLS_AES_128_GCM_SHA256',
    servername: false,
    authorized: false,
    subject: {},
    fields: { 'x-client-cert-verify': 'NONE', 'x-forwarded-proto': 'https' },
    version: '1.1',
  });
  const fingerprint = openssl(['x509', '-in', at('me.pem'), '-noout', '-fingerprint', '-sha256']);
  const { port } = new URL(url);
  const own = ['--cert', at('me.pem'), '--key', at('me.key'), '--tls-max', '1.2', '-k'];
  const named = ['--resolve', `a.test:${port}:127.0.0.1`, `https://a.test:${port}/me`];
  const known = JSON.parse(
    await curl(...own, '--ciphers', 'ECDHE-RSA-AES256-GCM-SHA384', ...named),
  );
  assert.deepEqual(known, {
    encrypted: true,
    protocol: 'TLSv1.2',
    cipher: 'ECDHE-RSA-AES256-GCM-SHA384',
    servername: 'a.test',
    authorized: true,
    subject: { CN: 'me', O: 'Us, Inc.' },
    fields: {
      'x-client-cert-verify': 'SUCCESS',
      'x-client-cert-subject': 'CN=me,O=Us\\, Inc.',
      'x-client-cert-fingerprint': fingerprint.split('=')[1]!.trim(),
      'x-forwarded-proto': 'https',
    },
    version: known.version,
  });
  assert.match(known.version, /^(1\.1|2\.0)$/);
  // Two edges write to it.
  await accessLog('/me');
  const lines = (await accessLog('/bare')).trim().split('\n');
  assert.deepEqual(lines.sort(), [
    'TLSv1.2 ECDHE-RSA-AES256-GCM-SHA384 a.test SUCCESS "CN=me,O=Us\\x5C, Inc." HTTP/2.0 /me',
    'TLSv1.3 TLS_AES_128_GCM_SHA256 - NONE "-" HTTP/1.1 /bare',
  ]);
});

test('a session is resumed by whichever edge gets it', needs('openssl'), async () => {
  const { port } = new URL(portico.origin);
  for (const version of ['-tls1_2', '-tls1_3']) {
    const before = await handshakes();
    const file = at('session');
    const ask = 'GET / HTTP/1.0\r\n\r\n';
    const client = (args: string[]) =>
      new Promise<string>((resolve, reject) => {
        const child = spawn('openssl', [
          's_client',
          '-connect',
          `127.0.0.1:${port}`,
          version,
          '-ign_eof',
          ...args,
        ]);
        let printed = '';
        child.stdout.on('data', (text) => {
          printed += text;
        });
        child.once('error', reject);
        child.once('close', () => resolve(printed));
        child.stdin.end(ask);
      });
    assert.match(await client(['-sess_out', file]), /New, TLSv1/);
    // Which edge accepts is the kernel's choice: of so many connections each gets some.
    const reused = await Promise.all(Array.from({ length: 12 }, () => client(['-sess_in', file])));
    for (const printed of reused) assert.match(printed, /Reused, TLSv1/, version);
    const { full, resumed } = await handshakes();
    assert.deepEqual([full - before.full, resumed - before.resumed], [1, 12], version);
  }
});

test('sslscan finds nothing to complain of', needs('sslscan'), async () => {
  const { port } = new URL(portico.origin);
  const args = ['--no-colour', '--xml=-', '--no-failed', `127.0.0.1:${port}`];
  const { stdout } = await promisify(execFile)('sslscan', args, { timeout: 60_000 });
  const protocols = [...stdout.matchAll(/<protocol type="(\w+)" version="([\d.]+)" enabled="1"/g)];
  assert.deepEqual(
    protocols.map(([, type, version]) => `${type} ${version}`),
    ['tls 1.2', 'tls 1.3'],
  );
  // What renegotiates by itself is a way to make the server work (and HTTP/2 forbids it).
  assert.match(stdout, /<renegotiation supported="0"/);
  assert.doesNotMatch(stdout, /<compression supported="1"|<fallback supported="0"/);
  assert.doesNotMatch(stdout, /<heartbleed [^>]*vulnerable="1"/);
  const ciphers = [
    ...stdout.matchAll(/<cipher status="\w+" sslversion="[^"]+" bits="(\d+)" cipher="([^"]+)"/g),
  ];
  assert.ok(ciphers.length >= 8, stdout);
  for (const [, bits, cipher] of ciphers) {
    assert.ok(Number(bits) >= 128, cipher);
    assert.match(cipher!, /^(TLS_(AES|CHACHA20)|ECDHE-(ECDSA|RSA)-(AES\d+-GCM|CHACHA20))/);
  }
  const groups = [...stdout.matchAll(/<group [^>]*bits="(\d+)"/g)];
  for (const [text, bits] of groups) assert.ok(Number(bits) >= 128, text);
});

test('Chromium loads a page over HTTP/2', needs('chromium'), async () => {
  const args = ['--headless=new', '--no-sandbox', '--disable-gpu', '--ignore-certificate-errors'];
  const profile = `--user-data-dir=${at('chromium')}`;
  const { stdout } = await promisify(execFile)(
    'chromium',
    [...args, profile, '--disable-dev-shm-usage', '--dump-dom', `${portico.origin}/chromium`],
    { timeout: 60_000, env: { ...process.env, HOME: dir } },
  );
  const facts = JSON.parse(stdout.match(/\{.*\}/)?.[0] ?? '{}');
  assert.deepEqual([facts.protocol, facts.encrypted], ['TLSv1.3', true]);
  assert.match(await accessLog('/chromium'), / HTTP\/2\.0 \/chromium\n/);
});
