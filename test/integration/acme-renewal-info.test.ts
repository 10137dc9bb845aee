// Renewal information (RFC 9773): the CA says when, and nobody renews for ever.

import assert from 'node:assert/strict';
import type { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { certificateId } from '../../src/edge/acme/renewal-info.ts';
import { startAcme, startResponders } from '../helpers/acme.ts';
import { json, startFront } from '../helpers/ca-front.ts';
import { openssl } from '../helpers/certificates.ts';
import { needs } from '../helpers/need.ts';
import { startPebble } from '../helpers/pebble.ts';
import type { Owner } from '../helpers/portico.ts';

const pebbleIsThere = needs('pebble', 'pebble-challtestsrv');
const hourMs = 3_600_000;

/** Pebble, and a front that has `window` for every certificate. */
async function startWithWindows(t: Owner, window: () => readonly [number, number]) {
  const ports = await startResponders(t);
  // Thirty days.
  const pebble = await startPebble(t, { ...ports, validitySeconds: 30 * 86_400 });
  const front = await startFront(t, pebble, async ({ path }, forward) => {
    if (path === '/dir') {
      const told = await forward();
      const directory = { ...JSON.parse(told.body), renewalInfo: `${front.origin}/renewal/` };
      return { ...told, body: JSON.stringify(directory) };
    }
    if (!path.startsWith('/renewal/')) return null;
    const [start, end] = window().map((ms) => new Date(ms).toISOString());
    const told = { suggestedWindow: { start, end }, explanationURL: 'https://ca.example/why' };
    return json(200, told, { 'Retry-After': '21600' });
  });
  const running = await startAcme(t, front);
  ports.answers = running.acme.challenges;
  return { front, running };
}

const looks = (asked: readonly { path: string }[]) =>
  asked
    .filter(({ path }) => path.startsWith('/renewal/'))
    .map(({ path }) => path.split('/').at(-1));

test(
  'a window that comes early is kept to, and the CA told what is replaced',
  pebbleIsThere,
  async (t) => {
    let window: readonly [number, number] = [
      Date.now() + 10 * 24 * hourMs,
      Date.now() + 11 * 24 * hourMs,
    ];
    const { front, running } = await startWithWindows(t, () => window);
    const first = await running.issued('one.example');
    const id = idByOpenssl(first);
    await running.until('look at the window', () => looks(front.asked).includes(id));
    assert.equal(certificateId(first.toString()), id);
    const inWindow = (ms: number) => ms >= window[0] && ms <= window[1];
    await running.until('time in the window', () => inWindow(running.acme.status()[0]!.nextTryMs));
    // The CA has to revoke it: the window moves to where it has begun already.
    window = [Date.now() - 2 * hourMs, Date.now() - hourMs];
    running.jump(7 * hourMs);
    const second = await running.issued('one.example', first);
    const orders = front.asked.filter(({ payload }) => payload?.identifiers !== undefined);
    assert.deepEqual(
      orders.map(({ payload }) => payload?.replaces),
      [undefined, id],
    );
    assert.ok(
      running.logged.some((line) => /renewed earlier.*https:\/\/ca\.example\/why/.test(line)),
      running.logged.join('\n'),
    );
    // The new one's window has passed as well: a CA gone wrong is asked once an hour at most.
    await running.until('look at the new window', () =>
      looks(front.asked).includes(idByOpenssl(second)),
    );
    await running.until('a later time', () => running.acme.status()[0]!.nextTryMs > running.now());
    assert.ok(running.acme.status()[0]!.nextTryMs - running.now() > 0.9 * hourMs);
  },
);

test('a window of nonsense counts as none', pebbleIsThere, async (t) => {
  const { front, running } = await startWithWindows(t, () => [hourMs, 0]);
  const first = await running.issued('one.example');
  await running.until('look at the window', () => looks(front.asked).length > 0);
  const third = Date.parse(first.validTo) - 10 * 24 * hourMs;
  assert.ok(Math.abs(running.acme.status()[0]!.nextTryMs - third) < 24 * hourMs);
});

/** By what openssl prints of a certificate. */
function idByOpenssl(certificate: X509Certificate): string {
  const text = openssl(
    ['x509', '-noout', '-ext', 'authorityKeyIdentifier'],
    certificate.toString(),
  );
  const key = Buffer.from(/([0-9A-F]{2}:)+[0-9A-F]{2}/.exec(text)![0].replaceAll(':', ''), 'hex');
  const { serialNumber } = certificate;
  const even = serialNumber.length % 2 === 0 ? serialNumber : `0${serialNumber}`;
  const serial = Buffer.from(/^[89A-F]/.test(even) ? `00${even}` : even, 'hex');
  return `${key.toString('base64url')}.${serial.toString('base64url')}`;
}
