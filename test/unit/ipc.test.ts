// What children say to the arbiter is checked, cut to size and bounded.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Duplex, PassThrough } from 'node:stream';
import { test } from 'node:test';
import { channelToWorker } from '../../src/ipc/channel.ts';
import { checkFromEdge, checkFromWorker, checkToEdge } from '../../src/ipc/check.ts';
import { createLineReader } from '../../src/ipc/lines.ts';
import type { FromWorker } from '../../src/ipc/messages.ts';

test('a message keeps just the fields it should have', () => {
  assert.deepEqual(
    checkFromWorker({ type: 'heartbeat', inFlight: 1, served: 2, rssBytes: 3, evil: 4 }),
    { type: 'heartbeat', inFlight: 1, served: 2, rssBytes: 3 },
  );
  assert.deepEqual(checkFromEdge({ type: 'withdrawn', workerId: 7 }), {
    type: 'withdrawn',
    workerId: 7,
  });
  assert.deepEqual(checkToEdge({ type: 'drain', deadlineMs: 0 }), { type: 'drain', deadlineMs: 0 });
});

test('what has the wrong shape is no message', () => {
  const wrong: unknown[] = [
    null,
    undefined,
    1,
    'ready',
    [],
    {},
    { type: 1 },
    { type: 'constructor' },
    { type: '__proto__' },
    { type: 'hello' },
    { type: 'heartbeat' },
    { type: 'heartbeat', inFlight: -1, served: 0, rssBytes: 0 },
    { type: 'heartbeat', inFlight: Number.NaN, served: 0, rssBytes: 0 },
    { type: 'heartbeat', inFlight: '1', served: 0, rssBytes: 0 },
    { type: 'ready', sockets: [], protocol: 'link', app: 'x', retireAfter: 0 },
    { type: 'ready', sockets: ['relative.sock'], protocol: 'link', app: 'x', retireAfter: 0 },
    { type: 'ready', sockets: [`/${'x'.repeat(108)}`], protocol: 'link', app: 'x', retireAfter: 0 },
    { type: 'ready', sockets: '/a.sock', protocol: 'link', app: 'x', retireAfter: 0 },
    { type: 'ready', sockets: ['/a.sock'], app: 'x', retireAfter: 0 },
    { type: 'ready', sockets: ['/a.sock'], protocol: 'gopher', app: 'x', retireAfter: 0 },
    { type: 'boot-failed', exitCode: 0, reason: 'x' },
    { type: 'retire', reason: {} },
  ];
  for (const value of wrong) assert.equal(checkFromWorker(value), null, JSON.stringify(value));
});

test('a long text is cut', () => {
  const message = checkFromWorker({ type: 'retire', reason: 'x'.repeat(1_000_000) });
  assert.equal(message?.type === 'retire' && message.reason.length, 16_384);
});

test('lines are read whole, by bytes and at any split', () => {
  const bytes = Buffer.from('{"a":1}\n\n[2]\nnot json\n"ü"\n');
  for (const size of [1, 2, 3, 7, bytes.length]) {
    const seen: unknown[] = [];
    const reader = createLineReader(100, {
      onValue: (value) => seen.push(value),
      onJunk: () => seen.push('junk!'),
    });
    for (let at = 0; at < bytes.length; at += size) reader.push(bytes.subarray(at, at + size));
    assert.deepEqual(seen, [{ a: 1 }, [2], 'junk!', 'ü'], `pieces of ${size}`);
  }
});

test('a line that is too long is skipped to its end, whatever its pieces', () => {
  for (const size of [1, 5, 1000]) {
    const seen: unknown[] = [];
    const reader = createLineReader(10, {
      onValue: (value) => seen.push(value),
      onJunk: () => seen.push('junk!'),
    });
    const bytes = Buffer.from(`"${'x'.repeat(50)}"\n1\n`);
    for (let at = 0; at < bytes.length; at += size) reader.push(bytes.subarray(at, at + size));
    assert.deepEqual(seen, ['junk!', 1], `pieces of ${size}`);
  }
});

/** A stream whose two directions are apart, as the arbiter's end of a socket. */
function pipe(): { stream: Duplex; fromChild: PassThrough; toChild: PassThrough } {
  const fromChild = new PassThrough();
  const toChild = new PassThrough();
  return { stream: Duplex.from({ readable: fromChild, writable: toChild }), fromChild, toChild };
}

test('a worker that talks junk is noticed once, and its right messages still count', async () => {
  const { stream, fromChild } = pipe();
  const messages: FromWorker[] = [];
  const noises: string[] = [];
  channelToWorker(stream, {
    onMessage: (message) => messages.push(message),
    onNoise: (what) => noises.push(what),
  });
  fromChild.write('junk\n{"type":"hello"}\n{"cmd":"NODE_HANDLE_ACK"}\n{"type":"started"}\n');
  await once(stream, 'data');
  assert.deepEqual(messages, [{ type: 'started' }]);
  assert.equal(noises.length, 1);
});

test('a worker that floods the channel is read slowly', async () => {
  const { stream, fromChild } = pipe();
  const noises: string[] = [];
  channelToWorker(stream, { onMessage: () => {}, onNoise: (what) => noises.push(what) });
  for (let chunks = 0; chunks < 100 && noises.length === 0; chunks += 1) {
    fromChild.write(Buffer.alloc(64 * 1024, ' '));
    await new Promise(setImmediate);
  }
  assert.equal(stream.isPaused(), true);
  assert.deepEqual(noises, ['far more than it has to']);
  stream.destroy();
});

test('sending on a closed channel does nothing', () => {
  const { stream } = pipe();
  const channel = channelToWorker(stream, { onMessage: () => {}, onNoise: () => {} });
  channel.close();
  channel.send({ type: 'reopen-logs' });
});
