// A compressed response between an app and a client that the test plays: when heads go, when content
// waits, and what happens where nothing may be compressed.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import type { Config } from '../../src/config/config.ts';
import { createCompression } from '../../src/edge/compression/compression.ts';
import { encoders } from '../../src/edge/compression/encoders.ts';
import { Slots } from '../../src/edge/compression/slots.ts';
import type { ResponseSink } from '../../src/edge/response-step.ts';
import type { ExchangeHandler, Fields } from '../../src/http/exchange.ts';
import { fieldValue } from '../../src/http/fields.ts';
import { defaultConfig } from '../helpers/default-config.ts';
import { ScriptedExchange } from '../helpers/scripted-exchange.ts';

const text = (bytes: number): Buffer => Buffer.alloc(bytes, 'some text that repeats itself, ');

class Play implements ExchangeHandler {
  readonly slots = new Slots();
  readonly exchange: ScriptedExchange;
  readonly sink: ResponseSink;
  rooms = 0;
  closed = false;

  constructor(settings: Partial<Config> = {}, fields: Fields = [], accept = 'gzip') {
    this.exchange = new ScriptedExchange({ fields: ['Accept-Encoding', accept] });
    this.exchange.attach(this);
    const step = createCompression(defaultConfig(settings), this.slots);
    const head = ['Content-Type', 'text/plain', ...fields];
    const source = { onRoom: () => void this.rooms++, dismiss: () => {} };
    const sink = step(this.exchange, 200, head, source);
    assert.ok(sink);
    this.sink = sink;
    sink.respond(200, '', head);
  }

  onRequestData(): void {}
  onRequestEnd(): void {}
  onDrain(): void {
    this.sink.onDrain();
  }
  onClose(): void {
    this.closed = true;
    this.sink.close();
  }

  field(name: string): string | undefined {
    return fieldValue(this.exchange.fields, name);
  }
  get bytes(): Buffer {
    return Buffer.from(this.exchange.content, 'latin1');
  }
}

test('content that is whole in one turn gets its length, and takes no slot', () => {
  const play = new Play();
  play.sink.write(text(3000));
  play.sink.write(text(4000));
  assert.equal(play.exchange.record.status, 0);
  play.sink.end([]);
  assert.equal(play.field('content-encoding'), 'gzip');
  assert.equal(play.field('content-length'), String(play.bytes.length));
  assert.deepEqual(gunzipSync(play.bytes), Buffer.concat([text(3000), text(4000)]));
  assert.equal(play.slots.inUse, 0);
});

test('trailers keep their chunks', () => {
  const play = new Play();
  play.sink.write(text(3000));
  play.sink.end(['X-Sum', '1']);
  assert.equal(play.field('content-length'), undefined);
  assert.deepEqual(play.exchange.trailers, ['X-Sum', '1']);
});

test('content that turns out to be small goes as it is', () => {
  const play = new Play({}, ['ETag', '"a"']);
  play.sink.write(text(100));
  play.sink.end([]);
  assert.equal(play.field('content-encoding'), undefined);
  assert.equal(play.field('etag'), '"a"');
  assert.equal(play.field('vary'), 'Accept-Encoding');
  assert.deepEqual(play.bytes, text(100));
});

test('content that does not shrink goes as it is', () => {
  const play = new Play();
  const random = randomBytes(2000);
  play.sink.write(random);
  play.sink.end([]);
  assert.deepEqual(play.bytes, random);
});

test('a head without content goes at the end of its turn', async () => {
  const play = new Play();
  assert.equal(play.exchange.record.status, 0);
  await nextTurn();
  assert.equal(play.field('content-encoding'), 'gzip');
  assert.equal(play.slots.inUse, 1);
  play.sink.write(text(50));
  play.sink.end([]);
  assert.deepEqual(gunzipSync(play.bytes), text(50));
  assert.equal(play.slots.inUse, 0);
});

test('an empty answer of which the head went first is whole too', async () => {
  const play = new Play({}, [], 'br');
  await nextTurn();
  play.sink.end([]);
  assert.equal(brotliDecompressSync(play.bytes).length, 0);
});

test('with no slot free a response passes as it is, and the credit is not lost', async () => {
  const play = new Play({ compressStreams: 0 }, ['ETag', '"a"']);
  play.exchange.hasRoom = false;
  assert.equal(play.sink.write(text(40_000)), false);
  assert.equal(play.field('content-encoding'), undefined);
  assert.equal(play.field('etag'), '"a"');
  play.exchange.hasRoom = true;
  play.onDrain();
  assert.equal(play.rooms, 1);
  assert.equal(play.sink.write(text(10)), true);
  play.sink.end([]);
  assert.equal(play.bytes.length, 40_010);
});

test('a client without room stops the compressor and then the app', async () => {
  const play = new Play();
  play.exchange.hasRoom = false;
  let turns = 0;
  while (play.sink.write(randomBytes(8000))) {
    await nextTurn();
    assert.ok(turns++ < 1000, 'the app was never told to wait');
  }
  assert.equal(play.rooms, 0);
  play.exchange.hasRoom = true;
  play.onDrain();
  while (play.rooms === 0) await nextTurn();
  play.exchange.leave();
  assert.equal(play.slots.inUse, 0);
});

for (const [what, settle] of [
  ['too little', (play: Play) => play.sink.end([])],
  ['too much', (play: Play) => play.sink.write(text(30_000))],
] as const) {
  test(`an app that sends ${what} for its Content-Length has its response cut`, async () => {
    const play = new Play({}, ['Content-Length', '50000']);
    play.sink.write(text(40_000));
    settle(play);
    assert.equal(play.exchange.failure?.code, 'RESPONSE_LENGTH');
    assert.ok(play.closed);
    assert.equal(play.slots.inUse, 0);
  });
}

test('a head that lies about whole content is for the exchange to judge', () => {
  const play = new Play({}, ['Content-Length', '5000']);
  play.sink.write(text(4000));
  play.sink.end([]);
  assert.equal(play.field('content-length'), '5000');
  assert.equal(play.field('content-encoding'), undefined);
});

test('a failure before the turn is over leaves the head unsent', () => {
  const play = new Play();
  play.sink.write(text(2000));
  play.exchange.leave();
  assert.deepEqual(play.exchange.fields, []);
  assert.equal(play.sink.write(text(10)), true);
  play.sink.end([]);
});

test('padding differs from answer to answer, is bounded, and readers skip it', () => {
  const lengths = new Set<number>();
  let least = Number.POSITIVE_INFINITY;
  for (let count = 0; count < 40; count++) {
    const play = new Play({ compressPaddingBytes: 64 }, [], 'gzip, br, zstd');
    play.sink.write(text(3000));
    play.sink.end([]);
    assert.equal(play.field('content-encoding'), 'gzip');
    assert.deepEqual(gunzipSync(play.bytes), text(3000));
    lengths.add(play.bytes.length);
    least = Math.min(least, play.bytes.length);
  }
  assert.ok(lengths.size > 5);
  assert.ok(Math.max(...lengths) - encoders.get('gzip')!.whole(text(3000)).length <= 65);
  assert.ok(least > encoders.get('gzip')!.whole(text(3000)).length);
});

test('padding of a response in pieces', async () => {
  const play = new Play({ compressPaddingBytes: 1024 });
  await nextTurn();
  play.sink.write(text(100_000));
  play.sink.end([]);
  await play.exchange.settled;
  assert.deepEqual(gunzipSync(play.bytes), text(100_000));
  assert.equal(play.bytes[3], 8);
});
