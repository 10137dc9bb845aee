// How streams and links end: cancelled, refused, drained, killed, of another version, out of protocol.

import assert from 'node:assert/strict';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, test } from 'node:test';
import { failure } from '../../src/errors/failure.ts';
import type { Handle } from '../../src/http/exchange.ts';
import { encodePreface, isLinkPreface } from '../../src/link/preface.ts';
import * as wire from '../../src/link/protocol.ts';
import { acceptLink } from '../../src/link/worker-end.ts';
import { Hearing, LinkPair, linkRequest, type PairOptions } from '../helpers/link-pair.ts';
import { until } from '../helpers/until.ts';

let pair: LinkPair;
const extra: (Server | Socket)[] = [];
afterEach(() => {
  pair.close();
  for (const one of extra.splice(0)) {
    if ('destroy' in one) one.destroy();
    else one.close();
  }
});

async function up(options: PairOptions = {}): Promise<LinkPair> {
  pair = await new LinkPair(options).up();
  return pair;
}

const answer: Handle = (exchange) =>
  exchange.attach({
    onRequestData: (chunk) => exchange.consumed(chunk.length),
    onRequestEnd: () => {
      exchange.respond(200, '', []);
      exchange.write(Buffer.from(exchange.request.target));
      exchange.end([]);
    },
    onDrain: () => {},
    onClose: () => {},
  });

test('requests that were opened before the link is up are sent when it is', async () => {
  pair = await new LinkPair({ handle: answer }).connect();
  assert.equal(pair.edge.isUp, false);
  const heard = pair.open(linkRequest({ method: 'POST', target: '/early' }, { bodyLength: 5 }));
  heard.stream.write(Buffer.from('hello'));
  heard.stream.end([]);
  await until('it is answered', () => heard.ends === 1);
  assert.equal(heard.body, '/early');
  assert.equal(pair.ups, 1);
});

test('no worker there: streams hear that nothing was reached, and onDown comes once', async () => {
  pair = new LinkPair();
  const { connectLink } = await import('../../src/link/edge-end.ts');
  const hearing = new Hearing();
  const order: string[] = [];
  const link = connectLink({
    path: pair.path,
    onUp: () => order.push('up'),
    onDown: (reason) => order.push(`down ${reason?.code} ${hearing.ends}`),
  });
  hearing.stream = link.open(linkRequest(), hearing);
  await until('the link is down', () => order.length > 0);
  assert.deepEqual(order, ['down WORKER_DIED 1']);
  assert.equal(hearing.failure?.code, 'WORKER_DIED');
  assert.equal(hearing.reached, false);
  link.destroy(failure('SHUTTING_DOWN'));
  const late = new Hearing();
  late.stream = link.open(linkRequest(), late);
  assert.equal(late.ends, 0, 'not while open() runs');
  await until('a stream of a dead link fails', () => late.ends === 1);
  assert.equal(late.reached, false);
  assert.deepEqual(order.length, 1);
});

test('when the worker dies, what was sent was reached and what was still gathered was not', async () => {
  await up();
  const sent = pair.open();
  const handling = await pair.handling(0);
  handling.exchange.respond(200, '', []);
  await until('the head is there', () => sent.status === 200);
  const gathered = pair.open();
  pair.edge.destroy(failure('WORKER_DIED', 'killed'));
  assert.equal(sent.failure?.code, 'WORKER_DIED');
  assert.equal(sent.reached, true);
  assert.equal(gathered.failure?.code, 'WORKER_DIED');
  assert.equal(gathered.reached, false);
  assert.equal(pair.edge.inFlight, 0);
  assert.deepEqual(
    pair.downs.map((reason) => reason?.code),
    ['WORKER_DIED'],
  );
  await until('the handler hears that the edge is gone', () => handling.closes === 1);
  assert.equal(handling.outcome?.code, 'CLIENT_LEFT');
  assert.equal(pair.closes.length, 1);
});

test('a worker that ends mid-answer is heard by each stream once, then by onDown', async () => {
  await up();
  const heard = Array.from({ length: 20 }, () => pair.open());
  const last = await pair.handling(19);
  last.exchange.respond(200, '', []);
  last.exchange.write(Buffer.from('part'));
  await until('a part is there', () => heard[19]!.body === 'part');
  pair.workerSocket?.destroy();
  await until('the link is down', () => pair.downs.length > 0);
  for (const one of heard) {
    assert.equal(one.ends, 1);
    assert.equal(one.failure?.code, 'WORKER_DIED');
    assert.equal(one.reached, true);
  }
  assert.equal(pair.downs.length, 1);
});

test('an answer before the content is in ends the stream for both', async () => {
  await up();
  const heard = pair.open(linkRequest({ method: 'POST' }, { bodyLength: 1000 }));
  heard.stream.write(Buffer.alloc(10));
  const handling = await pair.handling(0);
  handling.exchange.respond(413, '', []);
  handling.exchange.end([]);
  await until('both hear the end', () => heard.ends === 1 && handling.closes === 1);
  assert.equal(handling.outcome, null);
  heard.stream.write(Buffer.alloc(10));
  heard.stream.end([]);
  heard.stream.cancel();
  heard.stream.consumed(5);
  const next = pair.open();
  (await pair.handling(1)).exchange.respond(204, '', []);
  pair.handlings[1]?.exchange.end([]);
  await until('the link still works', () => next.ends === 1);
  assert.equal(handling.requestTrailers, null);
  assert.deepEqual(pair.warnings, []);
});

test('the end is heard after end() or fail() has returned, however large the batch', async () => {
  await up();
  const heard = [pair.open(), pair.open()];
  await pair.handling(1);
  for (const { exchange } of pair.handlings) {
    exchange.respond(200, '', []);
    exchange.write(Buffer.alloc(wire.FLUSH_BYTES - 100));
  }
  const [whole, failing] = pair.handlings;
  whole?.exchange.end(['T', 'v'.repeat(500)]);
  failing?.exchange.fail(failure('WORKER_RESET', 'd'.repeat(250)));
  assert.equal(whole?.closes, 0);
  assert.equal(failing?.closes, 0);
  await until('the edge hears both', () => heard.every((one) => one.ends === 1));
  await until('both hear their end', () => whole?.closes === 1 && failing?.closes === 1);
  assert.equal(whole?.outcome, null);
  assert.equal(failing?.outcome?.code, 'WORKER_RESET');
});

test('the end of a response of any size is heard with nothing after it', async () => {
  await up();
  for (const bytes of [1, 20_000, 65_528, 65_536, 131_072, 200_000, 1_000_000]) {
    const heard = pair.open();
    const handling = await pair.handling(pair.handlings.length);
    handling.exchange.respond(200, '', []);
    handling.exchange.write(Buffer.alloc(bytes));
    handling.exchange.end([]);
    await until(`${bytes} bytes are through`, () => heard.ends === 1 && handling.closes === 1);
  }
});

test('after its end an exchange takes every call and does nothing', async () => {
  await up();
  const heard = pair.open();
  const { exchange } = await pair.handling(0);
  heard.stream.cancel();
  await until('the handler hears the end', () => pair.handlings[0]?.closes === 1);
  exchange.inform(103, []);
  exchange.respond(200, '', []);
  assert.equal(exchange.write(Buffer.from('x')), true);
  exchange.end([]);
  exchange.consumed(10);
  exchange.fail(failure('WORKER_RESET'));
  assert.equal(pair.handlings[0]?.closes, 1);
});

test('attach() after the client left hears so at once', async () => {
  const exchanges: Parameters<Handle>[0][] = [];
  await up({ handle: (exchange) => exchanges.push(exchange) });
  const heard = pair.open(linkRequest({ method: 'POST' }, { bodyLength: 'unknown' }));
  heard.stream.write(Buffer.from('early'));
  await until('the request is there', () => exchanges.length === 1);
  heard.stream.cancel();
  await until('the worker knows', () => pair.worker?.inFlight === 0);
  const handling = pair.attach(exchanges[0]!);
  assert.equal(handling.closes, 1);
  assert.equal(handling.outcome?.code, 'CLIENT_LEFT');
  assert.equal(handling.body, '');
});

test('content that comes before attach() is kept for it', async () => {
  const exchanges: Parameters<Handle>[0][] = [];
  await up({ handle: (exchange) => exchanges.push(exchange) });
  const heard = pair.open(linkRequest({ method: 'POST' }, { bodyLength: 'unknown' }));
  heard.stream.write(Buffer.from('early '));
  heard.stream.write(Buffer.from('bird'));
  heard.stream.end(['T', 'v']);
  const after = pair.open();
  await until('all frames have come', () => exchanges.length === 2);
  after.stream.cancel();
  const handling = pair.attach(exchanges[0]!);
  assert.equal(handling.body, 'early bird');
  assert.deepEqual(handling.requestTrailers, ['T', 'v']);
});

test('a client that waits for 100 (Continue) is asked when the handler wants content', async () => {
  await up();
  const request = linkRequest({ method: 'POST' }, { bodyLength: 3, expectsContinue: true });
  const wanting = pair.open(request);
  const refusing = pair.open(request);
  const first = await pair.handling(0);
  const second = await pair.handling(1);
  first.exchange.consumed(0);
  first.exchange.consumed(0);
  second.exchange.respond(417, '', []);
  second.exchange.consumed(0);
  second.exchange.end([]);
  await until('the refusal is there', () => refusing.ends === 1);
  assert.deepEqual(wanting.informs, [[100, []]]);
  assert.deepEqual(refusing.informs, []);
});

test('more informational heads than the protocol allows are dropped, not sent', async () => {
  await up();
  const heard = pair.open();
  const { exchange } = await pair.handling(0);
  for (let count = 0; count < 2 * wire.INFORMS_MAX; count++) exchange.inform(103, []);
  exchange.respond(200, '', []);
  exchange.end([]);
  await until('it is answered', () => heard.ends === 1);
  assert.equal(heard.informs.length, wire.INFORMS_MAX);
});

test('content that disagrees with its length is a fault of the edge', async () => {
  await up();
  const short = pair.open(linkRequest({ method: 'POST' }, { bodyLength: 10 }));
  short.stream.write(Buffer.alloc(9));
  short.stream.end([]);
  const long = pair.open(linkRequest({ method: 'POST' }, { bodyLength: 10 }));
  long.stream.write(Buffer.alloc(11));
  await until('both fail', () => short.ends === 1 && long.ends === 1);
  assert.equal(short.failure?.code, 'EDGE_FAULT');
  assert.equal(long.failure?.code, 'EDGE_FAULT');
  assert.equal(pair.handlings[0]?.requestTrailers, null);
  assert.deepEqual(
    pair.handlings.map((one) => one.closes),
    [1, 1],
  );
});

test('a response head that can not be sent fails the exchange, not the link', async () => {
  await up();
  const large = pair.open();
  const wrong = pair.open();
  const trailing = pair.open();
  await pair.handling(2);
  const huge = 'x'.repeat(wire.HEAD_BYTES_MAX);
  pair.handlings[0]?.exchange.respond(200, '', ['A', huge]);
  pair.handlings[1]?.exchange.respond(42, '', []);
  pair.handlings[2]?.exchange.respond(200, '', []);
  pair.handlings[2]?.exchange.end(['A', huge]);
  await until('all fail', () => large.ends + wrong.ends + trailing.ends === 3);
  for (const one of [large, wrong, trailing]) assert.equal(one.failure?.code, 'RESPONSE_INVALID');
  assert.deepEqual(pair.downs, []);
});

test('a request head that is too large for the link fails alone', async () => {
  await up({ handle: answer, streamsMax: 1 });
  const first = pair.open();
  await until('the only id has been used', () => first.ends === 1);
  const large = pair.open(linkRequest({ target: `/${'x'.repeat(wire.HEAD_BYTES_MAX)}` }));
  const small = pair.open(linkRequest({ target: '/small' }));
  await until('both end', () => large.ends + small.ends === 2);
  assert.equal(large.failure?.code, 'FIELD_TOO_LARGE');
  assert.equal(large.reached, false);
  assert.equal(small.body, '/small');
});

test('more streams than the worker takes are refused at the edge', async () => {
  await up({ streamsMax: 2 });
  const heard = [pair.open(), pair.open(), pair.open()];
  const unwanted = pair.open();
  unwanted.stream.cancel();
  await until('the third is refused', () => heard[2]!.ends === 1);
  assert.equal(heard[2]?.failure?.code, 'QUEUE_FULL');
  assert.equal(heard[2]?.reached, false);
  await pair.handling(1);
  heard[0]?.stream.cancel();
  await until('the first is over', () => pair.handlings[0]?.closes === 1);
  pair.open().stream.cancel(); // refused as well, or not: nobody wants to know
  for (;;) {
    const next = pair.open();
    await until('it is refused or taken', () => next.ends === 1 || pair.handlings.length > 2);
    if (next.ends === 0) break;
  }
  assert.equal(unwanted.ends, 0);
  assert.deepEqual(pair.downs, []);
  assert.deepEqual(pair.warnings, []);
});

test('drain() at the edge: what is in flight ends, nothing new begins, then null', async () => {
  await up();
  const heard = pair.open();
  const { exchange } = await pair.handling(0);
  pair.edge.drain();
  const late = pair.open();
  await until('a late one is refused', () => late.ends === 1);
  assert.equal(late.failure?.code, 'SHUTTING_DOWN');
  assert.equal(late.reached, false);
  assert.deepEqual(pair.downs, []);
  exchange.respond(200, '', []);
  exchange.end([]);
  await until('both ends are done', () => pair.downs.length === 1 && pair.closes.length === 1);
  assert.equal(heard.ends, 1);
  assert.deepEqual(pair.downs, [null]);
  assert.deepEqual(pair.closes, [null]);
});

test('drain() in the worker: requests that cross it come back as not reached', async () => {
  await up();
  const heard = pair.open();
  const { exchange } = await pair.handling(0);
  const crossing = pair.open();
  const content = pair.open(linkRequest({ method: 'POST' }, { bodyLength: 3 }));
  content.stream.write(Buffer.from('abc'));
  content.stream.end([]);
  pair.worker?.drain();
  await until('they come back', () => crossing.ends === 1 && content.ends === 1);
  assert.equal(crossing.failure?.code, 'SHUTTING_DOWN');
  assert.equal(crossing.reached, false);
  assert.equal(content.reached, false);
  assert.equal(pair.handlings.length, 1);
  exchange.respond(200, '', []);
  exchange.end([]);
  await until('both ends are done', () => pair.downs.length === 1 && pair.closes.length === 1);
  assert.equal(heard.trailers?.length, 0);
  assert.deepEqual(pair.downs, [null]);
  assert.deepEqual(pair.closes, [null]);
});

test('destroy() in the worker ends the exchanges and the link', async () => {
  await up();
  const heard = pair.open();
  const handling = await pair.handling(0);
  pair.worker?.destroy();
  pair.worker?.destroy();
  assert.equal(handling.closes, 1);
  assert.equal(pair.worker?.inFlight, 0);
  await until('the edge hears it', () => heard.ends === 1);
  assert.equal(heard.failure?.code, 'WORKER_DIED');
});

/** A worker that answers the preface with bytes of the test's choice. */
async function falseWorker(bytes: Buffer, then?: (socket: Socket) => void): Promise<Hearing> {
  pair = new LinkPair();
  const server = createServer((socket) => {
    extra.push(socket);
    socket.on('error', () => {});
    socket.once('data', () => {
      socket.write(bytes);
      then?.(socket);
    });
  });
  extra.push(server);
  await new Promise<void>((resolve) => server.listen(pair.path, resolve));
  const { connectLink } = await import('../../src/link/edge-end.ts');
  pair.edge = connectLink({
    path: pair.path,
    onUp: () => {
      pair.ups += 1;
    },
    onDown: (reason) => pair.downs.push(reason),
    log: { warning: (message, facts) => pair.warnings.push(`${message} ${JSON.stringify(facts)}`) },
  });
  const hearing = pair.open();
  await until('the link is down', () => pair.downs.length > 0);
  assert.equal(hearing.ends, 1);
  return hearing;
}

const preface = { version: wire.LINK_VERSION, windowBytes: wire.WINDOW_BYTES, streamsMax: 10 };

test('a worker of another version is told apart, and both versions are named', async () => {
  const heard = await falseWorker(encodePreface({ ...preface, version: 7 }));
  assert.equal(heard.reached, false);
  assert.equal(pair.downs[0]?.code, 'LINK_PROTOCOL');
  assert.match(pair.downs[0]?.detail ?? '', /speaks link version 1, the worker 7/);
  assert.match(pair.warnings.join(), /speaks link version 1, the worker 7/);
  assert.equal(pair.ups, 0);
});

test('a server that does not speak the link is told apart', async () => {
  const heard = await falseWorker(Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'));
  assert.equal(heard.reached, false);
  assert.match(
    pair.downs[0]?.detail ?? '',
    /does not speak the link: its first bytes are 48545450/,
  );
});

test('a preface with impossible limits is refused', async () => {
  await falseWorker(encodePreface({ ...preface, windowBytes: 0 }));
  assert.match(pair.downs[0]?.detail ?? '', /window of 0 bytes/);
});

test('a frame for a stream that is not open ends the link', async () => {
  const frame = Buffer.from([1, 0, 0, wire.DATA, 9, 0, 0, 0, 120]);
  const heard = await falseWorker(Buffer.concat([encodePreface(preface), frame]));
  assert.equal(heard.failure?.code, 'LINK_PROTOCOL');
  assert.match(pair.downs[0]?.detail ?? '', /DATA on stream 9/);
});

test('an edge of another version gets the preface of the worker, and then the end', async () => {
  await up();
  const socket = connect(pair.path);
  extra.push(socket);
  const got: Buffer[] = [];
  let isClosed = false;
  socket.on('data', (chunk) => got.push(chunk));
  socket.on('close', () => {
    isClosed = true;
  });
  socket.write(encodePreface({ ...preface, version: 9, streamsMax: 0 }));
  await until('the worker closes', () => isClosed);
  assert.deepEqual(Buffer.concat(got), encodePreface({ ...preface, streamsMax: wire.STREAMS_MAX }));
  await until('onClose comes', () => pair.closes.length === 1);
  assert.match(pair.closes[0]?.detail ?? '', /this worker speaks link version 1, the edge 9/);
  assert.match(pair.warnings.join(), /link version 1, the edge 9/);
});

test('bytes that were read to see what the connection is are not lost', async () => {
  pair = new LinkPair();
  const server = createServer((socket) => {
    socket.once('readable', () => {
      const first = socket.read(1) as Buffer;
      assert.ok(isLinkPreface(first));
      acceptLink(socket, { handle: answer, onClose: () => {}, initial: first });
    });
  });
  extra.push(server);
  await new Promise<void>((resolve) => server.listen(pair.path, resolve));
  const { connectLink } = await import('../../src/link/edge-end.ts');
  pair.edge = connectLink({ path: pair.path, onUp: () => {}, onDown: () => {} });
  const heard = pair.open(linkRequest({ target: '/sniffed' }));
  await until('it is answered', () => heard.ends === 1);
  assert.equal(heard.body, '/sniffed');
  pair.edge.destroy(failure('SHUTTING_DOWN'));
});

test('PING comes back as PONG with the same eight bytes', async () => {
  await up();
  const socket = connect(pair.path);
  extra.push(socket);
  let got = Buffer.alloc(0);
  socket.on('data', (chunk) => {
    got = Buffer.concat([got, chunk]);
  });
  const value = Buffer.from('12345678');
  socket.write(encodePreface({ ...preface, streamsMax: 0 }));
  socket.write(Buffer.concat([Buffer.from([8, 0, 0, wire.PING, 0, 0, 0, 0]), value]));
  await until('the answer is there', () => got.length >= wire.PREFACE_BYTES + 16);
  assert.deepEqual(
    got.subarray(wire.PREFACE_BYTES),
    Buffer.concat([Buffer.from([8, 0, 0, wire.PONG, 0, 0, 0, 0]), value]),
  );
});
