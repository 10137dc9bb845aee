// What TLS changes in the answers: client certificates, redirects to https, Strict-Transport-Security.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import type { Config } from '../../src/config/config.ts';
import { staticMount } from '../../src/config/static-mounts.ts';
import { type MadePair, makePair, openssl } from '../helpers/certificates.ts';
import { needs } from '../helpers/need.ts';
import { runEdge } from '../helpers/running-edge.ts';

let server: MadePair;
let ca: MadePair;
let dir: string;
/** Files for curl: certificate and key. */
const good: string[] = [];
const strange: string[] = [];
const late: string[] = [];
/** Of the right CA, and for servers only. */
const serverOfCa: string[] = [];

before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'portico-policy-'));
  writeFileSync(join(dir, 'index.html'), 'hello');
  server = await makePair(['localhost', '127.0.0.1']);
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout'];
  const caFiles = [...key, join(dir, '.ca.key'), '-out', join(dir, '.ca.pem')];
  openssl(['req', '-x509', ...caFiles, '-subj', '/CN=Test CA']);
  const read = (name: string) => readFileSync(join(dir, name), 'utf8');
  ca = { certPem: read('.ca.pem'), keyPem: read('.ca.key') };
  const own = await makePair(['good'], { issuer: ca });
  for (const [into, name, days] of [
    [good, 'good', '90'],
    [late, 'late', '-1'],
    [strange, 'strange', ''],
  ] as const) {
    const at = (ending: string) => join(dir, `.${name}.${ending}`);
    into.push('--cert', at('pem'), '--key', at('key'));
    const request = [...key, at('key')];
    const subject = ['-subj', '/O=Us, Inc./CN=me'];
    // The strange one signs itself.
    if (days === '') openssl(['req', '-x509', ...request, '-out', at('pem'), ...subject]);
    else {
      openssl(['req', '-new', ...request, '-out', at('csr'), ...subject]);
      const signer = ['-CA', join(dir, '.ca.pem'), '-CAkey', join(dir, '.ca.key')];
      openssl([
        'x509',
        '-req',
        '-in',
        at('csr'),
        ...signer,
        '-set_serial',
        '7',
        '-days',
        days,
        '-out',
        at('pem'),
      ]);
    }
  }
  serverOfCa.push('--cert', join(dir, '.server.pem'), '--key', join(dir, '.server.key'));
  writeFileSync(join(dir, '.server.pem'), own.certPem);
  writeFileSync(join(dir, '.server.key'), own.keyPem);
});
after(() => rmSync(dir, { recursive: true, force: true }));

function start(t: TestContext, changes: Partial<Config>) {
  const config = { static: [staticMount({ prefix: '/', dir })], caCerts: '/ca.pem', ...changes };
  const clientCas = [{ path: '/ca.pem', pem: ca.certPem }];
  return runEdge(t, config, [server], { pairs: [], clientCas });
}

async function curl(...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)('curl', ['-ksS', '--max-time', '10', ...args]);
  return stdout;
}

test('a client certificate is required, optional or not asked for', needs('curl'), async (t) => {
  const expected = {
    required: {
      none: '400 CLIENT_CERTIFICATE_MISSING',
      good: 'hello',
      bad: '400 CLIENT_CERTIFICATE_REFUSED',
    },
    optional: { none: 'hello', good: 'hello', bad: '400 CLIENT_CERTIFICATE_REFUSED' },
    none: { none: 'hello', good: 'hello', bad: 'hello' },
  };
  for (const certReqs of ['required', 'optional', 'none'] as const) {
    const edge = await start(t, { certReqs });
    const url = `https://127.0.0.1:${edge.tlsPort}/`;
    for (const version of [['--tls-max', '1.2'], ['--tlsv1.3'], ['--http1.1']]) {
      const told = async (...args: string[]) =>
        (await curl(...version, ...args, url)).split(':')[0];
      const want = expected[certReqs];
      assert.equal(await told(), want.none, certReqs);
      assert.equal(await told(...good), want.good, certReqs);
      for (const bad of [strange, late, serverOfCa])
        assert.equal(await told(...bad), want.bad, certReqs);
    }
    // The plain bind asks nobody.
    assert.equal(await curl(`http://127.0.0.1:${edge.port}/`), 'hello');
  }
});

test('clients without TLS are redirected to the same URL with the right port', async (t) => {
  const edge = await start(t, { redirectHttps: '308' });
  const location = async (target: string, host = 'Example.org:8000', method = 'GET') => {
    const client = edge.connect();
    client.send(`${method} ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    const response = await client.response();
    return `${response.status} ${response.fields.get('location')}`;
  };
  const to = (host: string) => `308 https://${host}:${edge.tlsPort}`;
  assert.equal(await location('/a/b?c=d'), `${to('Example.org')}/a/b?c=d`);
  assert.equal(await location('/', '[::1]:80', 'POST'), `${to('[::1]')}/`);
  assert.equal(await location('//evil.example/'), `${to('Example.org')}//evil.example/`);
  assert.equal(await location('*', 'a.example', 'OPTIONS'), `${to('a.example')}/`);
  assert.match(await location('/.well-known/acme-challenge/x'), /^404 /);
  assert.match(await location('/-/healthz'), /^200 /);
  edge.configure({ redirectHttps: '301', redirectHttpsPort: 443 });
  assert.equal(await location('/x', 'a.example:80'), '301 https://a.example/x');
  const old = edge.connect().send('GET / HTTP/1.0\r\n\r\n');
  assert.equal((await old.response()).status, 400);
  edge.configure({ redirectHttps: '301', forwardedAllowIps: ['127.0.0.1'] });
  const proxied = edge.connect();
  proxied.send('GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\n\r\n');
  assert.equal((await proxied.response()).status, 200);
});

test('answers over https carry HSTS, once, and others do not', needs('curl'), async (t) => {
  const hsts = 'max-age=60; includeSubDomains';
  const own = staticMount({
    prefix: '/own',
    dir,
    headers: ['Strict-Transport-Security', 'max-age=1'],
  });
  const edge = await start(t, { hsts, static: [staticMount({ prefix: '/', dir }), own] });
  const told = async (...args: string[]) =>
    [
      ...(await curl('-D', '-', '-o', '/dev/null', ...args)).matchAll(
        /^strict-transport-security: (.*)\r$/gim,
      ),
    ].map((match) => match[1]);
  const secure = `https://127.0.0.1:${edge.tlsPort}`;
  for (const http of ['--http1.1', '--http2']) {
    // From the disk, then from memory.
    for (let round = 0; round < 3; round++)
      assert.deepEqual(await told(http, `${secure}/`), [hsts]);
    assert.deepEqual(await told(http, `${secure}/missing`), [hsts]);
    assert.deepEqual(await told(http, `${secure}/own/index.html`), ['max-age=1']);
    assert.deepEqual(await told(http, '-X', 'TRACE', `${secure}/`), [hsts]);
  }
  assert.deepEqual(await told(`http://127.0.0.1:${edge.port}/`), []);
  // What came without TLS to the port of TLS was not secure.
  assert.deepEqual(await told(`http://127.0.0.1:${edge.tlsPort}/`), []);
});
