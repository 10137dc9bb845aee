// The link's encoder and decoder against each other, at random splits, and against hostile bytes.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Encoder } from '../../src/link/encoder.ts';
import * as wire from '../../src/link/protocol.ts';
import { batchOf, encodeFrame, type Frame, Recorder } from '../helpers/link-frames.ts';
import { linkRequest } from '../helpers/link-pair.ts';

const latin1 = (maxLength: number) =>
  fc.uint8Array({ maxLength }).map((bytes) => Buffer.from(bytes).toString('latin1'));
const text = fc.oneof({ weight: 9, arbitrary: latin1(40) }, { weight: 1, arbitrary: latin1(700) });
const fields = fc.array(fc.tuple(text, text), { maxLength: 12 }).map((pairs) => pairs.flat());
const id = fc.integer({ min: 1, max: 0xffff_ffff });
const port = fc.integer({ min: 0, max: 0xffff });

const tls = fc.option(
  fc.record({
    protocol: text,
    cipher: text,
    serverName: fc.option(fc.string({ unit: 'grapheme' })),
    clientCertificate: fc.option(
      fc.record({
        subject: fc.string({ unit: 'grapheme' }),
        fingerprint256: text,
        verified: fc.boolean(),
      }),
    ),
  }),
);

const request: fc.Arbitrary<Frame> = fc
  .record({
    id,
    open: fc.record({
      request: fc.record({
        method: text,
        target: text,
        version: fc.constantFrom('1.0' as const, '1.1' as const, '2.0' as const),
        fields,
      }),
      client: fc.record({
        address: text,
        port,
        peerAddress: text,
        localAddress: text,
        localPort: port,
        scheme: fc.constantFrom('http' as const, 'https' as const),
        tls,
      }),
      requestId: text,
      bodyLength: fc.oneof(
        fc.constant(0),
        fc.constant('unknown' as const),
        fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
      ),
      expectsContinue: fc.boolean(),
    }),
    end: fc.boolean(),
  })
  .map(({ id, open, end }) => ({ type: 'request', id, open, end: end && open.bodyLength === 0 }));

const frame: fc.Arbitrary<Frame> = fc.oneof(
  request,
  fc.record({
    type: fc.constant('response' as const),
    id,
    status: fc.integer({ min: 200, max: 999 }),
    reason: text,
    fields,
    end: fc.boolean(),
  }),
  fc.record({
    type: fc.constant('inform' as const),
    id,
    status: fc.constantFrom(100, 102, 103, 199),
    fields,
  }),
  fc.record({
    type: fc.constant('data' as const),
    id,
    content: fc.oneof(
      latin1(60).filter((content) => content !== ''),
      fc.constantFrom('x'.repeat(wire.DATA_BYTES_MAX), 'y'.repeat(5000)),
    ),
    end: fc.boolean(),
  }),
  fc.record({ type: fc.constant('end' as const), id, trailers: fields }),
  fc.record({
    type: fc.constant('reset' as const),
    id,
    code: text,
    detail: text,
    refused: fc.boolean(),
  }),
  fc.record({ type: fc.constant('credit' as const), id, bytes: id }),
  fc.record({
    type: fc.constantFrom('ping' as const, 'pong' as const),
    value: fc
      .uint8Array({ minLength: 8, maxLength: 8 })
      .map((bytes) => Buffer.from(bytes).toString('latin1')),
  }),
  fc.constant({ type: 'drain' } as const),
);

/** One buffer, whatever the order: frames that follow each other are of different streams, so that
 *  none is joined to the one before it. */
const frames = fc
  .array(frame, { maxLength: 12 })
  .map((all) =>
    all.map((one, index) =>
      'id' in one ? { ...one, id: (((one.id >>> 4) << 4) | (index + 1)) >>> 0 } : one,
    ),
  );

function encode(all: readonly Frame[]): Buffer {
  const encoder = new Encoder();
  for (const one of all) encodeFrame(encoder, one);
  return batchOf(encoder);
}

function decode(bytes: Buffer, cuts: readonly number[]): Frame[] {
  const recorder = new Recorder();
  let from = 0;
  for (const cut of [...cuts, bytes.length]) {
    recorder.decoder.push(bytes.subarray(from, cut));
    from = cut;
  }
  assert.deepEqual(recorder.thrown, []);
  return recorder.frames;
}

const splits = (bytes: Buffer, marks: readonly number[]) =>
  marks.map((mark) => Math.floor(mark * bytes.length)).sort((a, b) => a - b);
const marks = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 20 });

test('what is encoded is decoded, however the bytes are split', () => {
  fc.assert(
    fc.property(frames, marks, (all, cuts) => {
      const bytes = encode(all);
      // The clone has plain prototypes, unlike what fast-check makes.
      assert.deepEqual(decode(bytes, splits(bytes, cuts)), structuredClone(all));
    }),
    { numRuns: 300 },
  );
});

test('fed by single bytes the decoder hears the same frames', () => {
  fc.assert(
    fc.property(frames, (all) => {
      const bytes = encode(all.filter((one) => one.type !== 'data' || one.content.length < 100));
      const cuts = Array.from({ length: bytes.length }, (_, at) => at);
      assert.deepEqual(decode(bytes, cuts), decode(bytes, []));
    }),
    { numRuns: 100 },
  );
});

test('damaged frames never throw, and are decoded alike at any split', () => {
  const damage = fc.array(
    fc.tuple(fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), fc.nat(255)),
    { minLength: 1, maxLength: 6 },
  );
  fc.assert(
    fc.property(frames, damage, marks, fc.boolean(), (all, changes, cuts, cutOff) => {
      let bytes = encode(all);
      for (const [where, value] of changes) {
        const at = Math.floor(where * bytes.length);
        if (at < bytes.length) bytes[at] = value;
      }
      if (cutOff) bytes = bytes.subarray(0, Math.floor(changes[0]![0] * bytes.length));
      const whole = decode(bytes, []);
      assert.deepEqual(decode(bytes, splits(bytes, cuts)), whole);
      const broken = whole.findIndex((one) => one.type === 'broken');
      assert.ok(broken === -1 || broken === whole.length - 1, 'nothing is read after a fault');
    }),
    { numRuns: 500 },
  );
});

test('random bytes never throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), marks, (random, cuts) => {
      const bytes = Buffer.from(random);
      assert.deepEqual(decode(bytes, splits(bytes, cuts)), decode(bytes, []));
    }),
    { numRuns: 500 },
  );
});

/** A frame by hand: header and payload. */
function raw(type: number, stream: number, payload: Buffer, length = payload.length): Buffer {
  const header = Buffer.alloc(8);
  header.writeUIntLE(length, 0, 3);
  header[3] = type;
  header.writeUInt32LE(stream, 4);
  return Buffer.concat([header, payload]);
}

const strings = (...all: string[]) =>
  Buffer.concat([
    Buffer.from([all.length & 255, all.length >>> 8]),
    Buffer.from(all.map((one) => one.length)),
    Buffer.from(all.join(''), 'latin1'),
  ]);
const status = (value: number) => Buffer.from([value & 255, value >>> 8]);

const faults: readonly (readonly [string, Buffer, RegExp])[] = [
  ['an unknown type', raw(11, 1, Buffer.alloc(0)), /type 11 is unknown/],
  ['type 0', raw(0, 1, Buffer.alloc(0)), /type 0 is unknown/],
  ['DATA on stream 0', raw(wire.DATA, 0, Buffer.from('x')), /DATA on stream 0/],
  ['PING on a stream', raw(wire.PING, 1, Buffer.alloc(8)), /PING on stream 1/],
  ['empty DATA', raw(wire.DATA, 1, Buffer.alloc(0)), /DATA of 0 bytes/],
  [
    'DATA above the limit',
    raw(wire.DATA, 1, Buffer.alloc(0), wire.DATA_BYTES_MAX + 1),
    /DATA of \d+ bytes/,
  ],
  [
    'a head above the limit, before it has come',
    raw(wire.RESPONSE, 1, Buffer.alloc(0), wire.HEAD_BYTES_MAX + 1),
    /RESPONSE of \d+ bytes/,
  ],
  ['an unknown flag', raw(wire.DATA | 0x80, 1, Buffer.from('x')), /DATA with flags 128/],
  ['CREDIT of 3 bytes', raw(wire.CREDIT, 1, Buffer.alloc(3)), /CREDIT of 3 bytes/],
  [
    'a field without a value',
    raw(wire.RESPONSE, 1, Buffer.concat([status(200), strings('', 'Name')])),
    /RESPONSE strings/,
  ],
  ['an odd number of trailers', raw(wire.END, 1, strings('Name')), /END strings/],
  [
    'strings longer than the frame',
    raw(wire.END, 1, Buffer.from([2, 0, 200, 200, 65])),
    /END strings/,
  ],
  [
    'strings shorter than the frame',
    raw(wire.END, 1, Buffer.concat([strings('a', 'b'), Buffer.from('c')])),
    /END strings/,
  ],
  ['a count beyond the frame', raw(wire.END, 1, Buffer.from([255, 255, 0, 0, 0])), /END strings/],
  [
    'a long length that is cut off',
    raw(wire.END, 1, Buffer.from([2, 0, 255, 255, 255])),
    /END strings/,
  ],
  [
    'a length of 4 GB',
    raw(wire.END, 1, Buffer.from([2, 0, 255, 255, 255, 255, 255, 0])),
    /END strings/,
  ],
  [
    'status 199 in RESPONSE',
    raw(wire.RESPONSE, 1, Buffer.concat([status(199), strings('')])),
    /status 199/,
  ],
  [
    'status 101 in INFORM',
    raw(wire.INFORM, 1, Buffer.concat([status(101), strings('')])),
    /status 101/,
  ],
  ['a RESET of one string', raw(wire.RESET, 1, strings('CODE')), /RESET strings/],
  [
    'an unknown HTTP version',
    raw(wire.REQUEST, 1, Buffer.concat([Buffer.alloc(14), strings('', '', '', '', '', '')])),
    /REQUEST facts/,
  ],
  [
    'a body length above 2^53',
    raw(
      wire.REQUEST,
      1,
      Buffer.concat([
        Buffer.from([11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x20, 0]),
        strings('', '', '', '', '', ''),
      ]),
    ),
    /REQUEST facts/,
  ],
  [
    'a certificate without TLS',
    raw(
      wire.REQUEST,
      1,
      Buffer.concat([
        Buffer.from([11, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        strings('', '', '', '', '', ''),
      ]),
    ),
    /REQUEST (facts|strings)/,
  ],
  [
    'a request that ends before its content',
    raw(
      wire.REQUEST | wire.FLAG_END,
      1,
      Buffer.concat([
        Buffer.from([11, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0]),
        strings('', '', '', '', '', ''),
      ]),
    ),
    /ends without its content/,
  ],
];

for (const [what, bytes, detail] of faults) {
  test(`${what} breaks the protocol`, () => {
    const heard = decode(Buffer.concat([bytes, raw(wire.DRAIN, 0, Buffer.alloc(0))]), []);
    assert.equal(heard.length, 1);
    assert.equal(heard[0]?.type, 'broken');
    assert.match(heard[0]?.type === 'broken' ? heard[0].detail : '', detail);
  });
}

test('small pieces of one stream are joined into one frame, and END is put on it', () => {
  const encoder = new Encoder();
  encoder.response(1, 200, 'OK', []);
  const before = encoder.bytes;
  for (let piece = 0; piece < 100; piece++) encoder.data(1, Buffer.from('ab'), 0, 2);
  encoder.end(1, []);
  assert.equal(encoder.bytes - before, wire.FRAME_HEADER_BYTES + 200);
  const [, data] = decode(batchOf(encoder), []);
  assert.deepEqual(data, { type: 'data', id: 1, content: 'ab'.repeat(100), end: true });
});

test('large content is not copied, END is still put on it, and more room leaves it whole', () => {
  const encoder = new Encoder();
  const large = Buffer.alloc(wire.COPY_BYTES_MAX, 'L');
  encoder.response(1, 200, '', []);
  encoder.data(1, large, 0, large.length);
  encoder.seal();
  assert.ok(encoder.parts.includes(large));
  encoder.end(1, []);
  encoder.response(2, 200, '', ['A', 'x'.repeat(500_000)]);
  encoder.end(1, ['T', 'v']);
  encoder.data(2, large, 0, large.length);
  encoder.response(3, 200, '', ['A', 'x'.repeat(900_000)]);
  encoder.end(2, []);
  const heard = decode(batchOf(encoder), []);
  assert.deepEqual(
    heard.map((one) => [one.type, 'id' in one && one.id, 'end' in one && one.end]),
    [
      ['response', 1, false],
      ['data', 1, true],
      ['response', 2, false],
      ['end', 1, false],
      ['data', 2, false],
      ['response', 3, false],
      ['end', 2, false],
    ],
  );
});

test('joined pieces stay below the limit of a frame', () => {
  const encoder = new Encoder();
  const piece = Buffer.alloc(3000, 'p');
  for (let count = 0; count < 30; count++) encoder.data(1, piece, 0, piece.length);
  const recorder = new Recorder();
  recorder.decoder.push(batchOf(encoder));
  assert.deepEqual(recorder.frames, [
    { type: 'data', id: 1, content: 'p'.repeat(90_000), end: false },
  ]);
});

test('frames of other streams are not joined or ended', () => {
  const encoder = new Encoder();
  encoder.data(1, Buffer.from('a'), 0, 1);
  encoder.data(2, Buffer.from('b'), 0, 1);
  encoder.end(1, []);
  encoder.data(2, Buffer.from('c'), 0, 1);
  encoder.end(2, []);
  assert.deepEqual(decode(batchOf(encoder), []), [
    { type: 'data', id: 1, content: 'a', end: false },
    { type: 'data', id: 2, content: 'b', end: false },
    { type: 'end', id: 1, trailers: [] },
    { type: 'data', id: 2, content: 'c', end: true },
  ]);
});

test('a batch that was handed down is not touched by what follows', () => {
  const encoder = new Encoder();
  encoder.data(1, Buffer.from('a'), 0, 1);
  encoder.seal();
  const batch = encoder.parts[0]!;
  const copy = Buffer.from(batch);
  encoder.clear(true);
  encoder.data(1, Buffer.from('b'), 0, 1);
  encoder.end(1, []);
  assert.deepEqual(batch, copy);
});

test('a head that is too large is refused and leaves the batch as it was', () => {
  const encoder = new Encoder();
  encoder.drain();
  const { length } = encoder;
  const huge = 'x'.repeat(wire.HEAD_BYTES_MAX);
  assert.equal(encoder.request(1, linkRequest({ target: huge }), true), false);
  assert.equal(encoder.response(1, 200, '', ['A', huge]), false);
  assert.equal(encoder.end(1, ['A', huge]), false);
  assert.equal(encoder.response(1, 200, '', new Array(70_000).fill('')), false);
  assert.equal(encoder.bytes, length);
});

test('what a sink throws is reported, and the frames behind it are heard', () => {
  const recorder = new Recorder();
  let calls = 0;
  recorder.onDrain = () => {
    calls += 1;
    throw new Error('sink');
  };
  recorder.decoder.push(encode([{ type: 'drain' }, { type: 'drain' }]));
  assert.equal(calls, 2);
  assert.equal(recorder.thrown.length, 2);
});
