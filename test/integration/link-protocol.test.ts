// The rules of the wire, frame by frame: what ends the link, and what has merely crossed the end of its stream.

import assert from 'node:assert/strict';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, test } from 'node:test';
import { connectLink } from '../../src/link/edge-end.ts';
import { Encoder } from '../../src/link/encoder.ts';
import { encodePreface } from '../../src/link/preface.ts';
import * as wire from '../../src/link/protocol.ts';
import { batchOf, encodeFrame, type Frame, Recorder } from '../helpers/link-frames.ts';
import { type Hearing, LinkPair, linkRequest } from '../helpers/link-pair.ts';
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

const windowBytes = 2048;
const preface = { version: wire.LINK_VERSION, windowBytes };

/** A peer that sends what the test says, and what it hears. */
class Peer extends Recorder {
  readonly socket: Socket;
  private preface = Buffer.alloc(0);

  constructor(socket: Socket) {
    super();
    this.socket = socket;
    extra.push(socket);
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      const whole = Buffer.concat([this.preface, chunk]);
      this.preface = whole.subarray(0, wire.PREFACE_BYTES);
      if (whole.length > wire.PREFACE_BYTES) this.decoder.push(whole.subarray(wire.PREFACE_BYTES));
    });
  }
  send(...frames: Frame[]): void {
    const encoder = new Encoder();
    for (const frame of frames) encodeFrame(encoder, frame);
    this.socket.write(batchOf(encoder));
  }
  heard(type: Frame['type']): Frame[] {
    return this.frames.filter((frame) => frame.type === type);
  }
}

const get = (id: number): Frame => ({ type: 'request', id, open: linkRequest(), end: true });
const post = (id: number): Frame => ({
  type: 'request',
  id,
  open: linkRequest({ method: 'POST' }, { bodyLength: 'unknown' }),
  end: false,
});
const data = (id: number, bytes: number, end = false): Frame => ({
  type: 'data',
  id,
  content: 'x'.repeat(bytes),
  end,
});
const response = (id: number, end = false): Frame => ({
  type: 'response',
  id,
  status: 200,
  reason: '',
  fields: [],
  end,
});
const inform = (id: number): Frame => ({ type: 'inform', id, status: 103, fields: [] });
const end = (id: number): Frame => ({ type: 'end', id, trailers: [] });
const credit = (id: number, bytes: number): Frame => ({ type: 'credit', id, bytes });
const reset = (id: number, code = 'WORKER_RESET', refused = false): Frame => ({
  type: 'reset',
  id,
  code,
  detail: '',
  refused,
});

async function falseEdge(options: { isConsuming?: boolean } = {}): Promise<Peer> {
  pair = new LinkPair({
    workerWindowBytes: windowBytes,
    streamsMax: 10,
    handle: (exchange) => {
      const handling = pair.attach(exchange);
      handling.isConsuming = options.isConsuming ?? true;
      exchange.respond(200, '', []);
      if (exchange.bodyLength === 0) exchange.end([]);
    },
  });
  await pair.listen();
  const peer = new Peer(connect(pair.path));
  peer.socket.write(encodePreface({ ...preface, streamsMax: 0 }));
  return peer;
}

const faultsOfAnEdge: readonly (readonly [string, Frame[], RegExp])[] = [
  ['a RESPONSE from the edge', [response(1)], /RESPONSE on stream 1/],
  ['an INFORM from the edge', [inform(1)], /INFORM on stream 1/],
  ['a DRAIN from the edge', [{ type: 'drain' }], /DRAIN/],
  ['a second REQUEST on a stream', [post(1), post(1)], /REQUEST on stream 1, which is in use/],
  ['a REQUEST beyond the limit', [get(11)], /REQUEST on stream 11, beyond the limit/],
  ['DATA for no stream', [data(3, 1)], /DATA on stream 3/],
  ['END for no stream', [end(3)], /END on stream 3/],
  ['RESET of a stream that never was', [reset(3, 'CLIENT_LEFT')], /RESET on stream 3/],
  ['CREDIT for a stream that never was', [credit(3, 1)], /CREDIT on stream 3/],
  ['DATA behind the end', [post(1), data(1, 1, true), data(1, 1)], /DATA after the end/],
  ['a second END', [post(1), data(1, 1, true), end(1)], /END after the end/],
  ['a RESET that refuses', [post(1), reset(1, 'CLIENT_LEFT', true)], /RESET on stream 1/],
  ['CREDIT beyond the window', [post(1), credit(1, 1)], /CREDIT of 1 bytes overflows/],
];

for (const [what, frames, detail] of faultsOfAnEdge) {
  test(`${what} ends the link`, async () => {
    const peer = await falseEdge();
    peer.send(...frames);
    await until('the link is gone', () => pair.closes.length > 0);
    assert.equal(pair.closes[0]?.code, 'LINK_PROTOCOL');
    assert.match(pair.closes[0]?.detail ?? '', detail);
    assert.match(pair.warnings.join(), detail);
    for (const handling of pair.handlings) assert.equal(handling.closes, 1);
  });
}

test('DATA beyond the window of a handler that does not read ends the link', async () => {
  const peer = await falseEdge({ isConsuming: false });
  peer.send(post(1), data(1, windowBytes));
  await until('the window is full', () => pair.handlings[0]?.receivedBytes === windowBytes);
  assert.equal(pair.closes.length, 0);
  peer.send(data(1, 1));
  await until('the link is gone', () => pair.closes.length > 0);
  assert.match(pair.closes[0]?.detail ?? '', /DATA beyond the window/);
});

test('a stream that the handler has ended is dropped to its end, and then the id is free', async () => {
  const peer = await falseEdge();
  peer.send(post(1), data(1, 10));
  const first = await pair.handling(0);
  first.exchange.end([]);
  await until('it is answered', () => peer.heard('response').length + peer.heard('end').length > 1);
  await until('the handler hears its end', () => first.closes === 1);
  peer.send(data(1, 10), data(1, 10, true), post(1), data(1, 5, true));
  const second = await pair.handling(1);
  await until('the id has been used again', () => second.requestTrailers !== null);
  assert.equal(first.receivedBytes, 10);
  assert.equal(second.receivedBytes, 5);
  assert.equal(pair.closes.length, 0);
});

test('RESET and CREDIT that cross the end of their stream are no fault', async () => {
  const peer = await falseEdge();
  peer.send(get(1));
  const first = await pair.handling(0);
  await until('it is answered', () => first.closes === 1);
  peer.send(credit(1, 100), reset(1, 'CLIENT_LEFT'), get(1));
  const second = await pair.handling(1);
  await until('the next on the same id is answered', () => second.closes === 1);
  assert.equal(second.outcome, null);
  assert.equal(pair.closes.length, 0);
});

test('a RESET is answered with one, so that the edge knows when the id is free', async () => {
  const peer = await falseEdge();
  peer.send(post(1), reset(1, 'CLIENT_LEFT'));
  await until('it is answered', () => peer.heard('reset').length === 1);
  const handling = await pair.handling(0);
  assert.equal(handling.outcome?.code, 'CLIENT_LEFT');
  peer.send(post(1));
  await pair.handling(1);
  assert.equal(pair.closes.length, 0);
});

test('an edge that sends single bytes and reads no credit fills no memory', async () => {
  const peer = await falseEdge();
  peer.send(post(1));
  const handling = await pair.handling(0);
  peer.socket.pause();
  const { outbox } = pair.worker as unknown as { outbox: { encoder: { bytes: number } } };
  let gatheredMax = 0;
  handling.onRequestData = (chunk) => {
    handling.exchange.consumed(chunk.length);
    gatheredMax = Math.max(gatheredMax, outbox.encoder.bytes);
  };
  // 400,000 frames, for which 4.8 MB of credit would be due. It is held back when the socket is
  // full, and so the window comes to its end.
  const frame = Buffer.from([1, 0, 0, wire.DATA, 1, 0, 0, 0, 120]);
  const frames = Buffer.concat(new Array(4000).fill(frame));
  for (let count = 0; count < 100; count++) peer.socket.write(frames);
  await until('the link is gone', () => pair.closes.length > 0);
  assert.match(pair.closes[0]?.detail ?? '', /DATA beyond the window/);
  assert.ok(gatheredMax <= wire.FLUSH_BYTES + 1000, `${gatheredMax} bytes were gathered`);
});

async function falseWorker(): Promise<{ peer: Peer; heard: Hearing[]; open(): Hearing }> {
  pair = new LinkPair();
  let peer: Peer | null = null;
  const server = createServer((socket) => {
    peer = new Peer(socket);
    socket.write(encodePreface({ ...preface, streamsMax: 2 }));
  });
  extra.push(server);
  await new Promise<void>((resolve) => server.listen(pair.path, resolve));
  pair.edge = connectLink({
    path: pair.path,
    windowBytes,
    onUp: () => {},
    onDown: (reason) => pair.downs.push(reason),
    log: { warning: (message, facts) => pair.warnings.push(`${message} ${JSON.stringify(facts)}`) },
  });
  const heard = [pair.open(linkRequest({}, { bodyLength: 'unknown' })), pair.open()];
  for (const one of heard) one.isConsuming = false;
  await until('the requests have come', () => peer?.heard('request').length === 2);
  return { peer: peer!, heard, open: () => pair.open() };
}

const faultsOfAWorker: readonly (readonly [string, Frame[], RegExp])[] = [
  ['a REQUEST from the worker', [get(1)], /REQUEST on stream 1/],
  ['RESPONSE for no stream', [response(9)], /RESPONSE on stream 9/],
  ['INFORM for no stream', [inform(9)], /INFORM on stream 9/],
  ['DATA for no stream', [data(9, 1)], /DATA on stream 9/],
  ['END for no stream', [end(9)], /END on stream 9/],
  ['RESET for no stream', [reset(9)], /RESET on stream 9/],
  ['CREDIT for no stream', [credit(9, 1)], /CREDIT on stream 9/],
  ['DATA before the head', [data(1, 1)], /DATA before RESPONSE/],
  ['END before the head', [end(1)], /END before RESPONSE/],
  ['a second head', [response(1), response(1)], /a second RESPONSE/],
  ['INFORM behind the head', [response(1), inform(1)], /INFORM after RESPONSE/],
  ['too many INFORM', Array.from({ length: 65 }, () => inform(1)), /too many INFORM/],
  ['a head that is refused later', [response(1), reset(1, 'SHUTTING_DOWN', true)], /refused/],
  ['RESET with a code that is none', [reset(1, 'toString')], /unknown code/],
  ['a frame behind the end', [response(2, true), data(2, 1)], /DATA on stream 2/],
  ['CREDIT beyond the window', [credit(1, 1)], /CREDIT of 1 bytes overflows/],
  ['DATA beyond the window', [response(1), data(1, windowBytes), data(1, 1)], /beyond the window/],
];

for (const [what, frames, detail] of faultsOfAWorker) {
  test(`${what} ends the link for the edge`, async () => {
    const { peer, heard } = await falseWorker();
    peer.send(...frames);
    await until('the link is down', () => pair.downs.length > 0);
    assert.equal(pair.downs[0]?.code, 'LINK_PROTOCOL');
    assert.match(pair.downs[0]?.detail ?? '', detail);
    assert.match(pair.warnings.join(), detail);
    for (const one of heard) assert.equal(one.ends, 1);
    assert.equal(heard[0]?.failure?.code, 'LINK_PROTOCOL');
    assert.equal(heard[0]?.reached, true);
  });
}

test('what a worker still sends on a cancelled stream is dropped, and its id is used after its end', async () => {
  const { peer, heard, open } = await falseWorker();
  heard[1]!.stream.cancel();
  await until('the worker is told', () => peer.heard('reset').length === 1);
  const early = open();
  await until('no stream is free yet', () => early.ends === 1);
  assert.equal(early.failure?.code, 'QUEUE_FULL');
  peer.send(inform(2), response(2), data(2, 100), reset(2, 'CLIENT_LEFT'));
  peer.send(response(1, true));
  await until('all that was read', () => heard[0]!.ends === 1);
  const next = open();
  await until('an id is used again', () => peer.heard('request').length === 3);
  const [, , third] = peer.heard('request');
  peer.send(response(third?.type === 'request' ? third.id : 0, true));
  await until('it is answered', () => next.ends === 1);
  assert.equal(heard[1]?.ends, 0);
  assert.equal(heard[1]?.receivedBytes, 0);
});

test('an answer before the content has ended is followed by a RESET from the edge', async () => {
  const { peer, heard } = await falseWorker();
  peer.send(response(1, true));
  await until('the worker hears that no content follows', () => peer.heard('reset').length === 1);
  assert.equal(heard[0]?.ends, 1);
  assert.equal(heard[0]?.failure, null);
});

test('a code that has no answer for the client becomes WORKER_RESET', async () => {
  const { peer, heard } = await falseWorker();
  peer.send(reset(1, 'CLIENT_LEFT'));
  await until('the stream fails', () => heard[0]!.ends === 1);
  assert.equal(heard[0]?.failure?.code, 'WORKER_RESET');
});
