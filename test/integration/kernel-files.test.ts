// Files that the kernel sends on by itself: whole and in order at readers of any kind, counted, limited in time, and given back.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  closeSync,
  fsyncSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { connect as dial } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { staticMount } from '../../src/config/static-mounts.ts';
import { Http1Connection } from '../../src/edge/listener/http1-connection.ts';
import type { LocatedFile } from '../../src/edge/static/representation.ts';
import { streamFile } from '../../src/edge/static/stream.ts';
import type { Exchange } from '../../src/http/exchange.ts';
import type { ByteRange } from '../../src/http/ranges.ts';
import { native } from '../../src/native/native.ts';
import { startEdge } from '../helpers/edge-listener.ts';
import { needs } from '../helpers/need.ts';
import { type Random, randomFrom, seed } from '../helpers/random.ts';
import { readSlowly } from '../helpers/read-slowly.ts';
import { runEdge } from '../helpers/running-edge.ts';
import { until } from '../helpers/until.ts';

const SIZE = 24 * 1024 * 1024;
const compiled = { skip: native === null ? 'needs Linux and a C compiler' : false };
const sha = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

function randomBytes(random: Random, length: number): Buffer {
  const words = new Uint32Array(length / 4);
  for (let at = 0; at < words.length; at++) words[at] = random(2 ** 32);
  return Buffer.from(words.buffer);
}

function madeFile(t: TestContext, content: Buffer): string {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'portico-kernel-')));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const path = join(dir, 'file.bin');
  writeFileSync(path, content);
  return path;
}

/** An edge that answers each request with pieces of the file. */
async function serve(
  t: TestContext,
  path: string,
  { sendTimeoutMs = 10_000, size = SIZE }: { sendTimeoutMs?: number; size?: number } = {},
) {
  const edge = await startEdge(t, undefined, { sendTimeoutMs }, { attach: 'later' });
  const answer = (exchange: Exchange, pieces: readonly (string | ByteRange)[]) => {
    const bytes = pieces.reduce(
      (sum, piece) =>
        sum + (typeof piece === 'string' ? piece.length : piece.end - piece.start + 1),
      0,
    );
    exchange.respond(200, '', ['Content-Length', String(bytes)]);
    const file = { stats: { size } } as LocatedFile;
    const fd = openSync(path, 'r');
    streamFile(exchange, { fd, file, blocks: null, kept: null }, pieces);
  };
  const next = () => edge.until('a request', () => edge.waiting.shift());
  return { ...edge, answer, next };
}

const whole: readonly ByteRange[] = [{ start: 0, end: SIZE - 1 }];
const request = 'GET /file HTTP/1.1\r\nHost: test\r\n\r\n';

/** How many descriptors of this process are open to the file, where that can be seen. */
function descriptorsTo(path: string): number {
  if (process.platform !== 'linux') return 0;
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(path);
    } catch {
      return false;
    }
  }).length;
}

for (const kind of ['tcp', 'unix'] as const)
  test(`${kind}: pieces for pipelined requests arrive in order at a slow reader (seed ${seed})`, async (t) => {
    const random = randomFrom(seed);
    const content = randomBytes(random, SIZE);
    const edge = await serve(t, madeFile(t, content));
    const client = kind === 'tcp' ? dial(edge.port, '127.0.0.1') : dial(edge.path);
    t.after(() => client.destroy());
    const received = readSlowly(client, random);
    const count = 6;
    client.write(
      request.repeat(count - 1) + request.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'),
    );
    const expected: Buffer[] = [];
    for (let at = 0; at < count; at++) {
      const pieces: (string | ByteRange)[] = [];
      for (let left = 1 + random(3); left > 0; left--) {
        const start = random(SIZE);
        const end = start + random(random(2) === 0 ? 2000 : SIZE - start);
        pieces.push({ start, end: Math.min(end, SIZE - 1) });
        if (random(2) === 0) pieces.push(`-- ${at} --`);
      }
      edge.answer(await edge.next(), pieces);
      for (const piece of pieces)
        expected.push(
          typeof piece === 'string'
            ? Buffer.from(piece)
            : content.subarray(piece.start, piece.end + 1),
        );
    }
    const all = await received;
    // Heads between the contents.
    let at = 0;
    const contents: Buffer[] = [];
    for (let answers = 0; answers < count; answers++) {
      const headEnd = all.indexOf('\r\n\r\n', at) + 4;
      const length = Number(/content-length: (\d+)/i.exec(all.toString('latin1', at, headEnd))![1]);
      contents.push(all.subarray(headEnd, headEnd + length));
      at = headEnd + length;
    }
    assert.equal(at, all.length);
    assert.equal(sha(Buffer.concat(contents)), sha(Buffer.concat(expected)));
    assert.deepEqual(
      edge.settled.map(({ record }) => record.responseBytes),
      contents.map(({ length }) => length),
    );
  });

test('many clients at once get the same file whole', async (t) => {
  const content = randomBytes(randomFrom(seed), SIZE);
  const path = madeFile(t, content);
  const edge = await serve(t, path);
  const received = Array.from({ length: 8 }, (_, at) => {
    const client = dial(edge.port, '127.0.0.1');
    t.after(() => client.destroy());
    client.write(request.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'));
    return readSlowly(client, randomFrom(seed + at));
  });
  for (const _ of received) edge.answer(await edge.next(), whole);
  for (const answer of await Promise.all(received))
    assert.equal(sha(answer.subarray(answer.length - SIZE)), sha(content));
  await until('all descriptors closed', () => descriptorsTo(path) === 0);
});

test('a client that takes nothing is cut off in time, and what it got is counted', async (t) => {
  const path = madeFile(t, Buffer.alloc(SIZE, 'x'));
  const edge = await serve(t, path, { sendTimeoutMs: 300 });
  const client = edge.connect().send(request);
  client.socket.pause();
  edge.answer(await edge.next(), whole);
  const { record } = await edge.until('the end', () => edge.settled[0]);
  assert.equal(record.failure?.code, 'SEND_TIMEOUT');
  assert.ok(record.responseBytes > 0 && record.responseBytes < SIZE, `${record.responseBytes}`);
  await until('the descriptor closed', () => descriptorsTo(path) === 0);
});

for (const how of ['leave', 'reset'] as const)
  test(`a client that goes in the midst (${how}) has left, and what it got is counted`, async (t) => {
    const path = madeFile(t, Buffer.alloc(SIZE, 'x'));
    const edge = await serve(t, path);
    const client = edge.connect().send(request);
    edge.answer(await edge.next(), whole);
    await client.take('xxxx');
    client.socket.pause();
    client[how]();
    const { record } = await edge.until('the end', () => edge.settled[0]);
    assert.equal(record.failure?.code, 'CLIENT_LEFT');
    assert.ok(record.responseBytes > 0 && record.responseBytes <= SIZE, `${record.responseBytes}`);
    await until('the descriptor closed', () => descriptorsTo(path) === 0);
    await until('no connection', () => edge.listener.connections === 0);
  });

test('who connects in the turn in which another goes in the midst of a file is served', async (t) => {
  const edge = await serve(t, madeFile(t, Buffer.alloc(SIZE, 'x')));
  for (let times = 0; times < 20; times++) {
    const first = edge.connect().send(request);
    edge.answer(await edge.next(), whole);
    await first.take('xxxx');
    first.reset();
    // It gets the number of the descriptor that is closed in the same turn.
    const second = edge.connect().send(request);
    edge.answer(await edge.next(), [{ start: 0, end: 9 }]);
    assert.equal((await second.response()).body, 'x'.repeat(10));
    second.leave();
  }
  await until('no connection', () => edge.listener.connections === 0);
});

test('the end of a client that takes a file is told once', compiled, async (t) => {
  const edge = await serve(t, madeFile(t, Buffer.alloc(SIZE, 'x')));
  const client = dial({ port: edge.port, host: '127.0.0.1', allowHalfOpen: true });
  t.after(() => client.destroy());
  const told = t.mock.method(Http1Connection.prototype, 'onClientEnd');
  client.end(request);
  edge.answer(await edge.next(), whole);
  assert.ok((await readSlowly(client, randomFrom(seed))).length > SIZE);
  assert.equal(told.mock.callCount(), 1);
});

test(
  'urgent data, and descriptors that come along, do not hold up what follows',
  needs('python3'),
  async (t) => {
    const edge = await startEdge(t);
    const script = `import socket,sys,array
head=b'GET /a HTTP/1.1\\r\\nHost: test\\r\\n'
def all(s):
  s.settimeout(10)
  got=b''
  while b'GET /a' not in got: got+=s.recv(4096) or exit(1)
tcp=socket.create_connection(('127.0.0.1',int(sys.argv[1])))
tcp.setsockopt(socket.IPPROTO_TCP,socket.TCP_NODELAY,1)
tcp.send(head); tcp.send(b'!',socket.MSG_OOB); tcp.send(b'X: y\\r\\n\\r\\n'); all(tcp)
unix=socket.socket(socket.AF_UNIX); unix.connect(sys.argv[2])
unix.sendmsg([head],[(socket.SOL_SOCKET,socket.SCM_RIGHTS,array.array('i',[0]))]); unix.send(b'X: y\\r\\n\\r\\n'); all(unix)`;
    const python = spawn('python3', ['-c', script, `${edge.port}`, edge.path], {
      stdio: 'inherit',
    });
    const [code] = await once(python, 'exit');
    assert.equal(code, 0);
  },
);

test('a client that has said its last word gets all of a file for longer than a quiet one is waited for', async (t) => {
  const edge = await serve(t, madeFile(t, Buffer.alloc(SIZE, 'x')));
  const client = dial({ port: edge.port, host: '127.0.0.1', allowHalfOpen: true });
  t.after(() => client.destroy());
  client.end(request);
  edge.answer(await edge.next(), whole);
  let bytes = 0;
  const beganMs = performance.now();
  client.on('data', (chunk) => {
    bytes += chunk.length;
    // Most of it within three seconds, the rest at once.
    if (performance.now() - beganMs > 3000) return;
    client.pause();
    setTimeout(() => client.resume(), 10);
  });
  await new Promise((resolve) => client.once('close', resolve));
  assert.ok(bytes > SIZE, `${bytes}`);
  assert.equal(edge.settled[0]!.record.failure, null);
});

test('a file that becomes shorter while it is sent cuts the answer', async (t) => {
  const path = madeFile(t, Buffer.alloc(SIZE, 'x'));
  const edge = await serve(t, path);
  const client = edge.connect().send(request);
  edge.answer(await edge.next(), whole);
  await client.take('xxxx');
  client.socket.pause();
  truncateSync(path, 5000);
  client.socket.resume();
  const { record } = await edge.until('the end', () => edge.settled[0]);
  assert.equal(record.failure?.code, 'FILE_CHANGED');
  assert.ok(record.responseBytes < SIZE);
});

test('a file that is not in memory is read, and sent whole', needs('python3'), async (t) => {
  const content = randomBytes(randomFrom(seed), SIZE);
  const path = madeFile(t, content);
  const edge = await serve(t, path);
  const fd = openSync(path, 'r+');
  fsyncSync(fd);
  closeSync(fd);
  const forget = `import os,sys; f=os.open(sys.argv[1],os.O_RDONLY); os.posix_fadvise(f,0,0,os.POSIX_FADV_DONTNEED)`;
  const client = dial(edge.port, '127.0.0.1');
  t.after(() => client.destroy());
  client.write(request.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'));
  const exchange = await edge.next();
  assert.equal(spawnSync('python3', ['-c', forget, path]).status, 0);
  const received = readSlowly(client, randomFrom(seed));
  edge.answer(exchange, whole);
  const answer = await received;
  assert.equal(sha(answer.subarray(answer.length - SIZE)), sha(content));
});

test('a drain lets a file under way come to its end', async (t) => {
  const edge = await serve(t, madeFile(t, Buffer.alloc(SIZE, 'x')));
  const client = dial(edge.port, '127.0.0.1');
  t.after(() => client.destroy());
  client.write(request);
  edge.answer(await edge.next(), whole);
  const received = readSlowly(client, randomFrom(seed));
  await edge.listener.drain(20_000);
  assert.ok((await received).length > SIZE);
});

test(
  'a large hot file keeps one descriptor, until it is replaced or dropped',
  compiled,
  async (t) => {
    const path = madeFile(t, Buffer.alloc(3_000_000, 'a'));
    const dir = join(path, '..');
    const { connect } = await runEdge(t, { static: [staticMount({ prefix: '/s', dir })] });
    const client = connect();
    const get = async () => {
      client.send('GET /s/file.bin HTTP/1.1\r\nHost: test\r\n\r\n');
      return (await client.response()).body;
    };
    for (let times = 0; times < 4; times++) assert.equal((await get()).length, 3_000_000);
    const heads = Array.from({ length: 5 }, () =>
      connect().send('GET /s/file.bin HTTP/1.1\r\nHost: test\r\n\r\n'),
    );
    for (const head of heads) assert.equal((await head.response()).body.length, 3_000_000);
    assert.equal(descriptorsTo(path), 1);
    writeFileSync(join(dir, 'next'), Buffer.alloc(2_000_000, 'b'));
    renameSync(join(dir, 'next'), path);
    await until('the new file', get, (body) => body === 'b'.repeat(2_000_000));
    // The old one has no name any more.
    await until('one descriptor', () => descriptorsTo(path) === 1);
  },
);

test('calls of the poller that make no sense are refused', compiled, () => {
  const any = native as unknown as Record<string, (...args: unknown[]) => number>;
  for (const name of ['pollAdd', 'pollRemove', 'pollRead', 'pollSendFile', 'pollStart'])
    for (const args of [[], [-1], ['x', 'y'], [1 << 30, 1 << 30], [{}, {}, {}, {}, {}, {}]])
      assert.ok(any[name]!(...args) < 0, `${name} ${JSON.stringify(args)}`);
  for (const name of ['pollSent', 'pollStopSending'])
    for (const args of [[], [-1], ['x'], [1 << 30]]) assert.equal(any[name]!(...args), 0, name);
  assert.ok(any.pollSendFile!(0, '', 0, -1, 5, 0) < 0);
});
