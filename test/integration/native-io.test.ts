// Writes past Node's streams: the same bytes in the same order as with them, whatever the reader does.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import fs, {
  closeSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { reapOrphans } from '../../src/arbiter/orphans.ts';
import { RESPONSE_BUFFER_BYTES } from '../../src/edge/listener/bounds.ts';
import { Output } from '../../src/edge/listener/output.ts';
import { Outbox } from '../../src/link/outbox.ts';
import { native, useNative } from '../../src/native/native.ts';
import { pollSocket } from '../../src/native/poller.ts';
import { lendTo, pagesNow, sendNow, sendPiecesNow, sendTo } from '../../src/native/send-now.ts';
import { type Random, randomFrom, seed } from '../helpers/random.ts';
import { readSlowly } from '../helpers/read-slowly.ts';
import { until } from '../helpers/until.ts';

const canCompile = process.platform === 'linux' && spawnSync('cc', ['--version']).status === 0;
const compiled = { skip: canCompile ? false : 'needs Linux and a C compiler' };
const kinds = ['tcp', 'unix'] as const;
const HUGE_BYTES = 2 * 1024 * 1024;

function tempDir(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'portico-native-test-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** Both ends of one connection. */
async function pair(t: TestContext, kind: (typeof kinds)[number]) {
  const server = createServer({ allowHalfOpen: true });
  server.listen(kind === 'tcp' ? { port: 0, host: '127.0.0.1' } : join(tempDir(t), 's'));
  await once(server, 'listening');
  const address = server.address()!;
  const far = typeof address === 'string' ? connect(address) : connect(address.port, '127.0.0.1');
  const [[near]] = (await Promise.all([once(server, 'connection'), once(far, 'connect')])) as [
    [Socket],
    unknown,
  ];
  server.close();
  t.after(() => {
    near.destroy();
    far.destroy();
  });
  near.on('error', () => {});
  far.on('error', () => {});
  return { near, far };
}

function bytesOf(random: Random, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let at = 0; at < length; at += 4) bytes.writeUInt8(random(256), at);
  return bytes;
}

const descriptorOf = (socket: Socket): number =>
  (socket as unknown as { _handle: { fd: number } })._handle.fd;
const sha = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

test('it is compiled where there is a compiler', compiled, () => {
  assert.ok(native !== null);
});

test('it asks no C library for what an older musl does not have', compiled, () => {
  const name = `linux-${process.arch}.node`;
  const bytes = readFileSync(new URL(`../../src/native/${name}`, import.meta.url));
  assert.ok(bytes.includes('sendfile'));
  for (const missing of ['preadv2', 'memfd_create']) assert.ok(!bytes.includes(missing), missing);
});

test('a look for orphans that finds no /proc ends nothing', compiled, async (t) => {
  let looks = 0;
  t.mock.method(fs, 'readdirSync', () => {
    looks++;
    throw Object.assign(new Error('too many open files'), { code: 'EMFILE' });
  });
  syncBuiltinESMExports();
  const orphans = reapOrphans(true);
  t.after(() => {
    orphans?.close();
    t.mock.restoreAll();
    syncBuiltinESMExports();
  });
  await until(
    'looked',
    () => looks,
    (count) => count > 0,
  );
});

for (const wanted of [true, false])
  for (const kind of kinds)
    test(`${wanted ? 'native' : 'streams'}, ${kind}: random pieces arrive in order at a slow reader (seed ${seed})`, async (t) => {
      useNative(wanted);
      t.after(() => useNative(true));
      const random = randomFrom(seed);
      const { near, far } = await pair(t, kind);
      // From when on the kernel is full.
      let received: Promise<Buffer> | null = null;
      const output = new Output(near, false);
      const sent: Buffer[] = [];
      for (let total = 0; total < 8 * 1024 * 1024; ) {
        for (let pieces = random(5); pieces >= 0; pieces--) {
          const piece = bytesOf(random, 1 + random(random(8) === 0 ? 600_000 : 3000));
          sent.push(piece);
          total += piece.length;
          if (piece.length < 3000 && random(2) === 0) output.addText(piece.toString('latin1'));
          else output.addBytes(piece);
        }
        output.flush();
        if (output.unsent > 0) received ??= readSlowly(far, random);
        if (output.unsent > 2_000_000) await once(near, 'drain');
        else if (random(3) === 0) await turn();
      }
      near.end();
      assert.ok(received !== null, 'the kernel has been full');
      assert.equal(sha(await received), sha(Buffer.concat(sent)));
    });

for (const wanted of [true, false])
  test(`${wanted ? 'native' : 'streams'}: frames of a link leave whole and in order (seed ${seed})`, async (t) => {
    useNative(wanted);
    t.after(() => useNative(true));
    const random = randomFrom(seed + 1);
    const { near, far } = await pair(t, 'unix');
    const received = readSlowly(far, random);
    const outbox = new Outbox(near, () => {});
    outbox.open();
    const sent: Buffer[] = [];
    for (let stream = 1; stream < 600; stream++) {
      const content = bytesOf(random, 1 + random(60_000));
      sent.push(Buffer.from(content));
      outbox.encoder.data(stream, content, 0, content.length);
      outbox.schedule();
      while (outbox.isClogged) await turn();
    }
    while (outbox.encoder.bytes > 0) await turn();
    outbox.endSocket();
    const all = await received;
    assert.equal(all.length, outbox.handedDown);
    let at = 0;
    for (const content of sent) {
      at = all.indexOf(content, at);
      assert.ok(at >= 0, 'each content is there, after the one before it');
      at += content.length;
    }
  });

for (const wanted of [true, false])
  test(`${wanted ? 'native' : 'streams'}: memory used again once there is room has left before (seed ${seed})`, async (t) => {
    useNative(wanted);
    t.after(() => useNative(true));
    const random = randomFrom(seed + 2);
    const { near, far } = await pair(t, 'tcp');
    const received = readSlowly(far, random);
    const output = new Output(near, false);
    const memory = Buffer.alloc(256 * 1024);
    const sent = createHash('sha256');
    for (let turns = 0; turns < 400; turns++) {
      const chunk = memory.subarray(0, RESPONSE_BUFFER_BYTES + random(192 * 1024));
      chunk.fill(turns);
      sent.update(chunk);
      output.addBytes(chunk);
      output.flush();
      // As Exchange.releasesBytes says.
      while (output.unsent >= RESPONSE_BUFFER_BYTES) await turn();
      memory.fill(0xff);
    }
    near.end();
    assert.equal(sha(await received), sent.digest('hex'));
  });

test('Latin-1 text is sent byte for byte', compiled, async (t) => {
  const { near, far } = await pair(t, 'tcp');
  const text = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code)).join('');
  assert.equal(sendNow(near, text, Buffer.from('tail')), 260);
  near.end();
  const received = await readSlowly(far, () => 1);
  assert.equal(received.toString('latin1'), `${text}tail`);
});

test(
  'nothing is sent past what waits, to what is not connected, or is over',
  compiled,
  async (t) => {
    const { near, far } = await pair(t, 'tcp');
    far.pause();
    while (near.writableLength === 0) near.write(Buffer.alloc(1 << 20));
    assert.equal(sendNow(near, 'x', null), 0);
    assert.equal(sendPiecesNow(near, [Buffer.from('x')]), 0);
    near.destroy();
    assert.equal(sendNow(near, 'x', null), 0);
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const early = connect((server.address() as { port: number }).port, '127.0.0.1');
    assert.equal(sendNow(early, 'x', null), 0);
    await once(early, 'connect');
    early.end();
    assert.equal(sendNow(early, 'x', null), 0);
    early.destroy();
    server.close();
  },
);

test('what a reset connection does not take is told by its stream', compiled, async (t) => {
  const { near, far } = await pair(t, 'tcp');
  const output = new Output(near, false);
  far.resetAndDestroy();
  const closed = new Promise((resolve) => near.once('close', resolve));
  near.resume();
  for (let count = 0; count < 100 && !near.destroyed; count++) {
    output.addText('x'.repeat(100));
    output.flush();
    await turn();
  }
  await closed;
});

test('calls that make no sense are refused, and harm nothing', compiled, async (t) => {
  const { near } = await pair(t, 'unix');
  const fd = descriptorOf(near);
  const refused = -22;
  const any = native as unknown as {
    send(...args: unknown[]): number;
  };
  for (const args of [
    [],
    [fd],
    ['1', 'x'],
    [fd, 1],
    [fd, null],
    [fd, {}],
    [fd, [1]],
    [fd, new Float64Array(9)],
  ])
    assert.equal(any.send(...args), refused, JSON.stringify(args));
  assert.equal(any.send(fd, 'x'.repeat(16 * 1024)), refused);
  assert.equal(any.send(fd, ...Array(17).fill('x')), refused);
  assert.ok(any.send(1 << 20, 'x') < 0, 'no such descriptor');
  assert.ok(any.send(openSync('/dev/null', 'r'), 'x') < 0, 'no socket');
});

for (const kind of kinds)
  test(
    `${kind}: what is lent arrives once and in order, however slowly it is read`,
    compiled,
    async (t) => {
      const random = randomFrom(seed);
      const { near, far } = await pair(t, kind);
      const fd = descriptorOf(near);
      const received = readSlowly(far, random);
      const expected: Uint8Array[] = [];
      let shortCount = 0;
      for (let count = 0; count < 60; count++) {
        const text = 'h'.repeat(random(300));
        const pages = pagesNow(HUGE_BYTES)!;
        const length = 1 + random(count % 10 === 0 ? HUGE_BYTES : 200_000);
        const from = random(HUGE_BYTES - length + 1);
        const bytes = pages.subarray(from, from + length);
        bytes.set(bytesOf(random, length));
        expected.push(Buffer.from(text), bytes);
        let sent = lendTo(fd, text, bytes);
        if (sent < text.length + length) shortCount++;
        while (sent < text.length) {
          await turn();
          sent += sendTo(fd, text.slice(sent), null);
        }
        for (let at = sent - text.length; at < length; await turn())
          at +=
            random(2) === 0
              ? lendTo(fd, '', bytes.subarray(at))
              : sendTo(fd, '', bytes.subarray(at));
      }
      near.end();
      assert.equal(sha(await received), sha(Buffer.concat(expected)));
      assert.ok(shortCount > 0, 'the socket was full at times');
    },
  );

test(
  'what was lent arrives when its memory was given back, and used for something else',
  compiled,
  async (t) => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const { near, far } = await pair(t, 'tcp');
    const mappings = () =>
      readFileSync('/proc/self/smaps', 'utf8').match(/^VmFlags:.*\bhg\b/gm)?.length ?? 0;
    // What other tests have left is collected first.
    for (let count = 0; count < 3; count++) {
      collect();
      await turn();
    }
    const before = mappings();
    const lend = () => {
      const bytes = pagesNow(HUGE_BYTES)!.fill(120);
      assert.ok(lendTo(descriptorOf(near), '', bytes.subarray(0, 100_000)) === 100_000);
      assert.ok(mappings() > before);
    };
    lend();
    await until('given back', () => {
      collect();
      return mappings() <= before;
    });
    pagesNow(HUGE_BYTES)!.fill(121);
    near.end();
    assert.equal(sha(await readSlowly(far, () => 1)), sha(Buffer.alloc(100_000, 'x')));
  },
);

test('what can not be lent is not sent, nor the text before it', compiled, async (t) => {
  const { near, far } = await pair(t, 'tcp');
  const fd = descriptorOf(near);
  const bytes = pagesNow(HUGE_BYTES)!;
  const any = native as unknown as Record<'lend' | 'pages', (...args: unknown[]) => unknown>;
  for (const length of [undefined, '1', 0, -HUGE_BYTES, HUGE_BYTES + 1, 2 ** 40])
    assert.equal(any.pages(length), -22, String(length));
  for (const args of [[], [fd], [fd, 'x'], ['1', 'x', bytes], [fd, 1, bytes], [fd, 'x', 'y']])
    assert.equal(any.lend(...args), 0, JSON.stringify(args));
  assert.equal(lendTo(fd, 'x', new Uint8Array(0)), 0);
  assert.equal(lendTo(fd, 'x'.repeat(16 * 1024), bytes), 0);
  assert.equal(lendTo(1 << 20, 'x', bytes), 0, 'no such descriptor');
  const file = openSync('/dev/null', 'r');
  assert.equal(lendTo(file, 'x', bytes), 0, 'no socket');
  closeSync(file);
  assert.equal(
    lendTo(fd, 'a head, ', bytes.subarray(0, 4).fill(46)),
    12,
    'and the pipe is empty again',
  );
  near.end();
  assert.equal((await readSlowly(far, () => 1)).toString(), 'a head, ....');
});

test(
  'the kernel sends a file as far as it reaches, and never past its end',
  compiled,
  async (t) => {
    const dir = tempDir(t);
    const content = bytesOf(randomFrom(seed), 900_000);
    const open = (name: string) => {
      writeFileSync(join(dir, name), content);
      const file = openSync(join(dir, name), 'r+');
      t.after(() => closeSync(file));
      return file;
    };
    const [whole, cut] = [open('whole'), open('cut')];
    ftruncateSync(cut, 1000);
    const { near, far } = await pair(t, 'tcp');
    const received = readSlowly(far, () => 1);
    const polled = pollSocket(near)!;
    t.after(() => polled.release());
    /** How much was sent, at once and later. */
    const send = (text: string, file: number, offset: number, length: number): Promise<number> =>
      new Promise((resolve) => {
        const part = { file, offset, length, believedMs: 0 };
        const sent = polled.sendFileOn(text, part, (more) => resolve(sent + more));
        if (!polled.isSending) resolve(sent);
      });
    for (const [what, file, offset, length] of [
      ['no such descriptor', 1 << 20, 0, 1],
      ['no file', descriptorOf(near), 0, 1],
      ['past its end', whole, content.length, 100],
      ['before its start', whole, -1, 5],
      ['less than nothing', whole, 0, -5],
    ] as const)
      assert.equal(await send('a head', file, offset, length), 0, what);
    const directory = openSync('/', 'r');
    assert.equal(await send('a head', directory, 0, 10), 0, 'a directory');
    closeSync(directory);
    assert.equal(await send('', cut, 0, 5000), 0, 'it has become shorter');
    assert.equal(await send('head', cut, 0, 1000), 1004);
    assert.equal(await send('', whole, 0, content.length), content.length);
    polled.release();
    near.end();
    const expected = Buffer.concat([Buffer.from('head'), content.subarray(0, 1000), content]);
    assert.equal(sha(await received), sha(expected));
  },
);
