// A CA that is down, slow, wrong or hostile: each failure is bounded, has its code, and is told in plain words.

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { startAcme, startWithPebble } from '../helpers/acme.ts';
import {
  type Asked,
  type Front,
  json,
  problem,
  startFront,
  type Told,
} from '../helpers/ca-front.ts';
import { needs } from '../helpers/need.ts';

const pebbleIsThere = needs('pebble', 'pebble-challtestsrv');

/** What a CA answers that goes along until `path` is asked for. */
function upTo(front: Front, path: string, told: Told | 'silence') {
  const { origin } = front;
  const order = {
    status: 'pending',
    authorizations: [`${origin}/authorization`],
    finalize: `${origin}/finalize`,
  };
  const answers: Record<string, Told> = {
    '/dir': json(200, {
      newNonce: `${origin}/nonce`,
      newAccount: `${origin}/account`,
      newOrder: `${origin}/order`,
    }),
    '/nonce': json(200, ''),
    '/account': json(201, { status: 'valid' }, { Location: `${origin}/account/1` }),
    '/order': json(201, order, { Location: `${origin}/order/1` }),
    '/order/1': json(200, { ...order, status: 'ready' }),
    '/authorization': json(200, {
      status: 'pending',
      identifier: { type: 'dns', value: 'one.example' },
      challenges: [{ type: 'http-01', url: `${origin}/challenge`, token: 'a'.repeat(43) }],
    }),
  };
  return ({ path: asked }: Asked) =>
    asked === path ? told : (answers[asked] ?? problem(404, 'malformed', 'nothing here'));
}

const cases: readonly {
  readonly name: string;
  readonly path: string;
  readonly told: (front: Front) => Told | 'silence';
  readonly code: string;
  readonly says: RegExp;
}[] = [
  {
    name: 'a directory that is a web page',
    path: '/dir',
    told: () => json(200, '<!doctype html><title>Welcome</title>'),
    code: 'ACME_NONSENSE',
    says: /no newNonce: is it an ACME directory\?/,
  },
  {
    name: 'a directory that has no end',
    path: '/dir',
    told: () => json(200, 'x'.repeat(1_000_000)),
    code: 'ACME_NONSENSE',
    says: /more than 262144 bytes/,
  },
  {
    name: 'a redirect',
    path: '/dir',
    told: () => json(302, '', { Location: 'https://127.0.0.1:1/' }),
    code: 'ACME_NONSENSE',
    says: /redirects \(302\), which is not followed/,
  },
  {
    name: 'silence',
    path: '/dir',
    told: () => 'silence',
    code: 'ACME_UNREACHABLE',
    says: /did not answer within 0.3 s/,
  },
  {
    name: 'a fault of a proxy in front of the CA',
    path: '/order',
    told: () => ({ status: 503, headers: {}, body: '<h1>Service Unavailable</h1>' }),
    code: 'ACME_UNREACHABLE',
    says: /status 503/,
  },
  {
    name: 'addresses without https',
    path: '/dir',
    told: () =>
      json(200, {
        newNonce: 'http://127.0.0.1:1/nonce',
        newAccount: 'http://127.0.0.1:1/account',
        newOrder: 'http://127.0.0.1:1/order',
      }),
    code: 'ACME_NONSENSE',
    says: /is not https/,
  },
  {
    name: 'no nonces',
    path: '/nonce',
    told: () => ({ status: 200, headers: { 'Replay-Nonce': 'not a nonce!' }, body: '' }),
    code: 'ACME_NONSENSE',
    says: /gave no nonce/,
  },
  {
    name: 'nonces that are never good',
    path: '/account',
    told: () => problem(400, 'badNonce', 'stale'),
    code: 'ACME_REFUSED',
    says: /badNonce: stale/,
  },
  {
    name: 'a token that leads out of the directory',
    path: '/authorization',
    told: ({ origin }) =>
      json(200, {
        status: 'pending',
        identifier: { type: 'dns', value: 'one.example' },
        challenges: [
          { type: 'http-01', url: `${origin}/challenge`, token: '../../../../../../tmp/portico-x' },
        ],
      }),
    code: 'ACME_NONSENSE',
    says: /token is none/,
  },
  {
    name: 'an authorization for another name',
    path: '/authorization',
    told: () => json(200, { status: 'pending', identifier: { type: 'dns', value: 'x.example' } }),
    code: 'ACME_NONSENSE',
    says: /proof of another name/,
  },
  {
    name: 'challenges that are not known here',
    path: '/authorization',
    told: () =>
      json(200, {
        status: 'pending',
        identifier: { type: 'dns', value: 'one.example' },
        challenges: [{ type: 'dns-01' }, null, 7],
      }),
    code: 'ACME_REFUSED',
    says: /does not offer http-01 or tls-alpn-01/,
  },
  {
    name: 'an order of many authorizations',
    path: '/order',
    told: ({ origin }) =>
      json(
        201,
        { status: 'pending', authorizations: Array(1000).fill(`${origin}/authorization`) },
        { Location: `${origin}/order/1` },
      ),
    code: 'ACME_NONSENSE',
    says: /other than one authorization/,
  },
  {
    name: 'a problem that would steer a terminal',
    path: '/order',
    told: () => problem(403, 'rejectedIdentifier', `\x1b[2Jno\u202e\n${'x'.repeat(5000)}`),
    code: 'ACME_REFUSED',
    says: /does not issue certificates for this name \(rejectedIdentifier: \[2Jno x{390,400}…\)/,
  },
  {
    name: 'a problem of the type "constructor"',
    path: '/order',
    told: () => problem(403, 'constructor', 'no'),
    code: 'ACME_REFUSED',
    says: /The CA refused \(constructor: no\)/,
  },
];

for (const { name, path, told, code, says } of cases)
  test(`the CA answers with ${name}`, async (t) => {
    const front = await startFront(t, null);
    const answer = told(front);
    front.script = upTo(front, path, answer);
    const patience = answer === 'silence' ? { timeoutMs: 300 } : {};
    const running = await startAcme(t, front, {}, patience);
    const text = await running.until('failure', () => running.acme.status()[0]?.lastError);
    assert.match(text, says);
    const line = running.logged.find((entry) => entry.startsWith('error no certificate'));
    assert.match(line!, new RegExp(`"code":"${code}"`));
    assert.doesNotMatch(running.logged.join(''), /[\x00-\x1f\u202e]/);
    assert.ok(front.asked.length < 30, `${front.asked.length} requests`);
    await running.acme.close();
    const left = readdirSync(running.storage, { recursive: true, encoding: 'utf8' });
    assert.deepEqual(
      left.filter((file) => /lock$|tmp$|challenges\/.*\//.test(file)),
      ['challenges/http-01', 'challenges/tls-alpn-01'].filter(() => false),
    );
  });

test('a CA that limits the rate is left alone for as long as it says', async (t) => {
  const front = await startFront(t, null);
  front.script = upTo(
    front,
    '/order',
    problem(429, 'rateLimited', 'too many', { 'Retry-After': '7200' }),
  );
  const running = await startAcme(t, front);
  await running.until('failure', () => running.acme.status()[0]!.failures > 0);
  const [status] = running.acme.status();
  const waitMs = status!.nextTryMs - running.now();
  assert.ok(waitMs > 7_100_000 && waitMs < 9_000_000, `${waitMs} ms`);
  // The operator's reload does not change that.
  const before = front.asked.length;
  running.jump(600_000);
  await running.acme.configure({ ...running.settings });
  await running.until('a visit', () => running.acme.status()[0]?.phase === 'idle');
  assert.equal(front.asked.length, before);
});

test('a reload has a failed name tried at once', async (t) => {
  const front = await startFront(t, null);
  front.script = upTo(front, '/order', problem(403, 'caa', 'forbidden'));
  const running = await startAcme(t, front);
  for (let failures = 1; failures <= 3; failures++) {
    await running.until('failure', () => running.acme.status()[0]!.failures === failures);
    running.jump(61_000);
    await running.acme.configure({ ...running.settings });
  }
  await running.until('failure', () => running.acme.status()[0]!.failures === 4);
  const waitMs = running.acme.status()[0]!.nextTryMs - running.now();
  assert.ok(waitMs > 20 * 60_000 && waitMs < 35 * 60_000, `27 minutes or so, not ${waitMs} ms`);
});

test('a clock that was years ahead puts nothing off', async (t) => {
  const front = await startFront(t, null);
  front.script = upTo(front, '/order', problem(403, 'caa', 'forbidden'));
  const running = await startAcme(t, front);
  await running.until('failure', () => running.acme.status()[0]!.failures === 1);
  running.jump(5 * 365 * 86_400_000);
  await running.until('failure by the wrong clock', () => running.acme.status()[0]!.failures === 2);
  running.jump(-5 * 365 * 86_400_000);
  await running.until('failure by the right one', () => running.acme.status()[0]!.failures === 3);
});

test('a chain for another key or name is not put to use', pebbleIsThere, async (t) => {
  const { ports, pebble, running: first } = await startWithPebble(t, { acme: ['two.example'] });
  const other = await first.issued('two.example');
  const front = await startFront(t, pebble, async ({ path }, forward) =>
    path.startsWith('/certZ/') ? { ...(await forward()), body: other.toString() } : null,
  );
  const running = await startAcme(t, front);
  ports.answers = running.acme.challenges;
  const text = await running.until('failure', () => running.acme.status()[0]?.lastError);
  assert.match(text, /certificate is for another key/);
  assert.equal(running.served('one.example')?.issuer, running.served('one.example')?.subject);
});
