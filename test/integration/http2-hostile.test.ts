// What an HTTP/2 connection at the edge does with broken and hostile clients: frames sent by hand.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { echo, startEdge } from '../helpers/edge-listener.ts';
import {
  ACK,
  ask,
  block,
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  FrameClient,
  frame,
  GOAWAY,
  get,
  HEADERS,
  h2c,
  PING,
  PRIORITY,
  PUSH_PROMISE,
  post,
  RST_STREAM,
  SETTINGS,
  uint32,
  WINDOW_UPDATE,
} from '../helpers/http2-client.ts';

const on = { h2c: true };
const WHOLE = END_STREAM | END_HEADERS;

const NO_ERROR = 0;
const PROTOCOL_ERROR = 1;
const FLOW_CONTROL_ERROR = 3;
const FRAME_SIZE_ERROR = 6;
const CANCEL = 8;
const COMPRESSION_ERROR = 9;
const ENHANCE_YOUR_CALM = 11;

const head = (...more: string[]) => [
  ...[':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'a'],
  ...more,
];

/** Refused by the edge, with a status as in HTTP/1.1. */
const refused: readonly (readonly [string, readonly string[], number, RegExp])[] = [
  ['a Host that is not the authority', head('host', 'b'), 400, /BAD_HOST/],
  ['two Hosts', [...head().slice(0, 6), 'host', 'a', 'host', 'a'], 400, /BAD_HOST/],
  ['an authority with a user', head().with(7, 'me@a'), 400, /BAD_HOST/],
  ['an authority that is no host', head().with(7, 'a b'), 400, /BAD_HOST/],
  ['a path that is a URI', head().with(5, 'http://a/'), 400, /BAD_TARGET/],
  ['a fragment in the path', head().with(5, '/a#b'), 400, /BAD_TARGET/],
  ['GET *', head().with(5, '*'), 400, /BAD_TARGET/],
  ['another scheme', head().with(3, 'ftp'), 400, /BAD_TARGET/],
  ['two Content-Types', head('content-type', 'a/b', 'content-type', 'c/d'), 400, /BAD_FIELD/],
  ['a Content-Length that is no number', head('content-length', '+1'), 400, /BAD_LENGTH/],
  ['an unknown expectation', head('expect', 'x'), 417, /EXPECTATION_UNKNOWN/],
  ['a long path', head().with(5, `/${'a'.repeat(5000)}`), 414, /LINE_TOO_LONG/],
  ['a long field', head('x', 'y'.repeat(9000)), 431, /FIELD_TOO_LARGE/],
  [
    'a Cookie that is long in all',
    head('cookie', 'a'.repeat(5000), 'cookie', 'b'.repeat(5000)),
    431,
    /FIELD_TOO_LARGE/,
  ],
  [
    'many fields',
    head(...Array.from({ length: 101 }, (_, at) => [`x${at}`, 'y']).flat()),
    431,
    /FIELDS_TOO_MANY/,
  ],
  ['TRACE', head().with(1, 'TRACE'), 405, /METHOD_NOT_ALLOWED/],
  ['CONNECT', [':method', 'CONNECT', ':authority', 'a:1'], 405, /METHOD_NOT_ALLOWED/],
];

for (const [what, fields, status, code] of refused) {
  test(`${what}: ${status} or a reset stream, and the connection goes on`, async (t) => {
    const edge = await startEdge(t, echo, on);
    const client = new FrameClient(t, edge.port);
    client.send(frame(HEADERS, WHOLE, 1, block(fields)));
    client.send(frame(HEADERS, WHOLE, 3, get()));
    await client.answered(3);
    const reset = client.frames.find((one) => one.type === RST_STREAM && one.stream === 1);
    if (reset !== undefined) assert.equal(reset.payload.readUInt32BE(0), PROTOCOL_ERROR);
    else {
      assert.match(client.content(1), new RegExp(`^${status} `));
      assert.match(client.content(1), code);
    }
    assert.equal(edge.heard.length, 1);
  });
}

/** Refused by node:http2: the stream is reset, and no handler sees anything of it. */
const malformed: readonly (readonly [string, readonly string[]])[] = [
  ['a pseudo-header field twice', [...head(), ':path', '/b']],
  ['an unknown pseudo-header field', [':foo', 'bar', ...head()]],
  ['a pseudo-header field after others', [...head().slice(0, 6), 'x', 'y', ':authority', 'a']],
  ['no method', head().slice(2)],
  ['no scheme', head().toSpliced(2, 2)],
  ['no path', head().toSpliced(4, 2)],
  ['an empty path', head().with(5, '')],
  ['a response field', head().with(0, ':status').with(1, '200')],
  ['upper case in a name', head('X-Upper', 'y')],
  ['Connection', head('connection', 'keep-alive')],
  ['Keep-Alive', head('keep-alive', '1')],
  ['Proxy-Connection', head('proxy-connection', 'x')],
  ['Transfer-Encoding', head('transfer-encoding', 'chunked')],
  ['Upgrade', head('upgrade', 'h2c')],
  ['TE that is not trailers', head('te', 'gzip')],
  ['two Content-Lengths', head('content-length', '0', 'content-length', '0')],
  ['content announced and not sent', head('content-length', '5')],
  [
    'extended CONNECT, which was not offered',
    [':protocol', 'websocket', ...head().with(1, 'CONNECT')],
  ],
];

for (const [what, fields] of malformed) {
  test(`${what}: the stream is reset, and the connection goes on`, async (t) => {
    const edge = await startEdge(t, echo, on);
    const client = new FrameClient(t, edge.port);
    client.send(frame(HEADERS, WHOLE, 1, block(fields)));
    assert.equal(await client.reset(1), PROTOCOL_ERROR);
    client.send(frame(HEADERS, WHOLE, 3, get()));
    await client.answered(3);
    assert.equal(edge.heard.length, 1);
  });
}

for (const [what, name, value] of [
  ['a control byte in a value', 'x', 'a\x01b'],
  ['a line end in a value', 'x', 'a\r\nb: c'],
  ['NUL in a value', 'x', 'a\0b'],
  ['a space in a name', 'x y', 'z'],
  ['a colon in a name', 'x:y', 'z'],
] as const) {
  test(`${what}: no handler sees the field`, async (t) => {
    const edge = await startEdge(t, echo, on);
    const client = new FrameClient(t, edge.port);
    client.send(frame(HEADERS, WHOLE, 1, block(head(name, value, 'ok', '1'))));
    client.send(frame(HEADERS, WHOLE, 3, get()));
    await client.answered(3);
    for (const { exchange } of edge.heard)
      assert.ok(!exchange.request.fields.includes(value), exchange.request.fields.join());
  });
}

test('content of another length than announced ends its stream alone', async (t) => {
  const edge = await startEdge(t, echo, on);
  const client = new FrameClient(t, edge.port);
  client.send(frame(HEADERS, END_HEADERS, 1, post('content-length', '3')));
  client.send(frame(DATA, END_STREAM, 1, Buffer.from('ab')));
  client.send(frame(HEADERS, END_HEADERS, 3, post('content-length', '3')));
  client.send(frame(DATA, END_STREAM, 3, Buffer.from('abcd')));
  client.send(frame(HEADERS, END_HEADERS, 5, post('content-length', '3')));
  client.send(frame(DATA, END_STREAM, 5, Buffer.from('abc')));
  assert.equal(await client.reset(1), PROTOCOL_ERROR);
  assert.equal(await client.reset(3), PROTOCOL_ERROR);
  await client.answered(5);
  assert.equal(client.content(5), 'POST / abc');
  await edge.until('end of all', () => edge.settled.length === 3);
  assert.deepEqual(edge.settled.map(({ record }) => record.failure?.code ?? 'none').sort(), [
    'HTTP2_STREAM',
    'HTTP2_STREAM',
    'none',
  ]);
  for (const heard of edge.heard) assert.equal(heard.closes.length, 1);
});

test('content over the limit: 413, and the connection goes on', async (t) => {
  const edge = await startEdge(t, echo, on);
  (edge.options as { limits: object }).limits = { ...edge.options.limits, bodyBytes: 1000 };
  const session = h2c(t, edge.port);
  const announced = await ask(session, '/', {
    headers: { 'content-length': '2000' },
    body: 'x'.repeat(2000),
  });
  assert.equal(announced.status, 413);
  const streamed = await ask(session, '/', { body: 'x'.repeat(2000) });
  assert.equal(streamed.status, 413);
  assert.equal((await ask(session, '/', { body: 'x' })).status, 200);
});

test('a request on a stream that was reset in the midst of its content is told so', async (t) => {
  const edge = await startEdge(t, echo, on);
  const client = new FrameClient(t, edge.port);
  client.send(frame(HEADERS, END_HEADERS, 1, post()));
  client.send(frame(DATA, 0, 1, Buffer.from('ab')));
  const heard = await edge.until('content', () => edge.heard.find(({ body }) => body === 'ab'));
  client.send(frame(RST_STREAM, 0, 1, uint32(CANCEL)));
  await edge.until('end', () => heard.closes.length === 1);
  assert.equal(heard.closes[0]?.code, 'CLIENT_LEFT');
  assert.equal(heard.trailers, null);
});

test('more streams than allowed are refused, and those that are allowed are answered', async (t) => {
  const waiting: (() => void)[] = [];
  const edge = await startEdge(t, (heard) => void waiting.push(() => echo(heard)), {
    ...on,
    http2MaxConcurrentStreams: 3,
  });
  const client = new FrameClient(t, edge.port);
  for (let id = 1; id <= 9; id += 2) client.send(frame(HEADERS, WHOLE, id, get(`/${id}`)));
  await client.reset(9);
  assert.equal(edge.heard.length, 3);
  for (const answer of waiting) answer();
  await client.answered(5);
});

test('more streams than allowed of a client that knows the limit: the connection ends', async (t) => {
  const edge = await startEdge(t, () => {}, { ...on, http2MaxConcurrentStreams: 3 });
  const client = new FrameClient(t, edge.port);
  await client.frame('SETTINGS', ({ type }) => type === SETTINGS);
  client.send(frame(SETTINGS, ACK, 0));
  for (let id = 1; id <= 9; id += 2) client.send(frame(HEADERS, WHOLE, id, get()));
  assert.equal(await client.goaway(), PROTOCOL_ERROR);
  assert.equal(edge.heard.length, 3);
  for (const heard of edge.heard) assert.equal(heard.closes.length, 1);
});

// ── connection errors ──

const connectionErrors: readonly (readonly [string, readonly Uint8Array[], number])[] = [
  ['DATA on stream 0', [frame(DATA, 0, 0, Buffer.from('x'))], PROTOCOL_ERROR],
  ['DATA on a stream that is not open', [frame(DATA, 0, 1, Buffer.from('x'))], PROTOCOL_ERROR],
  ['HEADERS on an even stream', [frame(HEADERS, WHOLE, 2, get())], PROTOCOL_ERROR],
  ['PUSH_PROMISE', [frame(PUSH_PROMISE, END_HEADERS, 1, uint32(2))], PROTOCOL_ERROR],
  ['CONTINUATION without HEADERS', [frame(CONTINUATION, END_HEADERS, 1, get())], PROTOCOL_ERROR],
  [
    'another frame within a header block',
    [frame(HEADERS, END_STREAM, 1, get()), frame(PING, 0, 0, Buffer.alloc(8))],
    PROTOCOL_ERROR,
  ],
  ['a PING of 7 bytes', [frame(PING, 0, 0, Buffer.alloc(7))], FRAME_SIZE_ERROR],
  ['SETTINGS of 5 bytes', [frame(SETTINGS, 0, 0, Buffer.alloc(5))], FRAME_SIZE_ERROR],
  ['a window update of 0', [frame(WINDOW_UPDATE, 0, 0, uint32(0))], PROTOCOL_ERROR],
  ['a window that overflows', [frame(WINDOW_UPDATE, 0, 0, uint32(0x7fffffff))], FLOW_CONTROL_ERROR],
  ['a frame that is too large', [frame(DATA, 0, 1, Buffer.alloc(16_385))], FRAME_SIZE_ERROR],
  [
    'a header block that can not be decoded',
    [frame(HEADERS, WHOLE, 1, Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff]))],
    COMPRESSION_ERROR,
  ],
];

// All at once: each waits a second for the answer to a PING that such a client does not give.
describe('connection errors', { concurrency: true }, () => {
  for (const [what, frames, code] of connectionErrors) {
    test(`${what}: GOAWAY and the end`, async (t) => {
      const edge = await startEdge(t, echo, { ...on, headerTimeoutMs: 500, keepAliveMs: 500 });
      const client = new FrameClient(t, edge.port);
      client.send(...frames);
      const found = await client.goaway();
      assert.ok(found === code || found === PROTOCOL_ERROR, `code ${found}`);
      assert.equal(edge.heard.length, 0);
      await edge.until('end of the connection', () => edge.listener.connections === 0);
    });
  }
});

test('what is no HTTP/2 after its preface: the end, without a word to any handler', async (t) => {
  const edge = await startEdge(t, echo, on);
  const client = new FrameClient(t, edge.port, { settings: false });
  client.send('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(10));
  await client.closed();
  assert.equal(edge.heard.length, 0);
});

// ── floods ──

async function calmed(edge: Awaited<ReturnType<typeof startEdge>>, client: FrameClient) {
  const code = await client.goaway();
  assert.ok(code === ENHANCE_YOUR_CALM || code === PROTOCOL_ERROR, `code ${code}`);
  await edge.until('end of the connection', () => edge.listener.connections === 0);
  assert.match(edge.logged.join('\n'), /ended HTTP\/2 connections/);
  assert.equal(edge.listener.requestsInFlight, 0);
}

/** Sends it again and again until the connection closes. */
async function flood(client: FrameClient, make: (at: number) => Uint8Array): Promise<void> {
  for (let at = 0; at < 20_000 && !client.isClosed; at++) {
    const pieces: Uint8Array[] = [];
    for (let one = 0; one < 100; one++) pieces.push(make(at * 100 + one));
    client.send(Buffer.concat(pieces));
    if (client.socket.writableLength > 1024 * 1024)
      await Promise.race([
        new Promise((resolve) => client.socket.once('drain', resolve)),
        client.closed(),
      ]);
    else await new Promise((resolve) => setImmediate(resolve));
    if (client.frames.some(({ type }) => type === GOAWAY)) return;
  }
}

test('rapid reset (CVE-2023-44487): GOAWAY, and the handlers hear of each reset', async (t) => {
  const edge = await startEdge(t, () => {}, on);
  const client = new FrameClient(t, edge.port);
  await flood(client, (at) => {
    const id = at * 2 + 1;
    return Buffer.concat([
      frame(HEADERS, WHOLE, id, get()),
      frame(RST_STREAM, 0, id, uint32(CANCEL)),
    ]);
  });
  await calmed(edge, client);
  assert.ok(edge.heard.length < 3000, `${edge.heard.length} requests`);
  for (const heard of edge.heard) assert.equal(heard.closes.length, 1);
});

test('resets that the client provokes count like its own (CVE-2025-8671)', async (t) => {
  const edge = await startEdge(t, () => {}, on);
  const client = new FrameClient(t, edge.port);
  await flood(client, (at) => {
    const id = at * 2 + 1;
    return Buffer.concat([
      frame(HEADERS, WHOLE, id, get()),
      frame(WINDOW_UPDATE, 0, id, uint32(0)),
    ]);
  });
  await calmed(edge, client);
  assert.ok(edge.heard.length < 3000, `${edge.heard.length} requests`);
});

test('a page that is left while it loads may reset its hundred requests', async (t) => {
  const edge = await startEdge(t, () => {}, on);
  const session = h2c(t, edge.port);
  const streams = Array.from({ length: 100 }, () => session.request({}));
  for (const stream of streams) stream.on('error', () => {});
  await edge.until('requests', () => edge.heard.length === 100);
  for (const stream of streams) stream.close(CANCEL);
  await edge.until('end of all', () => edge.settled.length === 100);
  assert.equal(session.destroyed, false);
  assert.equal(edge.listener.connections, 1);
});

const floods: readonly (readonly [string, (at: number) => Uint8Array])[] = [
  ['PING', () => frame(PING, 0, 0, Buffer.alloc(8))],
  ['SETTINGS', () => frame(SETTINGS, 0, 0)],
  ['PRIORITY', () => frame(PRIORITY, 0, 1, Buffer.alloc(5))],
  ['WINDOW_UPDATE', () => frame(WINDOW_UPDATE, 0, 0, uint32(1))],
  ['unknown frames', () => frame(0xbe, 0, 0, Buffer.alloc(1000))],
];

for (const [what, make] of floods) {
  test(`a flood of ${what}: GOAWAY`, async (t) => {
    const edge = await startEdge(t, echo, on);
    const client = new FrameClient(t, edge.port);
    client.send(frame(HEADERS, WHOLE, 1, get()));
    await client.answered(1);
    await flood(client, make);
    await calmed(edge, client);
  });
}

test('a flood of empty DATA: GOAWAY', async (t) => {
  const edge = await startEdge(t, echo, on);
  const client = new FrameClient(t, edge.port);
  client.send(frame(HEADERS, END_HEADERS, 1, post()));
  await flood(client, () => frame(DATA, 0, 1));
  await calmed(edge, client);
});

test('a flood of CONTINUATION: GOAWAY, and no handler sees anything', async (t) => {
  const edge = await startEdge(t, echo, on);
  const client = new FrameClient(t, edge.port);
  client.send(frame(HEADERS, END_STREAM, 1, get()));
  await flood(client, (at) => frame(CONTINUATION, 0, 1, block([`x${at}`, 'y'])));
  await calmed(edge, client);
  assert.equal(edge.heard.length, 0);
});

test('a header list without end: the stream or the connection ends', async (t) => {
  const edge = await startEdge(t, echo, on);
  const client = new FrameClient(t, edge.port);
  // One large field, then a reference to it a thousand times: 4 KB become 4 MB.
  const field = Buffer.concat([Buffer.from([0x40]), block(['x', 'y'.repeat(4000)]).subarray(1)]);
  const bomb = Buffer.concat([get(), field, Buffer.alloc(1000, 0x80 | 62)]);
  client.send(frame(HEADERS, WHOLE, 1, bomb));
  await client.frame(
    'an end',
    ({ type }) => type === RST_STREAM || type === GOAWAY || type === HEADERS,
  );
  assert.equal(edge.heard.length, 0);
});

test('many streams whose answers nobody takes: bounded, and ended after sendTimeoutMs', async (t) => {
  const piece = Buffer.alloc(64 * 1024);
  let written = 0;
  const edge = await startEdge(
    t,
    (heard) => {
      heard.exchange.respond(200, '', []);
      do written += piece.length;
      while (heard.exchange.write(piece));
    },
    { ...on, sendTimeoutMs: 200 },
  );
  const client = new FrameClient(t, edge.port);
  for (let id = 1; id < 200; id += 2) client.send(frame(HEADERS, WHOLE, id, get()));
  await edge.until('requests', () => edge.heard.length === 100);
  assert.ok(written <= 100 * 2 * piece.length, `${written} bytes`);
  await edge.until('end of all', () => edge.settled.length === 100);
  for (const { record } of edge.settled) assert.equal(record.failure?.code, 'SEND_TIMEOUT');
});

test('a client that reads nothing at all is cut off after sendTimeoutMs', async (t) => {
  const edge = await startEdge(
    t,
    (heard) => {
      heard.exchange.respond(200, '', []);
      const send = () => {
        while (heard.exchange.write(Buffer.alloc(64 * 1024)));
      };
      heard.onRoom = send;
      send();
    },
    { ...on, sendTimeoutMs: 200 },
  );
  const client = new FrameClient(t, edge.port);
  client.socket.pause();
  client.send(frame(SETTINGS, 0, 0, Buffer.concat([Buffer.from([0, 4]), uint32(0x7fffffff)])));
  client.send(frame(WINDOW_UPDATE, 0, 0, uint32(0x7fff0000)));
  client.send(frame(HEADERS, WHOLE, 1, get()));
  await edge.until(
    'end of the connection',
    () => edge.settled.length === 1 && edge.listener.connections === 0,
  );
  assert.equal(edge.settled[0]!.record.failure?.code, 'SEND_TIMEOUT');
});

test('GOAWAY of a client: what is open is answered, then the connection ends', async (t) => {
  const waiting: (() => void)[] = [];
  const edge = await startEdge(t, (heard) => void waiting.push(() => echo(heard)), on);
  const client = new FrameClient(t, edge.port);
  client.send(frame(HEADERS, WHOLE, 1, get()));
  await edge.until('request', () => waiting.length === 1);
  client.send(frame(GOAWAY, 0, 0, Buffer.concat([uint32(0), uint32(NO_ERROR)])));
  await new Promise((resolve) => setImmediate(resolve));
  waiting[0]!();
  await client.answered(1);
  await client.closed();
});
