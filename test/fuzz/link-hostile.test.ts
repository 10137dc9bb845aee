// Each end of the link against a peer that sends frames in any order, damaged, or garbage: no
// exception, one end for each stream, and a link that is gone or still in order.

import assert from 'node:assert/strict';
import { connect, createServer } from 'node:net';
import { test } from 'node:test';
import { failure } from '../../src/errors/failure.ts';
import { connectLink } from '../../src/link/edge-end.ts';
import { Encoder } from '../../src/link/encoder.ts';
import { encodePreface } from '../../src/link/preface.ts';
import * as wire from '../../src/link/protocol.ts';
import { batchOf, encodeFrame, type Frame } from '../helpers/link-frames.ts';
import { Hearing, LinkPair, linkRequest } from '../helpers/link-pair.ts';
import { type Random, randomFrom, seed } from '../helpers/random.ts';
import { until } from '../helpers/until.ts';

const rounds = 300;
const windowBytes = 4096;
const streams = 6;

function pick<T>(random: Random, all: readonly T[]): T {
  return all[random(all.length)] as T;
}

function fields(random: Random): string[] {
  return Array.from({ length: 2 * random(4) }, () => 'x'.repeat(random(300)));
}

/** What the peer may still be sent on each stream, as far as the sender knows. */
type Open = Map<number, 'head' | 'content'>;

/** Mostly what the protocol allows at this point, so that rounds get far; at times anything. */
function hostileFrame(random: Random, from: 'edge' | 'worker', open: Open): Frame {
  const isWild = random(25) === 0;
  const id = isWild && random(3) === 0 ? random(100_000) : 1 + random(streams);
  const end = random(4) === 0;
  const state = open.get(id);
  let type: Frame['type'];
  if (isWild)
    type = pick(random, ['request', 'response', 'inform', 'data', 'end', 'drain', 'pong'] as const);
  else if (state === 'head') type = pick(random, ['response', 'inform'] as const);
  else if (state === 'content') type = pick(random, ['data', 'data', 'data', 'end'] as const);
  else type = from === 'edge' ? 'request' : 'ping';
  if (random(12) === 0) type = pick(random, ['credit', 'reset', 'ping'] as const);
  const frame = frameOf(random, type, id, end);
  if (frame.type === 'request' && !frame.end) open.set(id, 'content');
  if (frame.type === 'response' || frame.type === 'data') {
    open.set(id, 'content');
    if (frame.end) open.delete(id);
  }
  if (frame.type === 'end' || frame.type === 'reset') open.delete(id);
  return frame;
}

function frameOf(random: Random, type: Frame['type'], id: number, end: boolean): Frame {
  switch (type) {
    case 'request': {
      const bodyLength = pick(random, [0, 'unknown', 10] as const);
      const open = linkRequest({ fields: fields(random) }, { bodyLength });
      return { type, id, open, end: bodyLength === 0 };
    }
    case 'response':
      return { type, id, status: 200 + random(300), reason: '', fields: fields(random), end };
    case 'inform':
      return { type, id, status: 103, fields: fields(random) };
    case 'data':
      return { type, id, content: 'c'.repeat(1 + random(random(10) === 0 ? 5000 : 500)), end };
    case 'end':
      return { type, id, trailers: fields(random) };
    case 'reset': {
      const code = pick(random, ['WORKER_RESET', 'CLIENT_LEFT', 'toString', 'SHUTTING_DOWN']);
      return { type, id, code, detail: 'd\n', refused: random(5) === 0 };
    }
    case 'credit':
      return { type, id, bytes: random(9) === 0 ? random(0x1_0000_0000) : random(200) };
    case 'ping':
    case 'pong':
      return { type, value: '12345678' };
    default:
      return { type: 'drain' };
  }
}

/** Some frames, in one or more pieces, at times with bytes changed. */
function hostileBytes(random: Random, from: 'edge' | 'worker'): Buffer[] {
  const encoder = new Encoder();
  const open: Open = new Map();
  if (from === 'worker') for (let id = 1; id <= streams; id++) open.set(id, 'head');
  for (let count = random(60); count >= 0; count--)
    encodeFrame(encoder, hostileFrame(random, from, open));
  const bytes = batchOf(encoder);
  if (random(3) === 0) {
    for (let count = random(4); count >= 0; count--) bytes[random(bytes.length)] = random(256);
  }
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const next = at + 1 + random(bytes.length);
    pieces.push(bytes.subarray(at, next));
    at = next;
  }
  return pieces;
}

const preface = { version: wire.LINK_VERSION, windowBytes };

test(`a hostile worker: each stream of the edge hears one end (seed ${seed})`, async () => {
  const random = randomFrom(seed);
  const dir = new LinkPair();
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => {
      if (random(30) !== 0) socket.write(encodePreface({ ...preface, streamsMax: 100 }));
      for (const piece of hostileBytes(random, 'worker')) socket.write(piece);
      socket.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(dir.path, resolve));
  const codes = new Set<string>();
  let answered = 0;
  for (let round = 0; round < rounds; round++) {
    const downs: string[] = [];
    const link = connectLink({
      path: dir.path,
      onUp: () => {},
      onDown: (reason) => downs.push(reason?.code ?? 'null'),
      windowBytes,
    });
    const cancelled = new Set<Hearing>();
    const heard = Array.from({ length: streams }, (_, index) => {
      const hearing = new Hearing();
      hearing.isConsuming = random(3) > 0;
      const bodyLength = index % 2 === 0 ? 0 : 'unknown';
      hearing.stream = link.open(linkRequest({}, { bodyLength }), hearing);
      if (bodyLength !== 0) hearing.stream.write(Buffer.alloc(random(10_000)));
      if (random(4) === 0)
        hearing.onResponse = () => {
          cancelled.add(hearing);
          hearing.stream.cancel();
        };
      return hearing;
    });
    await until('the link is down', () => downs.length > 0);
    await until('nothing is in flight', () => link.inFlight === 0);
    assert.equal(downs.length, 1);
    codes.add(downs[0]!);
    for (const hearing of heard) {
      assert.equal(hearing.ends, cancelled.has(hearing) ? 0 : 1);
      if (hearing.trailers !== null) answered += 1;
      assert.ok(hearing.receivedBytes <= windowBytes || hearing.isConsuming, 'the window holds');
    }
  }
  server.close();
  dir.close();
  assert.ok(codes.has('LINK_PROTOCOL'), 'some rounds break the protocol');
  assert.ok(answered > 0, 'some streams are answered');
});

test(`a hostile edge: each exchange hears one end (seed ${seed})`, async () => {
  const random = randomFrom(seed + 1);
  let protocolFaults = 0;
  let served = 0;
  let rightEnds = 0;
  for (let round = 0; round < rounds; round++) {
    const pair: LinkPair = new LinkPair({
      workerWindowBytes: windowBytes,
      streamsMax: 100,
      handle: (exchange) => {
        served += 1;
        if (random(10) === 0) return; // never attached
        const handling = pair.attach(exchange);
        handling.isConsuming = random(3) > 0;
        if (random(5) === 0) {
          exchange.fail(failure('WORKER_RESET'));
          return;
        }
        if (random(3) === 0) return;
        exchange.respond(200, '', []);
        exchange.write(Buffer.alloc(random(10_000)));
        if (random(2) === 0) exchange.end([]);
      },
    });
    await pair.listen();
    const socket = connect(pair.path);
    socket.on('error', () => {});
    socket.resume();
    if (random(30) !== 0) socket.write(encodePreface({ ...preface, streamsMax: 0 }));
    for (const piece of hostileBytes(random, 'edge')) socket.write(piece);
    socket.end();
    await until('the link is gone', () => pair.closes.length > 0);
    assert.equal(pair.closes.length, 1);
    assert.equal(pair.worker?.inFlight, 0);
    if (pair.closes[0]?.code === 'LINK_PROTOCOL') protocolFaults += 1;
    for (const handling of pair.handlings) {
      assert.equal(handling.closes, 1);
      assert.ok(handling.isConsuming || handling.receivedBytes <= windowBytes, 'the window holds');
      if (handling.outcome === null) rightEnds += 1;
    }
    pair.close();
  }
  assert.ok(protocolFaults > 0, 'some rounds break the protocol');
  assert.ok(served > rounds, 'most rounds get somewhere');
  assert.ok(rightEnds > 0, 'some exchanges are answered');
});

test(`garbage after the preface ends the link (seed ${seed})`, async () => {
  const random = randomFrom(seed + 2);
  for (let round = 0; round < 100; round++) {
    const pair = new LinkPair();
    await pair.listen();
    const socket = connect(pair.path);
    socket.on('error', () => {});
    socket.resume();
    const bytes = Buffer.from(Array.from({ length: 8 + random(200) }, () => random(256)));
    bytes[3] = 0x0f; // a type that is none, however the rest falls
    socket.write(Buffer.concat([encodePreface({ ...preface, streamsMax: 0 }), bytes]));
    await until('the link is gone', () => pair.closes.length > 0);
    assert.equal(pair.closes[0]?.code, 'LINK_PROTOCOL');
    socket.destroy();
    pair.close();
  }
});
