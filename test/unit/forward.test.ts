// The pool and the requests it forwards, with client and worker played by the test.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failure } from '../../src/errors/failure.ts';
import { PoolBench as Bench } from '../helpers/pool-bench.ts';
import type { ScriptedExchange } from '../helpers/scripted-exchange.ts';
import { until } from '../helpers/until.ts';

test('a request and its answer pass, and the answer names the request', () => {
  const bench = new Bench();
  bench.admit(1);
  const exchange = bench.send();
  const [stream] = bench.streams;
  assert.equal(stream?.request.request.target, '/');
  stream.observer.onInform(103, []);
  stream.observer.onResponse(200, '', ['Content-Type', 'text/plain']);
  stream.observer.onData(Buffer.from('hello'));
  stream.finish();
  assert.deepEqual(exchange.informs, [103]);
  assert.deepEqual(exchange.fields, ['Content-Type', 'text/plain', 'X-Request-Id', 'id-1']);
  assert.equal(exchange.content, 'hello');
  assert.deepEqual(exchange.trailers, []);
  assert.equal(exchange.record.upstream, 'worker 1');
  assert.ok(exchange.record.claimedMs > 0);
  assert.deepEqual(bench.pool.status(), [{ id: 1, inFlight: 0, upgraded: 0, served: 1 }]);
});

test("the app's own X-Request-Id stays", () => {
  const bench = new Bench();
  bench.admit(1);
  const exchange = bench.send();
  bench.streams[0]?.observer.onResponse(200, '', ['x-request-ID', 'own']);
  assert.deepEqual(exchange.fields, ['x-request-ID', 'own']);
});

test('response credit waits until the client has room', () => {
  const bench = new Bench();
  bench.admit(1);
  const exchange = bench.send();
  const stream = bench.streams[0]!;
  stream.observer.onResponse(200, '', []);
  stream.observer.onData(Buffer.from('12345'));
  assert.equal(stream.consumedBytes, 5);
  exchange.hasRoom = false;
  stream.observer.onData(Buffer.from('678'));
  stream.observer.onData(Buffer.from('90'));
  assert.equal(stream.consumedBytes, 5);
  exchange.hasRoom = true;
  exchange.handler?.onDrain();
  assert.equal(stream.consumedBytes, 10);
});

test('request credit passes from the worker to the client', () => {
  const bench = new Bench();
  bench.admit(1);
  const exchange = bench.send({ method: 'POST', bodyLength: 6 });
  exchange.sendContent('abc');
  const stream = bench.streams[0]!;
  assert.equal(stream.content, 'abc');
  assert.equal(exchange.consumedBytes, 0);
  stream.observer.onConsumed(3);
  assert.equal(exchange.consumedBytes, 3);
  exchange.sendContent('def');
  exchange.endContent();
  assert.equal(stream.content, 'abcdef');
  assert.deepEqual(stream.trailers, []);
});

test('a client that leaves cancels its request and frees its place', () => {
  const bench = new Bench();
  bench.admit(1, 1);
  const first = bench.send();
  const second = bench.send({ target: '/second' });
  assert.equal(bench.pool.queued, 1);
  const stream = bench.streams[0]!;
  first.leave();
  assert.ok(stream.cancelled);
  assert.equal(bench.streams[0]?.request.request.target, '/second');
  second.leave();
  assert.equal(bench.streams.length, 0);
});

test('requests wait in order for a place, and for the first worker', () => {
  const bench = new Bench();
  const all = ['/1', '/2', '/3'].map((target) => bench.send({ target }));
  assert.equal(bench.pool.queued, 3);
  bench.admit(1, 1);
  const served: string[] = [];
  while (bench.streams[0] !== undefined) {
    served.push(bench.streams[0].request.request.target);
    bench.streams[0].answer('x');
  }
  assert.deepEqual(served, ['/1', '/2', '/3']);
  assert.ok(all.every((exchange) => exchange.record.status === 200));
});

test('who leaves the queue is never sent', () => {
  const bench = new Bench();
  const [, second] = ['/1', '/2', '/3'].map((target) => bench.send({ target }));
  second?.leave();
  bench.admit(1);
  assert.deepEqual(
    bench.streams.map((stream) => stream.request.request.target),
    ['/1', '/3'],
  );
});

test('a full queue refuses with 503', () => {
  const bench = new Bench({ queueSize: 1 });
  bench.send();
  const refused = bench.send();
  assert.equal(refused.failure?.code, 'QUEUE_FULL');
  assert.equal(refused.record.status, 503);
  assert.equal(bench.pool.queued, 1);
});

test('a wait that is too long ends with 503', async () => {
  const bench = new Bench({ queueTimeoutMs: 20 });
  const exchange = bench.send();
  await exchange.settled;
  assert.equal(exchange.failure?.code, 'QUEUE_TIMEOUT');
  bench.admit(1);
  assert.equal(bench.streams.length, 0);
});

test('an app that does not begin to answer in time is given up, and its place is free', async () => {
  const bench = new Bench();
  bench.settings = { responseTimeoutMs: 20, spool: false, responseSteps: [] };
  bench.admit(1, 1);
  const exchange = bench.send();
  const stream = bench.streams[0]!;
  await exchange.settled;
  assert.equal(exchange.record.status, 504);
  assert.ok(stream.cancelled);
  assert.deepEqual(bench.pool.status(), [{ id: 1, inFlight: 0, upgraded: 0, served: 1 }]);
});

test('an answer that began in time may take as long as it likes', async () => {
  const bench = new Bench();
  bench.settings = { responseTimeoutMs: 20, spool: false, responseSteps: [] };
  bench.admit(1);
  const slow = bench.send();
  bench.streams[0]?.observer.onResponse(200, '', []);
  const other = bench.send();
  await other.settled; // a sweep that came later than the slow one's deadline
  assert.equal(other.record.status, 504);
  assert.equal(slow.over, false);
});

test('a worker that is withdrawn gets nothing more and finishes what it has', () => {
  const bench = new Bench();
  bench.admit(1);
  bench.admit(2);
  const first = bench.send();
  assert.equal(bench.links[0]?.streams.length, 1);
  bench.pool.withdraw(1);
  assert.ok(bench.links[0]?.drained);
  for (let count = 0; count < 4; count++) bench.send();
  assert.equal(bench.links[0]?.streams.length, 1);
  assert.equal(bench.links[1]?.streams.length, 4);
  assert.deepEqual(bench.pool.status()[1], { id: 1, inFlight: 1, upgraded: 0, served: 0 });
  bench.links[0]?.streams[0]?.answer('late');
  assert.equal(first.content, 'late');
  assert.equal(bench.links[0]?.down, true);
  assert.deepEqual(
    bench.pool.status().map((worker) => worker.id),
    [2],
  );
});

test('each socket of a worker with threads has a capacity of its own', () => {
  const bench = new Bench();
  bench.admit(1, 1, 3);
  for (let count = 0; count < 4; count++) bench.send();
  assert.deepEqual(
    bench.links.map((link) => link.streams.length),
    [1, 1, 1],
  );
  assert.equal(bench.pool.queued, 1);
  assert.deepEqual(bench.pool.status(), [{ id: 1, inFlight: 3, upgraded: 0, served: 0 }]);
});

test('a GET whose worker dies is answered by another', () => {
  const bench = new Bench();
  bench.admit(1);
  bench.admit(2);
  const exchange = bench.send();
  bench.links[0]?.die();
  assert.equal(bench.links[1]?.streams.length, 1);
  bench.links[1]?.streams[0]?.answer('from 2');
  assert.equal(exchange.content, 'from 2');
  assert.equal(exchange.record.retries, 1);
  assert.equal(exchange.record.upstream, 'worker 2');
});

test('a GET whose only worker dies waits for the next', () => {
  const bench = new Bench({ queueSize: 0 });
  bench.admit(1);
  const exchange = bench.send();
  bench.links[0]?.die();
  bench.pool.gone(1);
  assert.equal(bench.pool.queued, 1);
  bench.admit(2);
  bench.streams[0]?.answer('again');
  assert.equal(exchange.content, 'again');
});

test('a POST that may have been worked on is answered with 502 and the reason', () => {
  const bench = new Bench();
  bench.admit(1);
  bench.admit(2);
  const exchange = bench.send({ method: 'POST' });
  bench.links[0]?.die();
  assert.equal(exchange.record.status, 502);
  assert.equal(exchange.failure?.code, 'WORKER_DIED');
  assert.equal(
    exchange.failure?.detail,
    'worker 1 (pid 10001): the link was closed; not retried: POST is not idempotent',
  );
  assert.equal(bench.streams.length, 0);
});

test('a POST that never reached its worker goes to another, content and all', () => {
  const bench = new Bench();
  bench.admit(1);
  bench.admit(2);
  const exchange = bench.send({ method: 'POST', bodyLength: 6 });
  exchange.sendContent('abc');
  bench.streams[0]?.fail(failure('WORKER_DIED', 'refused'), false);
  exchange.sendContent('def');
  exchange.endContent(['X-Sum', '1']);
  const stream = bench.links[1]?.streams[0];
  assert.equal(stream?.content, 'abcdef');
  assert.deepEqual(stream.trailers, ['X-Sum', '1']);
  stream.observer.onConsumed(6);
  assert.equal(exchange.consumedBytes, 6);
});

test('a PUT is sent again with the content its first worker had taken, credited once', () => {
  const bench = new Bench();
  bench.admit(1);
  bench.admit(2);
  const exchange = bench.send({ method: 'PUT', bodyLength: 9 });
  exchange.sendContent('abc');
  bench.streams[0]?.observer.onConsumed(3);
  exchange.sendContent('def');
  bench.streams[0]?.observer.onConsumed(3);
  exchange.sendContent('ghi');
  bench.links[0]?.die();
  const stream = bench.links[1]?.streams[0];
  assert.equal(stream?.content, 'abcdefghi');
  assert.equal(exchange.consumedBytes, 6);
  stream.observer.onConsumed(5);
  assert.equal(exchange.consumedBytes, 6);
  stream.observer.onConsumed(4);
  assert.equal(exchange.consumedBytes, 9);
});

test('a PUT too large to be kept is not sent again', () => {
  const bench = new Bench();
  bench.admit(1);
  bench.admit(2);
  const exchange = bench.send({ method: 'PUT', bodyLength: 200_000 });
  const piece = 'x'.repeat(40_000);
  exchange.sendContent(piece);
  bench.streams[0]?.observer.onConsumed(40_000);
  exchange.sendContent(piece);
  bench.links[0]?.die();
  assert.equal(exchange.record.status, 502);
  assert.match(exchange.failure?.detail ?? '', /the content was not kept/);
});

test('once the answer has begun there is no second one', () => {
  const bench = new Bench();
  bench.admit(1);
  bench.admit(2);
  const exchange = bench.send();
  bench.streams[0]?.observer.onResponse(200, '', []);
  bench.links[0]?.die();
  assert.equal(exchange.record.status, 200);
  assert.equal(exchange.failure?.code, 'WORKER_DIED');
  assert.equal(bench.streams.length, 0);
});

test('what the app resets is not retried', () => {
  const bench = new Bench();
  bench.admit(1);
  bench.admit(2);
  const exchange = bench.send();
  bench.streams[0]?.fail(failure('WORKER_RESET', 'destroyed'), true);
  assert.equal(exchange.failure?.code, 'WORKER_RESET');
});

test('a request that ends every worker it meets does not meet them all', () => {
  const bench = new Bench();
  for (let id = 1; id <= 10; id++) bench.admit(id);
  const exchange = bench.send();
  for (let live = bench.streams[0]; live !== undefined; live = bench.streams[0]) live.link.die();
  assert.equal(exchange.failure?.code, 'WORKER_DIED');
  assert.equal(bench.links.filter((link) => link.down).length, 2);
});

test('a worker that drains its link by itself gets no retry and nothing more', () => {
  const bench = new Bench();
  bench.admit(1);
  const exchange = bench.send({ method: 'POST' });
  bench.streams[0]?.fail(failure('SHUTTING_DOWN', 'the link is being drained'), false);
  const later = bench.send();
  assert.equal(bench.streams.length, 0);
  assert.equal(bench.pool.queued, 2);
  bench.admit(2);
  for (const stream of bench.streams) stream.answer('from 2');
  assert.deepEqual([exchange.content, later.content], ['from 2', 'from 2']);
});

test('a link that drops while its worker lives is opened again', async () => {
  const bench = new Bench();
  bench.admit(1);
  bench.links[0]?.die();
  const exchange = bench.send();
  assert.equal(bench.pool.queued, 1);
  while (bench.links.length < 2) await new Promise((resolve) => setImmediate(resolve));
  bench.links[1]?.up();
  bench.streams[0]?.answer('back');
  assert.equal(exchange.content, 'back');
});

test('sync workers: an upload is taken in whole before a worker is claimed', () => {
  const bench = new Bench();
  bench.settings = { responseTimeoutMs: 0, spool: true, responseSteps: [] };
  bench.admit(1, 1);
  const upload = bench.send({ method: 'POST', bodyLength: 'unknown', expectsContinue: true });
  upload.sendContent('slow ');
  assert.equal(bench.streams.length, 0);
  assert.equal(upload.consumedBytes, 5);
  const other = bench.send();
  bench.streams[0]?.answer('meanwhile');
  assert.equal(other.content, 'meanwhile');
  upload.sendContent('upload');
  upload.endContent();
  const stream = bench.streams[0]!;
  assert.equal(stream.content, 'slow upload');
  assert.equal(stream.request.bodyLength, 11);
  assert.equal(stream.request.expectsContinue, false);
  assert.deepEqual(stream.request.request.fields.slice(-2), ['Content-Length', '11']);
  assert.deepEqual(stream.trailers, []);
});

test('sync workers: an upload too large for memory goes through a file, also twice', async () => {
  const bench = new Bench();
  bench.settings = { responseTimeoutMs: 0, spool: true, responseSteps: [] };
  bench.admit(1, 1);
  bench.admit(2, 1);
  const pieces = Array.from({ length: 30 }, (_, index) => String(index % 10).repeat(50_000));
  const upload = bench.send({ method: 'PUT', bodyLength: 1_500_000 });
  for (const piece of pieces) upload.sendContent(piece);
  upload.endContent();
  await until('the stream', () => bench.streams.length === 1);
  assert.equal(upload.consumedBytes, 1_500_000);
  const first = bench.streams[0]!;
  await until('what it reads ahead', () => first.content.length >= 500_000);
  assert.ok(first.content.length < 700_000, 'reads no further ahead than the worker takes');
  first.link.die();
  const second = bench.streams[0]!;
  let taken = 0;
  await until('the end of the content', () => {
    if (second.content.length > taken) second.observer.onConsumed(second.content.length - taken);
    taken = second.content.length;
    return second.trailers !== null;
  });
  assert.ok(second.content === pieces.join(''));
  second.answer('stored');
  assert.equal(upload.content, 'stored');
});

test('a fault on the way of a response costs its client a 500, and the worker is free again', () => {
  const fault = () => {
    throw new RangeError('a fault');
  };
  const parts: ((exchange: ScriptedExchange) => void)[] = [
    (exchange) => Object.assign(exchange, { respond: fault }),
    (exchange) => Object.assign(exchange, { write: fault }),
    (exchange) => Object.assign(exchange, { end: fault }),
  ];
  const bench = new Bench();
  bench.admit(1);
  for (const spoil of parts) {
    const exchange = bench.send();
    spoil(exchange);
    const [stream] = bench.streams;
    const { observer } = stream!;
    observer.onResponse(200, '', []);
    if (!stream!.cancelled) observer.onData(Buffer.from('hello'));
    if (!stream!.cancelled) stream!.finish();
    assert.equal(exchange.failure?.code, 'EDGE_FAULT');
    assert.equal(bench.pool.status()[0]?.inFlight, 0);
    assert.deepEqual(bench.streams, []);
  }
  bench.settings = { ...bench.settings, responseSteps: [fault] };
  const exchange = bench.send();
  bench.streams[0]?.observer.onResponse(200, '', []);
  assert.equal(exchange.failure?.code, 'EDGE_FAULT');
  assert.equal(bench.pool.status()[0]?.inFlight, 0);
});
