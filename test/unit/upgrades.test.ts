// Parts of the upgrade lane that need no socket: frames, what is asked for, the line about the client, stickiness.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  chooseFor,
  fewestUpgraded,
  type Stick,
  withCookie,
} from '../../src/edge/balancer/sticky.ts';
import { FrameFollower } from '../../src/edge/upgrade/frames.ts';
import { agrees, wantsUpgrade } from '../../src/edge/upgrade/upgradable.ts';
import type { ClientFacts } from '../../src/http/exchange.ts';
import { encodePlainPreface, readPlainPreface } from '../../src/link/plain-preface.ts';

function frame(opcode: number, length: number, masked: boolean): Buffer {
  const mask = masked ? 0x80 : 0;
  const head =
    length < 126
      ? [0x80 | opcode, mask | length]
      : length < 65_536
        ? [0x80 | opcode, mask | 126, length >> 8, length & 255]
        : [
            0x80 | opcode,
            mask | 127,
            0,
            0,
            0,
            0,
            0,
            length >> 16,
            (length >> 8) & 255,
            length & 255,
          ];
  return Buffer.concat([Buffer.from(head), Buffer.alloc(length + (masked ? 4 : 0), 0xff)]);
}

test('frames are followed however they are cut', () => {
  const lengths = fc.oneof(
    fc.integer({ min: 0, max: 130 }),
    fc.constantFrom(125, 126, 65_535, 65_536),
  );
  fc.assert(
    fc.property(
      fc.array(fc.tuple(lengths, fc.boolean()), { minLength: 1, maxLength: 4 }),
      fc.array(fc.integer({ min: 1, max: 5_000 }), { minLength: 1, maxLength: 20 }),
      (specs, cuts) => {
        const frames = specs.map(([length, masked]) => frame(2, length, masked));
        const ends = new Set<number>();
        let sum = 0;
        for (const one of frames) {
          sum += one.length;
          ends.add(sum);
        }
        const bytes = Buffer.concat(frames);
        const follower = new FrameFollower();
        for (let at = 0, n = 0; at < bytes.length; n++) {
          const end = Math.min(bytes.length, at + cuts[n % cuts.length]!);
          follower.follow(bytes.subarray(at, end));
          at = end;
          assert.equal(follower.isBetween, ends.has(at), `at ${at}`);
        }
        assert.equal(follower.closed, false);
      },
    ),
  );
});

test('a Close is seen, and a length that cannot be is never over', () => {
  const follower = new FrameFollower();
  follower.follow(frame(8, 2, false));
  assert.deepEqual([follower.isBetween, follower.closed], [true, true]);
  const endless = new FrameFollower();
  endless.follow(Buffer.from([0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255, 1, 2, 3]));
  assert.equal(endless.isBetween, false);
});

test('what is between client and edge is no upgrade for the app', () => {
  const wants = (upgrade: string | null, bodyLength: number | 'unknown' = 0) =>
    wantsUpgrade({ upgrade, bodyLength } as never);
  assert.deepEqual(
    ['websocket', 'WebSocket, h2c', 'echo/1', 'h2c', 'TLS/1.2', 'HTTP/2.0', '', ' , '].map((it) =>
      wants(it),
    ),
    [true, true, true, false, false, false, false, false],
  );
  assert.deepEqual(
    [wants(null), wants('websocket', 1), wants('websocket', 'unknown')],
    [false, false, false],
  );
});

test('an answer agrees only to what was asked for', () => {
  assert.ok(agrees('websocket', 'WebSocket'));
  assert.ok(agrees('a/1, b/2', 'b/2'));
  assert.ok(!agrees('websocket', 'h2c'));
  assert.ok(!agrees('websocket', 'websocket, h2c'));
  assert.ok(!agrees('websocket', ''));
  assert.ok(!agrees('websocket', undefined));
});

const client: ClientFacts = {
  ...{
    address: '2001:db8::1',
    port: 5,
    peerAddress: '2001:db8::1',
    localAddress: '::1',
    localPort: 8,
  },
  ...{ scheme: 'https' as const, tls: null },
};

test('the line about the client is read as it was written, and only when it is whole', () => {
  const bytes = Buffer.from(`${encodePlainPreface(client)}GET / HTTP/1.1\r\n`);
  const read = readPlainPreface(bytes);
  assert.ok(typeof read === 'object');
  assert.deepEqual(read.client, client);
  assert.equal(bytes.toString('latin1', read.at), 'GET / HTTP/1.1\r\n');
  for (let at = 1; at < bytes.indexOf('\n'); at++)
    assert.equal(readPlainPreface(bytes.subarray(0, at)), 'partial');
  assert.equal(readPlainPreface(Buffer.from('POST / HTTP/1.1\r\n')), 'none');
  const broken = readPlainPreface(Buffer.from('PORTICO-CLIENT {\n'));
  assert.ok(typeof broken === 'object' && broken.client === null);
});

const places = (count: number) =>
  Array.from({ length: count }, (_, at) => ({
    ...{ workerId: at + 1, inFlight: 0, capacity: 2, takesRequests: true, upgraded: 0 },
    place: String(at + 1),
  }));
const key = (text: string): Stick => ({ ...fewestUpgraded, key: text, byUpgraded: false });

test('a key keeps its worker, keys are spread, and only the keys of a worker that goes are moved', () => {
  const all = places(4);
  const before = Array.from({ length: 1000 }, (_, at) =>
    chooseFor(key(`10.0.0.${at}`), all, at % 4, 0),
  );
  for (const [at, index] of before.entries())
    assert.equal(chooseFor(key(`10.0.0.${at}`), all, (at + 1) % 4, 0), index);
  for (let index = 0; index < 4; index++) {
    const share = before.filter((it) => it === index).length;
    assert.ok(share > 180 && share < 320, `${share} of 1000 for worker ${index}`);
  }
  all[2]!.takesRequests = false;
  for (const [at, index] of before.entries()) {
    const now = chooseFor(key(`10.0.0.${at}`), all, 0, 0);
    if (index === 2) assert.notEqual(now, 2);
    else assert.equal(now, index);
  }
});

test('a full worker is not waited for; without any there is none', () => {
  const all = places(2);
  const mine = chooseFor(key('a'), all, 0, 0);
  all[mine]!.inFlight = 2;
  assert.equal(chooseFor(key('a'), all, 0, 0), 1 - mine);
  all[1 - mine]!.inFlight = 2;
  assert.equal(chooseFor(key('a'), all, 0, 0), -1);
});

test('upgrades go where the fewest are', () => {
  const all = places(3);
  all[0]!.upgraded = 3;
  all[2]!.upgraded = 1;
  assert.equal(chooseFor(fewestUpgraded, all, 0, 0), 1);
});

test('a cookie is set where the client has none, or that of a worker that is gone', () => {
  const stick: Stick = { ...fewestUpgraded, place: '2', cookie: 'portico_worker' };
  assert.deepEqual(withCookie(['A', 'b'], stick, '2', true), ['A', 'b']);
  assert.deepEqual(withCookie([], stick, '3', true), [
    'Set-Cookie',
    'portico_worker=3; Path=/; HttpOnly; SameSite=Lax; Secure',
  ]);
});
