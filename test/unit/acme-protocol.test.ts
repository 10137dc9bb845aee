// The parts of ACME that need no CA: signatures, Retry-After, which challenges the sockets allow, the settings.

import assert from 'node:assert/strict';
import { createHmac, createPublicKey, generateKeyPairSync, verify } from 'node:crypto';
import { test } from 'node:test';
import { acmeFaults } from '../../src/config/acme-checks.ts';
import type { BindAddress } from '../../src/config/config.ts';
import { Unfit } from '../../src/config/kinds.ts';
import { settingsByKey } from '../../src/config/settings.ts';
import { jwkOf, signBinding, signJws, thumbprint } from '../../src/edge/acme/jws.ts';
import { retryAfterMs } from '../../src/edge/acme/problem.ts';
import { possibleChallenges } from '../../src/edge/acme/settings.ts';
import { testConfig } from '../helpers/config.ts';

const decoded = (text: string) => JSON.parse(Buffer.from(text, 'base64url').toString());

test('requests are signed with ES256, by the key at first and by the account then', () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const at = { key: privateKey, nonce: 'n', url: 'https://ca.example/x' };
  const first = signJws({ a: 1 }, { ...at, kid: null });
  const head = decoded(first.protected);
  assert.deepEqual(Object.keys(head), ['alg', 'jwk', 'nonce', 'url']);
  assert.deepEqual(decoded(first.payload), { a: 1 });
  const signed = Buffer.from(`${first.protected}.${first.payload}`);
  const key = createPublicKey({ key: head.jwk, format: 'jwk' });
  const signature = Buffer.from(first.signature, 'base64url');
  assert.ok(verify('sha256', signed, { key, dsaEncoding: 'ieee-p1363' }, signature));
  const then = signJws(undefined, { ...at, kid: 'https://ca.example/1' });
  assert.deepEqual(Object.keys(decoded(then.protected)), ['alg', 'kid', 'nonce', 'url']);
  assert.equal(then.payload, '', 'POST-as-GET');
});

test('the thumbprint is that of RFC 7638, for the key of RFC 7515 appendix A.3', () => {
  const jwk = {
    kty: 'EC',
    crv: 'P-256',
    x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
    y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
  };
  const key = createPublicKey({ key: jwk, format: 'jwk' });
  // Worked out with: printf '{"crv":…}' | openssl dgst -sha256 -binary | basenc --base64url
  assert.equal(
    thumbprint({ crv: jwk.crv, kty: jwk.kty, x: jwk.x, y: jwk.y }),
    'oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U',
  );
  assert.equal(key.asymmetricKeyType, 'ec');
});

test('an external account is bound by HMAC over the account key', () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const hmacKey = Buffer.from('secret secret secret secret').toString('base64url');
  const url = 'https://ca.example/new-account';
  const bound = signBinding(jwkOf(privateKey), { kid: 'kid-1', hmacKey, url });
  assert.deepEqual(decoded(bound.protected), { alg: 'HS256', kid: 'kid-1', url });
  assert.deepEqual(decoded(bound.payload), jwkOf(privateKey));
  const mac = createHmac('sha256', 'secret secret secret secret');
  const expected = mac.update(`${bound.protected}.${bound.payload}`).digest('base64url');
  assert.equal(bound.signature, expected);
});

test('Retry-After is seconds or a date, and nothing else', () => {
  const now = Date.parse('2026-11-22T12:00:00Z');
  assert.equal(retryAfterMs('120', now), 120_000);
  assert.equal(retryAfterMs('Sun, 22 Nov 2026 12:01:00 GMT', now), 60_000);
  assert.equal(retryAfterMs('Sun, 22 Nov 2020 12:01:00 GMT', now), 0);
  for (const odd of [undefined, '', '-1', 'soon', '1e9', '9'.repeat(40)])
    assert.equal(retryAfterMs(odd, now), 0, odd);
});

const plain = (port: number): BindAddress => ({ kind: 'tcp', host: '::', port, tls: false });
const tls = (port: number): BindAddress => ({ kind: 'tcp', host: '::', port, tls: true });

test('the sockets say which challenges are possible, and which is the likeliest', () => {
  const both = ['http-01', 'tls-alpn-01'] as const;
  const possible = (
    bind: readonly BindAddress[],
    acmeChallenges: readonly (typeof both)[number][] = both,
  ) => possibleChallenges({ bind, acmeChallenges });
  assert.deepEqual(possible([plain(80), tls(443)]), ['http-01', 'tls-alpn-01']);
  assert.deepEqual(possible([plain(8080), tls(8443)]), ['http-01', 'tls-alpn-01']);
  assert.deepEqual(possible([plain(8080), tls(443)]), ['tls-alpn-01', 'http-01']);
  assert.deepEqual(possible([tls(443)]), ['tls-alpn-01']);
  assert.deepEqual(possible([tls(443)], ['http-01']), []);
});

test('host names are put in one spelling, and what no certificate can be had for is refused', () => {
  const { kind } = settingsByKey.get('acme')!;
  assert.deepEqual(kind.read(['Example.COM.,b.example', 'example.com']), [
    'example.com',
    'b.example',
  ]);
  assert.deepEqual(kind.read('bücher.example'), ['xn--bcher-kva.example']);
  for (const [odd, hint] of [
    ['*.example.com', /wildcard/],
    ['192.0.2.1', /not an address/],
    ['[2001:db8::1]', /not an address/],
    ['https://example.com/', /did you mean "example.com"/],
    ['example.com:443', /did you mean "example.com"/],
    ['../../etc/passwd', /^/],
    ['a b', /^/],
    ['-a.example', /^/],
    ['a..b', /^/],
    ['1.2.3', /^/],
    ['0x7f.1', /^/],
    [`${'a'.repeat(64)}.example`, /^/],
  ] as const) {
    const read = kind.read(odd);
    assert.ok(read instanceof Unfit, odd);
    assert.match(read.parts[0]!.hint, hint);
  }
});

test('settings that do not fit together are named', () => {
  const faults = (changes: object) =>
    acmeFaults(testConfig({ bind: [plain(80), tls(443)], ...changes }), () => null).map(
      ({ key, why }) => `${key}: ${why}`,
    );
  assert.deepEqual(faults({ acme: ['a.example'] }), []);
  assert.match(faults({ acme: ['a.example'], bind: [plain(80)] })[0]!, /^acme: no bind is https/);
  assert.match(
    faults({ acme: ['a.example'], bind: [tls(443)], acmeChallenges: ['http-01'] })[0]!,
    /^acmeChallenges: http-01 needs a bind without TLS/,
  );
  assert.match(faults({ acmeEabKid: '1' })[0]!, /^acmeEabKid: .*go together/);
  assert.match(
    faults({ acmeStaging: true, acmeDirectory: 'https://ca.example/' })[0]!,
    /^acmeStaging/,
  );
});
