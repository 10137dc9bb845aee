// Flow control on the link: random interleavings on many streams, slow readers, and who waits for whom.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { afterEach, test } from 'node:test';
import type { Exchange, ExchangeHandler, Fields } from '../../src/http/exchange.ts';
import type { LinkObserver, LinkStream } from '../../src/link/link.ts';
import { LinkPair, linkRequest } from '../helpers/link-pair.ts';
import { randomFrom, seed } from '../helpers/random.ts';
import { until } from '../helpers/until.ts';

let pair: LinkPair;
afterEach(() => pair.close());

/** Content that is to be sent and what has come of it: length and digest must agree at the end. */
class Flow {
  readonly sent = createHash('sha1');
  readonly got = createHash('sha1');
  sentBytes = 0;
  gotBytes = 0;
  /** Received and not yet said to be consumed: what the receiver has to keep. */
  heldBytes = 0;
  heldBytesMax = 0;
  isEnded = false;

  piece(bytes: number, fill: number): Buffer {
    const chunk = Buffer.alloc(bytes, fill);
    this.sent.update(chunk);
    this.sentBytes += bytes;
    return chunk;
  }
  receive(chunk: Uint8Array): void {
    this.got.update(chunk);
    this.gotBytes += chunk.length;
    this.heldBytes += chunk.length;
    this.heldBytesMax = Math.max(this.heldBytesMax, this.heldBytes);
  }
  check(what: string): void {
    assert.equal(this.gotBytes, this.sentBytes, what);
    assert.equal(this.got.digest('hex'), this.sent.digest('hex'), what);
  }
}

/** One stream with content both ways, driven step by step. */
class Talk implements LinkObserver, ExchangeHandler {
  readonly up = new Flow();
  readonly down = new Flow();
  stream!: LinkStream;
  exchange: Exchange | null = null;
  isWritable = true;
  upLeft: number;
  downLeft: number;
  /** Of what the edge may send before it hears onConsumed: a listener's own window. */
  upRoom: number;
  edgeEnds = 0;
  workerEnds = 0;

  constructor(upBytes: number, downBytes: number, room: number) {
    this.upLeft = upBytes;
    this.downLeft = downBytes;
    this.upRoom = room;
  }

  // At the edge.
  onInform(): void {}
  onResponse(): void {}
  onData(chunk: Uint8Array): void {
    this.down.receive(chunk);
  }
  onEnd(_trailers: Fields): void {
    this.edgeEnds += 1;
  }
  onFailed(): void {
    this.edgeEnds += 1;
  }
  onConsumed(bytes: number): void {
    this.upRoom += bytes;
  }

  // In the worker.
  onRequestData(chunk: Uint8Array): void {
    this.up.receive(chunk);
  }
  onRequestEnd(): void {
    this.up.isEnded = true;
  }
  onDrain(): void {
    assert.equal(this.isWritable, false, 'onDrain only after write() was false');
    this.isWritable = true;
  }
  onClose(): void {
    this.workerEnds += 1;
  }

  /** Does one thing that may be done now. */
  step(random: (below: number) => number): void {
    switch (random(4)) {
      case 0:
        if (this.upLeft > 0 && this.upRoom > 0) {
          const bytes = Math.min(this.upLeft, this.upRoom, 1 + random(90_000));
          this.upLeft -= bytes;
          this.upRoom -= bytes;
          this.stream.write(this.up.piece(bytes, random(256)));
          if (this.upLeft === 0) this.stream.end([]);
        }
        break;
      case 1:
        if (this.exchange !== null && this.downLeft > 0 && this.isWritable) {
          const bytes = Math.min(this.downLeft, 1 + random(300_000));
          this.downLeft -= bytes;
          this.isWritable = this.exchange.write(this.down.piece(bytes, random(256)));
        }
        if (this.exchange !== null && this.downLeft === 0 && this.up.isEnded) this.exchange.end([]);
        break;
      case 2: {
        const bytes = Math.min(this.up.heldBytes, random(100_000));
        this.up.heldBytes -= bytes;
        this.exchange?.consumed(bytes);
        break;
      }
      default: {
        const bytes = Math.min(this.down.heldBytes, random(100_000));
        this.down.heldBytes -= bytes;
        this.stream.consumed(bytes);
      }
    }
  }

  get isDone(): boolean {
    return this.edgeEnds > 0 && this.workerEnds > 0;
  }
}

for (const windows of [
  { edge: 16_384, worker: 16_384, room: 5000 },
  { edge: 262_144, worker: 262_144, room: 65_536 },
  { edge: 1024, worker: 300_000, room: 1_000_000 },
]) {
  test(`random talk on many streams is whole, in order and bounded (windows ${windows.edge}/${windows.worker}, seed ${seed})`, async () => {
    const random = randomFrom(seed);
    const talks = new Map<string, Talk>();
    pair = await new LinkPair({
      edgeWindowBytes: windows.edge,
      workerWindowBytes: windows.worker,
      handle: (exchange) => {
        const talk = talks.get(exchange.request.target)!;
        talk.exchange = exchange;
        exchange.attach(talk);
        exchange.respond(200, '', []);
      },
    }).up();
    for (let index = 0; index < 40; index++) {
      const size = () => 1 + random(10 ** (1 + random(6)));
      const talk = new Talk(size(), size(), windows.room);
      talks.set(`/${index}`, talk);
      talk.stream = pair.edge.open(
        linkRequest({ method: 'POST', target: `/${index}` }, { bodyLength: 'unknown' }),
        talk,
      );
    }
    const all = [...talks.values()];
    const isOver = () => all.every((talk) => talk.isDone);
    await until('all streams have ended', async () => {
      for (let turn = 0; turn < 1000 && !isOver(); turn++) {
        for (let steps = 0; steps < 40; steps++) all[random(all.length)]!.step(random);
        await new Promise((resolve) => setImmediate(resolve));
      }
      return isOver();
    });
    for (const [name, talk] of talks) {
      talk.up.check(`${name} up`);
      talk.down.check(`${name} down`);
      assert.ok(talk.up.heldBytesMax <= windows.worker, 'the worker holds at most its window');
      assert.ok(talk.down.heldBytesMax <= windows.edge, 'the edge holds at most its window');
      assert.equal(talk.edgeEnds, 1);
      assert.equal(talk.workerEnds, 1);
    }
    assert.deepEqual(pair.warnings, []);
    assert.equal(pair.edge.inFlight, 0);
    assert.equal(pair.worker?.inFlight, 0);
  });
}

const hello = (exchange: Exchange) => {
  exchange.respond(200, '', []);
  exchange.write(Buffer.from('hello'));
  exchange.end([]);
};

test('a slow client of a huge response delays nobody, and is sent no more than its window', async () => {
  const block = Buffer.alloc(1024 * 1024, 'b');
  let written = 0;
  pair = await new LinkPair({
    handle: (exchange) => {
      const handling = pair.attach(exchange);
      if (exchange.request.target !== '/huge') {
        hello(exchange);
        return;
      }
      exchange.respond(200, '', []);
      // 1 GB, in blocks, for as long as there is room.
      const write = () => {
        while (written < 1024) {
          written += 1;
          if (!exchange.write(block)) return;
        }
        exchange.end([]);
      };
      handling.onDrain = write;
      write();
    },
  }).up();
  const huge = pair.open(linkRequest({ target: '/huge' }));
  huge.isConsuming = false;
  await until('its window is full', () => huge.receivedBytes === 256 * 1024);
  for (let round = 0; round < 100; round++) {
    const heard = pair.open();
    await until('a small one is answered', () => heard.ends === 1);
    assert.equal(heard.body, 'hello');
  }
  assert.equal(huge.receivedBytes, 256 * 1024);
  assert.equal(written, 1, 'the app waits with the rest');
  huge.stream.cancel();
  await until('the app hears that the client left', () => pair.worker?.inFlight === 0);
});

test('a huge upload that the app does not read delays nobody', async () => {
  pair = await new LinkPair({
    handle: (exchange) => {
      const handling = pair.attach(exchange);
      if (exchange.request.target === '/') hello(exchange);
      else handling.isConsuming = false;
    },
  }).up();
  const huge = pair.open(linkRequest({ target: '/huge' }, { bodyLength: 'unknown' }));
  for (let count = 0; count < 16; count++) huge.stream.write(Buffer.alloc(1024 * 1024));
  const handling = await pair.handling(0);
  handling.isConsuming = false;
  for (let round = 0; round < 100; round++) {
    const heard = pair.open();
    await until('a small one is answered', () => heard.ends === 1);
  }
  assert.equal(handling.receivedBytes, 256 * 1024);
  assert.equal(huge.consumedBytes, 0);
});

test('two streams that send much share the socket', async () => {
  const total = 8 * 1024 * 1024;
  pair = await new LinkPair().up();
  const heard = [pair.open(), pair.open()];
  await pair.handling(1);
  let behindMax = 0;
  for (const one of heard) {
    const take = one.onData.bind(one);
    one.onData = (chunk) => {
      take(chunk);
      if (one.ends === 0) {
        const [first, second] = heard;
        behindMax = Math.max(behindMax, Math.abs(first!.receivedBytes - second!.receivedBytes));
      }
    };
  }
  for (const { exchange } of pair.handlings) {
    exchange.respond(200, '', []);
    exchange.write(Buffer.alloc(total));
    exchange.end([]);
  }
  await until('both are whole', () => heard.every((one) => one.ends === 1));
  assert.ok(behindMax <= 512 * 1024, `one was ${behindMax} bytes ahead of the other`);
});

test('every waiting stream is resumed when the worker reads again', async () => {
  pair = await new LinkPair().up();
  const heard = Array.from({ length: 30 }, () => pair.open());
  await pair.handling(29);
  const paused = pair.workerSocket!;
  // The edge stops reading: the worker's socket fills up.
  const edgeSocket = (pair.edge as unknown as { socket: typeof paused }).socket;
  edgeSocket.pause();
  const full: boolean[] = [];
  for (const { exchange } of pair.handlings) {
    exchange.respond(200, '', []);
    full.push(exchange.write(Buffer.alloc(100_000, 'f')));
  }
  await until('the socket is full', () => paused.writableLength > 0);
  assert.ok(full.includes(false));
  edgeSocket.resume();
  await until('each that was refused hears onDrain', () =>
    pair.handlings.every((one, index) => full[index] === true || one.drains === 1),
  );
  for (const { exchange } of pair.handlings) exchange.end([]);
  await until('all are whole', () => heard.every((one) => one.ends === 1));
  for (const one of heard) assert.equal(one.receivedBytes, 100_000);
});

test('an app that pays no attention to write() loses nothing', async () => {
  pair = await new LinkPair({ edgeWindowBytes: 2048 }).up();
  const heard = pair.open();
  const { exchange } = await pair.handling(0);
  exchange.respond(200, '', []);
  let expected = '';
  for (let count = 0; count < 20_000; count++) {
    expected += `${count} `;
    exchange.write(Buffer.from(`${count} `));
  }
  exchange.end(['Sum', '1']);
  await until('it is whole', () => heard.ends === 1);
  assert.equal(heard.body, expected);
  assert.deepEqual(heard.trailers, ['Sum', '1']);
});
