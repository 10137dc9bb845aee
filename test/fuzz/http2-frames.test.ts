// Random frames, valid, damaged and cut, sent to the edge: it goes on, and every request that a handler saw ends once.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { echo, startEdge } from '../helpers/edge-listener.ts';
import { ask, block, FrameClient, frame, h2c, PREFACE, uint32 } from '../helpers/http2-client.ts';
import { type Random, randomFrom, seed } from '../helpers/random.ts';

const CONNECTIONS = 60;
const FRAMES = 40;

const names = [':method', ':path', ':scheme', ':authority', ':status', 'host', 'cookie', 'te'];
const more = ['content-length', 'connection', 'expect', 'x', 'X', 'content-type', 'x y', ''];
const values = [
  'GET',
  'POST',
  'HEAD',
  'CONNECT',
  '/',
  '*',
  'http',
  'https',
  'a',
  'a:1',
  'trailers',
];
const odd = ['', '5', '0', '-1', '100-continue', 'a\r\nb', '\0', ' x ', 'y'.repeat(9000)];

function randomBytes(random: Random, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => random(256)));
}

function pick<T>(random: Random, from: readonly T[]): T {
  return from[random(from.length)]!;
}

/** Mostly fields of a request, with something missing, added or changed. */
function randomFields(random: Random): Buffer {
  const method = pick(random, ['GET', 'POST', 'HEAD', 'OPTIONS']);
  const fields = [':method', method, ':scheme', 'http', ':path', '/', ':authority', 'a'];
  for (let count = random(4); count > 0; count--) {
    const name = pick(random, [...names, ...more]);
    fields.splice(
      random(fields.length / 2 + 1) * 2,
      random(2) * 2,
      name,
      pick(random, [...values, ...odd]),
    );
  }
  return random(8) === 0 ? randomBytes(random, random(40)) : block(fields);
}

function randomFrame(random: Random, nextStream: () => number): Buffer {
  const stream = pick(random, [0, 1, 3, 5, 2, nextStream(), nextStream()]);
  const flags = random(4) === 0 ? random(256) : pick(random, [0, 1, 4, 5]);
  switch (random(12)) {
    case 0:
    case 1:
    case 2:
    case 3:
      return frame(1, random(6) === 0 ? flags : 4 | random(2), nextStream(), randomFields(random));
    case 4:
    case 5:
      return frame(0, flags & 1, stream, randomBytes(random, random(100)));
    case 6:
      return frame(3, 0, stream, uint32(random(14)));
    case 7:
      return frame(8, 0, stream, uint32(random(3) === 0 ? random(2 ** 31) : 1 + random(1000)));
    case 8:
      return frame(
        4,
        0,
        0,
        Buffer.concat([Buffer.from([0, 1 + random(7)]), uint32(random(2 ** 31))]),
      );
    case 9:
      return frame(6, flags & 1, 0, randomBytes(random, 8));
    case 10:
      return frame(9, flags, stream, randomFields(random));
    default:
      return frame(random(12), flags, stream, randomBytes(random, random(40)));
  }
}

test(`random frames (FUZZ_SEED=${seed})`, async (t) => {
  const random = randomFrom(seed);
  const clients: FrameClient[] = [];
  const edge = await startEdge(
    t,
    (heard) => {
      const kind = random(8);
      heard.consumes = kind !== 0;
      if (kind < 6 || heard.exchange.request.target === '/check') echo(heard);
      else if (kind === 6) heard.reply(200, 'early');
    },
    { h2c: true, keepAliveMs: 300, headerTimeoutMs: 300, bodyTimeoutMs: 300, sendTimeoutMs: 300 },
  );
  for (let at = 0; at < CONNECTIONS; at++) {
    const client = new FrameClient(t, edge.port, { settings: false });
    clients.push(client);
    let stream = -1;
    const nextStream = () => {
      stream += 2;
      return stream;
    };
    const bytes = Buffer.concat([
      Buffer.from(PREFACE),
      frame(4, 0, 0),
      ...Array.from({ length: FRAMES }, () => randomFrame(random, nextStream)),
    ]);
    if (random(3) === 0) bytes[24 + random(bytes.length - 24)] = random(256);
    // In pieces, so that frames are cut anywhere.
    for (let from = 0; from < bytes.length && !client.isClosed; ) {
      const to = from + 1 + random(2000);
      client.send(bytes.subarray(from, to));
      from = to;
      if (random(2) === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    if (random(4) === 0) client.socket.resetAndDestroy();
    else if (random(2) === 0) client.socket.end();
    if (at % 10 === 9) assert.equal((await ask(h2c(t, edge.port), '/check')).status, 200);
  }
  for (const client of clients) client.socket.destroy();
  for (const heard of edge.heard) heard.exchange.respond(200, '', []);
  for (const heard of edge.heard) heard.exchange.end([]);
  await edge.until('end of all requests', () => edge.listener.requestsInFlight === 0);
  await edge.until('end of all connections', () => edge.listener.connections === 0);
  for (const heard of edge.heard) assert.equal(heard.closes.length, 1);
  assert.doesNotMatch(edge.logged.join('\n'), /fault/);
});
