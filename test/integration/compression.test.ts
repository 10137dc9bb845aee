// Compression over real sockets: what clients get decodes to what the app sent, nothing waits that
// was flushed, and a slow client or one that leaves costs no memory.

import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { get, type IncomingMessage } from 'node:http';
import type { Transform } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { promisify } from 'node:util';
import * as zlib from 'node:zlib';
import type { Config } from '../../src/config/config.ts';
import { encoders } from '../../src/edge/compression/encoders.ts';
import { failure } from '../../src/errors/failure.ts';
import type { Fields } from '../../src/http/exchange.ts';
import { type Taken, workerFactory } from '../helpers/link-workers.ts';
import { randomFrom, seed } from '../helpers/random.ts';
import { type RunningEdge, runEdge } from '../helpers/running-edge.ts';
import { until } from '../helpers/until.ts';

const run = promisify(execFile);
const plain = ['Content-Type', 'text/plain'];
const encodings = [...encoders.keys()];

async function edgeWith(
  t: TestContext,
  serve: (taken: Taken) => void,
  changes: Partial<Config> = {},
): Promise<RunningEdge> {
  const running = await runEdge(t, changes);
  running.edge.pools.admit((await workerFactory(t)(serve)).address);
  return running;
}

/** A decoder that gives what it can as soon as it can. */
function decoder(encoding: string): Transform {
  if (encoding === 'gzip') return zlib.createGunzip();
  if (encoding === 'br') return zlib.createBrotliDecompress();
  return (zlib as unknown as { createZstdDecompress(): Transform }).createZstdDecompress();
}

/** Asks over a connection of its own; resolves with the head. */
function ask(port: number, encoding: string, path = '/'): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const headers = { 'Accept-Encoding': encoding };
    get({ port, host: '127.0.0.1', path, headers, agent: false }, resolve).on('error', reject);
  });
}

async function contentOf(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of stream) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** Sends pieces as fast as the edge takes them; `pause` comes between two of them. */
async function send(
  { exchange }: Taken,
  fields: Fields,
  pieces: Iterable<Uint8Array>,
  pause: () => Promise<void> | null = () => null,
): Promise<void> {
  exchange.respond(200, '', fields);
  for (const piece of pieces) {
    exchange.write(piece);
    await pause();
  }
  exchange.end([]);
}

for (const encoding of encodings) {
  test(`${encoding}: random bodies in random pieces with random pauses, seed ${seed}`, async (t) => {
    const random = randomFrom(seed);
    const bodies = new Map<string, Buffer>();
    const { port, edge } = await edgeWith(t, (taken) => {
      const body = bodies.get(taken.exchange.request.target)!;
      const pieces: Buffer[] = [];
      for (let at = 0; at < body.length; ) {
        const bytes = 1 + random([10, 1000, 70_000][random(3)]!);
        pieces.push(body.subarray(at, at + bytes));
        at += bytes;
      }
      const length = random(2) === 0 ? ['Content-Length', String(body.length)] : [];
      const pause = (): Promise<void> | null => (random(4) === 0 ? nextTurn() : null);
      void send(taken, [...plain, ...length], pieces, pause);
    });
    for (let count = 0; count < 60; count++) {
      const bytes = random([20, 3000, 40_000, 200_000][random(4)]!);
      // Half noise, half repetition.
      const noise = Buffer.alloc(bytes, randomBytes(1 + random(500)));
      bodies.set(`/${count}`, Buffer.concat([noise, randomBytes(random(1 + (bytes >> 2)))]));
    }
    let encoded = 0;
    await Promise.all(
      [...bodies].map(async ([path, body]) => {
        const response = await ask(port, encoding, path);
        const isEncoded = response.headers['content-encoding'] === encoding;
        if (isEncoded) encoded++;
        const got = await contentOf(isEncoded ? response.pipe(decoder(encoding)) : response);
        assert.ok(got.equals(body), `${path}: ${got.length} of ${body.length} bytes`);
      }),
    );
    assert.ok(encoded > 10, `${encoded} were compressed`);
    assert.equal(edge.compressing.inUse, 0);
  });

  test(`${encoding}: events arrive one by one, each before the next is written`, async (t) => {
    let written: Taken | null = null;
    const { port, edge } = await edgeWith(t, (taken) => {
      written = taken;
      taken.exchange.respond(200, '', ['Content-Type', 'text/event-stream']);
    });
    // The head comes before any event.
    const response = await ask(port, encoding);
    assert.equal(response.headers['content-encoding'], encoding);
    const { exchange } = written as unknown as Taken;
    let heard = '';
    response.pipe(decoder(encoding)).on('data', (text: Buffer) => {
      heard += text;
    });
    for (let event = 1; event <= 20; event++) {
      exchange.write(Buffer.from(`data: ${event}\n\n`));
      await until(`event ${event}`, () => heard.endsWith(`data: ${event}\n\n`));
    }
    assert.equal(edge.compressing.inUse, 1);
    exchange.end([]);
    await until('end', () => edge.compressing.inUse === 0);
  });
}

test('lines of a slowly written NDJSON arrive one by one', async (t) => {
  let written: Taken | null = null;
  const { port } = await edgeWith(t, (taken) => {
    written = taken;
    taken.exchange.respond(200, '', ['Content-Type', 'application/x-ndjson']);
    taken.exchange.write(Buffer.from('{"line":0}\n'));
  });
  const response = await ask(port, 'gzip');
  let heard = '';
  response.pipe(decoder('gzip')).on('data', (text: Buffer) => {
    heard += text;
  });
  for (let line = 0; line < 10; line++) {
    await until(`line ${line}`, () => heard.endsWith(`{"line":${line}}\n`));
    (written as unknown as Taken).exchange.write(Buffer.from(`{"line":${line + 1}}\n`));
  }
  (written as unknown as Taken).exchange.end([]);
  await until('the last line', () => heard.endsWith('{"line":10}\n'));
});

test('curl --compressed gets what the app sent, small and large', async (t) => {
  try {
    execFileSync('curl', ['--version'], { stdio: 'ignore' });
  } catch {
    t.skip('no curl here');
    return;
  }
  const body = (bytes: number): Buffer => Buffer.alloc(bytes, 'Wer das liest, hat curl. ');
  const { port } = await edgeWith(t, (taken) => {
    const bytes = Number(taken.exchange.request.target.slice(1));
    void send(taken, [...plain, 'ETag', '"e"', 'Accept-Ranges', 'bytes'], [body(bytes)]);
  });
  for (const bytes of [2000, 300_000]) {
    const args = ['-s', '--compressed', '-i', `http://127.0.0.1:${port}/${bytes}`];
    const { stdout } = await run('curl', args, { maxBuffer: 2 ** 20 });
    const head = stdout.slice(0, stdout.indexOf('\r\n\r\n') + 2);
    assert.equal(stdout.slice(head.length + 2), body(bytes).toString());
    assert.match(head, /^content-encoding: (zstd|gzip)\r$/im);
    assert.match(head, /^vary: Accept-Encoding\r$/im);
    assert.match(head, /^etag: W\/"e"\r$/im);
    assert.doesNotMatch(head, /^accept-ranges/im);
  }
});

test('HEAD says what GET would say, and the weak tag is confirmed by 304', async (t) => {
  const fields = [...plain, 'ETag', '"e"', 'Content-Length', '5000'];
  const { connect } = await edgeWith(t, (taken) => {
    const { exchange } = taken;
    // As an app that compares weakly, which is how If-None-Match compares.
    if (exchange.request.fields.includes('W/"e"')) exchange.respond(304, '', ['ETag', '"e"']);
    else exchange.respond(200, '', fields);
    if (exchange.request.method === 'GET') exchange.write(Buffer.alloc(5000, 'x'));
    exchange.end([]);
  });
  const client = connect();
  const rest = 'HTTP/1.1\r\nHost: test\r\nAccept-Encoding: gzip\r\n';
  const head = await client.send(`HEAD / ${rest}\r\n`).response('HEAD');
  const got = await client.send(`GET / ${rest}\r\n`).response();
  for (const name of ['content-encoding', 'etag', 'vary', 'content-type'])
    assert.equal(head.fields.get(name), got.fields.get(name), name);
  assert.equal(head.fields.get('content-length'), undefined);
  assert.equal(got.fields.get('etag'), 'W/"e"');
  const known = await client.send(`GET / ${rest}If-None-Match: W/"e"\r\n\r\n`).response();
  assert.equal(known.status, 304);
  assert.equal(known.fields.get('etag'), 'W/"e"');
  assert.equal(known.fields.get('vary'), 'Accept-Encoding');
});

test('the access log counts the bytes on the wire', async (t) => {
  const { port, edge } = await edgeWith(
    t,
    (taken) => void send(taken, plain, [Buffer.alloc(9000)]),
  );
  const settled: number[] = [];
  const listener = edge as unknown as {
    onSettled(exchange: { record: { responseBytes: number } }): void;
  };
  const original = listener.onSettled.bind(edge);
  listener.onSettled = (exchange) => {
    settled.push(exchange.record.responseBytes);
    original(exchange);
  };
  const response = await ask(port, 'gzip');
  const wire = await contentOf(response);
  assert.ok(wire.length < 1000);
  await until('settling', () => settled.length > 0);
  assert.deepEqual(settled, [wire.length]);
});

test('100 MB for a client that reads nothing: the app waits, and memory is bounded', async (t) => {
  let sent = 0;
  let isOver = false;
  // Base64 of noise shrinks by a quarter only, so that the client has something not to read.
  const piece = Buffer.from(randomBytes(48_000).toString('base64'));
  const { connect, edge } = await edgeWith(t, (taken) => {
    const { exchange } = taken;
    const fill = (): void => {
      while (sent < 100e6 && !isOver) {
        sent += piece.length;
        if (!exchange.write(piece)) return;
      }
    };
    taken.onDrain = fill;
    taken.onClose = () => {
      isOver = true;
    };
    exchange.respond(200, '', plain);
    fill();
  });
  const before = process.memoryUsage.rss();
  const client = connect();
  client.socket.pause();
  client.send('GET / HTTP/1.1\r\nHost: test\r\nAccept-Encoding: gzip\r\n\r\n');
  // The kernel's buffers take some MB; then nothing moves any more.
  for (let still = 0, last = -1; still < 50; still++) {
    if (sent !== last) still = 0;
    last = sent;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.ok(sent > 0 && sent < 25e6, `${sent} bytes were taken`);
  const grown = process.memoryUsage.rss() - before;
  assert.ok(grown < 60e6, `memory grew by ${grown} bytes`);
  const stalledAt = sent;
  client.socket.resume();
  await until('more', () => sent > stalledAt + 2e6);
  assert.equal(edge.compressing.inUse, 1);
  client.leave();
  await until('the end at the app', () => isOver);
  await until('the slot', () => edge.compressing.inUse === 0);
});

test('a slow client that reads on gets it all', async (t) => {
  const pieces = Array.from({ length: 60 }, () => Buffer.from(randomBytes(48_000).toString('hex')));
  const { port } = await edgeWith(t, (taken) => void send(taken, plain, pieces));
  const response = await ask(port, 'gzip');
  const digest = createHash('sha1');
  let count = 0;
  for await (const piece of response.pipe(decoder('gzip'))) {
    digest.update(piece as Buffer);
    if (count++ % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const expected = createHash('sha1').update(Buffer.concat(pieces)).digest('hex');
  assert.equal(digest.digest('hex'), expected);
});

test('clients that leave and apps that fail midway leave nothing behind', async (t) => {
  const random = randomFrom(seed);
  const streams: Transform[] = [];
  for (const encoder of encoders.values() as Iterable<{ stream(): Transform }>) {
    const open = encoder.stream;
    encoder.stream = () => {
      const stream = open();
      streams.push(stream);
      return stream;
    };
    t.after(() => {
      encoder.stream = open;
    });
  }
  let over = 0;
  const { connect, edge } = await edgeWith(t, (taken) => {
    const { exchange } = taken;
    taken.onClose = () => {
      over++;
    };
    exchange.respond(200, '', plain);
    exchange.write(Buffer.alloc(40_000 + random(100_000), 'abc '));
    if (exchange.request.target === '/fails')
      setImmediate(() => exchange.fail(failure('WORKER_RESET')));
  });
  const accept = `HTTP/1.1\r\nHost: test\r\nAccept-Encoding: ${encodings.join(', ')}\r\n\r\n`;
  for (let count = 0; count < 30; count++) {
    const client = connect().send(`GET ${random(2) === 0 ? '/fails' : '/'} ${accept}`);
    for (let turns = random(20); turns > 0; turns--) await nextTurn();
    if (random(2) === 0) client.leave();
    else client.reset();
  }
  await until('the end of all', () => edge.listener.requestsInFlight === 0);
  await until('the slots', () => edge.compressing.inUse === 0);
  assert.ok(over <= 30);
  assert.ok(streams.length > 0);
  await until("zlib's memory", () => streams.every((stream) => stream.closed));
});

test('where the bound is reached, others pass as they are', async (t) => {
  const taken: Taken[] = [];
  const { port, edge } = await edgeWith(
    t,
    (one) => {
      taken.push(one);
      one.exchange.respond(200, '', [...plain, 'ETag', '"e"']);
      one.exchange.write(Buffer.from('first'));
    },
    { compressStreams: 1 },
  );
  const first = await ask(port, 'gzip');
  const second = await ask(port, 'gzip');
  assert.equal(first.headers['content-encoding'], 'gzip');
  assert.equal(second.headers['content-encoding'], undefined);
  assert.equal(second.headers.vary, 'Accept-Encoding');
  assert.equal(second.headers.etag, '"e"');
  for (const { exchange } of taken) exchange.end([]);
  assert.equal((await contentOf(second)).toString(), 'first');
  assert.equal((await contentOf(first.pipe(decoder('gzip')))).toString(), 'first');
  assert.equal(edge.compressing.inUse, 0);
  const third = await ask(port, 'gzip');
  assert.equal(third.headers['content-encoding'], 'gzip');
  third.destroy();
});

test('--no-compress leaves all responses alone, from the next reload on', async (t) => {
  const { port, configure } = await edgeWith(
    t,
    (taken) => void send(taken, plain, [Buffer.alloc(9000)]),
  );
  assert.equal((await ask(port, 'gzip')).headers['content-encoding'], 'gzip');
  configure({ compress: false });
  const response = await ask(port, 'gzip');
  assert.equal(response.headers['content-encoding'], undefined);
  assert.equal(response.headers.vary, undefined);
});
