// Certificates from Pebble: both kinds of challenge, renewal, accounts, failures that it can inject.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { keyToPem, makeKeyPair } from '../../src/certificates/keys.ts';
import {
  startAcme,
  startResponders,
  startWithPebble,
  temporaryDirectory,
} from '../helpers/acme.ts';
import { needs } from '../helpers/need.ts';
import { startPebble } from '../helpers/pebble.ts';

const pebbleIsThere = needs('pebble', 'pebble-challtestsrv');
const minuteMs = 60_000;

// Several at once: they wait for the CA most of the time.
describe('certificates from Pebble', { concurrency: 4 }, () => {
  for (const type of ['http-01', 'tls-alpn-01'] as const)
    test(`a certificate is had by ${type}`, pebbleIsThere, async (t) => {
      const { ports, running } = await startWithPebble(t, { acmeChallenges: [type] });
      const standIn = running.served('one.example');
      assert.equal(standIn?.checkHost('one.example'), 'one.example', 'a stand-in serves at once');
      const certificate = await running.issued('one.example');
      assert.equal(certificate.subjectAltName, 'DNS:one.example');
      assert.deepEqual(
        ports.answered.map((line) => line.split(' ')[0]),
        ports.answered.map(() => type),
      );
      assert.ok(ports.answered.length > 0);
      const [status] = running.acme.status();
      assert.equal(status?.notAfterMs, Date.parse(certificate.validTo));
      assert.equal(status?.lastError, null);
      await running.acme.close();
      for (const name of readdirSync(running.storage, { recursive: true, encoding: 'utf8' })) {
        const { mode } = statSync(join(running.storage, name));
        assert.equal(mode & 0o077, 0, `${name} is for its owner alone`);
        assert.doesNotMatch(name, /challenges\/[^/]+\/./, 'answers are taken away');
        assert.doesNotMatch(name, /lock$|tmp$/);
      }
    });

  test(
    'when one kind of challenge fails the next try takes the other',
    pebbleIsThere,
    async (t) => {
      const { running } = await startWithPebble(t, {}, { httpPort: 1 });
      const [line] = await running.until('failure', () => {
        const found = running.logged.filter((text) => text.startsWith('error no certificate'));
        return found.length > 0 && found;
      });
      assert.match(line!, /The CA cannot connect to this machine \(http-01: .*Let port 80 through/);
      assert.match(line!, /"code":"ACME_VALIDATION","nextTry":"/);
      const [status] = running.acme.status();
      assert.equal(status?.failures, 1);
      assert.equal(status?.notAfterMs, null);
      const waitMs = status!.nextTryMs - running.now();
      assert.ok(waitMs > 40_000 && waitMs < 75_000, `a minute or so, not ${waitMs} ms`);
      running.jump(2 * minuteMs);
      await running.issued('one.example');
      assert.deepEqual(running.acme.status()[0]?.failures, 0);
    },
  );

  test('a wrong answer is explained as somebody else’s', pebbleIsThere, async (t) => {
    const ports = await startResponders(t);
    const pebble = await startPebble(t, ports);
    // Nobody answers but with 404.
    const running = await startAcme(t, pebble, { acmeChallenges: ['http-01'] });
    await running.until('failure', () => running.acme.status()[0]?.lastError);
    assert.match(running.acme.status()[0]!.lastError!, /Something else answered the CA/);
    // Another instance on the same directory knows of it, and waits as well.
    const other = await startAcme(t, pebble, { ...running.settings });
    await other.until('same state', () => other.acme.status()[0]?.failures === 1);
    assert.equal(other.acme.status()[0]?.nextTryMs, running.acme.status()[0]?.nextTryMs);
    assert.deepEqual(
      other.logged.filter((line) => line.startsWith('error')),
      [],
    );
  });

  test('a certificate is renewed with a third of its life left', pebbleIsThere, async (t) => {
    const { running } = await startWithPebble(t, {}, { validitySeconds: 3600 });
    const first = await running.issued('one.example');
    const due = running.acme.status()[0]!.nextTryMs - running.now();
    assert.ok(due > 35 * minuteMs && due < 45 * minuteMs, `${due} ms from now`);
    running.jump(45 * minuteMs);
    const second = await running.issued('one.example', first);
    assert.notEqual(second.serialNumber, first.serialNumber);
    assert.notDeepEqual(second.publicKey.export({ type: 'spki', format: 'der' }), [
      first.publicKey.export({ type: 'spki', format: 'der' }),
    ]);
    // By this clock the new one is in its last third as well; it is not replaced at once for that.
    const next = running.acme.status()[0]!.nextTryMs - running.now();
    assert.ok(next > 15 * minuteMs, `${next} ms from now`);
  });

  test(
    'the old certificate serves while the CA is down, and so it does after a restart',
    pebbleIsThere,
    async (t) => {
      const { pebble, running } = await startWithPebble(t, {}, { validitySeconds: 3600 });
      const first = await running.issued('one.example');
      await pebble.stop();
      running.jump(45 * minuteMs);
      await running.until('failure', () => running.acme.status()[0]!.failures > 0);
      assert.equal(running.served('one.example')?.fingerprint256, first.fingerprint256);
      const line = running.logged.find((text) => text.startsWith('warning no certificate'));
      assert.match(line!, /cannot be asked: nothing listens there.*ACME_UNREACHABLE.*servedUntil/);
      const restarted = await startAcme(t, pebble, running.settings);
      assert.equal(restarted.served('one.example')?.fingerprint256, first.fingerprint256);
    },
  );

  test(
    'a CA that wants external accounts named gets them, and says so where it does not',
    pebbleIsThere,
    async (t) => {
      const ports = await startResponders(t);
      const acmeEabHmacKey = Buffer.from('a key of 32 bytes for the tests.').toString('base64url');
      const pebble = await startPebble(t, { ...ports, eab: { 'kid-1': acmeEabHmacKey } });
      const without = await startAcme(t, pebble);
      await without.until('refusal', () => without.acme.status()[0]?.lastError);
      assert.match(without.acme.status()[0]!.lastError!, /Set acmeEabKid and acmeEabHmacKey/);
      const bound = await startAcme(t, pebble, { acmeEabKid: 'kid-1', acmeEabHmacKey });
      ports.answers = bound.acme.challenges;
      await bound.issued('one.example');
      const wrong = await startAcme(t, pebble, { acmeEabKid: 'kid-2', acmeEabHmacKey });
      await wrong.until('refusal', () => wrong.acme.status()[0]?.lastError);
    },
  );

  test('refused nonces are tried again', pebbleIsThere, async (t) => {
    const { pebble, running } = await startWithPebble(t, {}, { nonceReject: 40 });
    await running.issued('one.example');
    assert.match(pebble.log(), /Configured to reject 40% of good nonces/);
  });

  test('an account that the CA has forgotten is opened again', pebbleIsThere, async (t) => {
    const { ports, pebble, running } = await startWithPebble(
      t,
      { acmeEmail: 'a@one.example' },
      { validitySeconds: 3600 },
    );
    const first = await running.issued('one.example');
    await pebble.stop();
    const again = await startPebble(t, { ...ports, port: pebble.port, tls: pebble.tls });
    running.jump(45 * minuteMs);
    await running.issued('one.example', first);
    assert.equal(again.port, pebble.port);
    const opened = running.logged.filter((line) => /opened an account/.test(line));
    assert.equal(opened.length, 2, opened.join('\n'));
  });

  test(
    'another e-mail address is told to the CA, by the same account',
    pebbleIsThere,
    async (t) => {
      const { running } = await startWithPebble(t, { acmeEmail: 'a@one.example' });
      await running.issued('one.example');
      await running.acme.configure({
        ...running.settings,
        acme: ['two.example'],
        acmeEmail: 'b@one.example',
      });
      await running.issued('two.example');
      assert.equal(running.served('one.example'), null, 'a name that was removed is not served');
      const account = readdirSync(running.storage).find((name) => name.startsWith('127.0.0.1'));
      const kept = JSON.parse(
        readFileSync(join(running.storage, account!, 'account.json'), 'utf8'),
      );
      assert.equal(kept.email, 'b@one.example');
      const opened = running.logged.filter((line) => /opened an account/.test(line));
      assert.equal(opened.length, 1, 'the account is the same');
    },
  );

  test(
    'a kept certificate that is broken, or has another key, is had anew',
    pebbleIsThere,
    async (t) => {
      const { ports, pebble, running } = await startWithPebble(t);
      const first = await running.issued('one.example');
      await running.acme.close();
      const account = readdirSync(running.storage).find((name) => name.startsWith('127.0.0.1'));
      const kept = join(running.storage, account!, 'certificates', 'one.example.pem');
      const text = readFileSync(kept, 'utf8');
      const { privateKey } = await makeKeyPair();
      let before = first;
      for (const broken of [
        text.slice(0, 600),
        keyToPem(privateKey) + text.slice(text.indexOf('-----BEGIN CERTIFICATE')),
        '',
      ]) {
        writeFileSync(kept, broken);
        const next = await startAcme(t, pebble, running.settings);
        ports.answers = next.acme.challenges;
        const certificate = await next.issued('one.example', before);
        assert.notEqual(certificate.fingerprint256, before.fingerprint256);
        const warnings = next.logged.filter((line) => line.startsWith('warning'));
        assert.ok(warnings.length <= 1, warnings.join());
        await next.acme.close();
        before = certificate;
      }
    },
  );

  test('a CA whose https nobody vouches for is not talked to', pebbleIsThere, async (t) => {
    const pebble = await startPebble(t);
    const running = await startAcme(t, pebble, { extraCa: '' });
    await running.until('failure', () => running.acme.status()[0]?.lastError);
    assert.match(running.acme.status()[0]!.lastError!, /no trusted CA has signed.*acmeCaFile/);
  });

  test(
    'a directory that cannot be used is named, and used once it can be',
    pebbleIsThere,
    async (t) => {
      const ports = await startResponders(t);
      const pebble = await startPebble(t, ports);
      const acmeStorage = join(temporaryDirectory(t), 'acme');
      writeFileSync(acmeStorage, 'a file');
      const running = await startAcme(t, pebble, { acmeStorage });
      ports.answers = running.acme.challenges;
      assert.equal(running.served('one.example')?.checkHost('one.example'), 'one.example');
      const line = running.logged.find((text) => text.startsWith('error ACME'));
      assert.match(line!, /the directory cannot be used: .*acme.*ACME_STORAGE/);
      rmSync(acmeStorage);
      await running.acme.configure({ ...running.settings });
      await running.issued('one.example');
    },
  );
});
