// Requests that wait in the socket of a worker that takes one at a time: who may, how many, and for how long.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PoolBench } from '../helpers/pool-bench.ts';
import type { ScriptedOptions } from '../helpers/scripted-exchange.ts';
import { until } from '../helpers/until.ts';

/** A worker that has answered one request at once. */
function fastWorker(): PoolBench {
  const bench = new PoolBench();
  bench.admit(1, 1, 1, 'http-kept');
  bench.send();
  bench.links[0]!.streams[0]!.answer('');
  return bench;
}

test('three requests wait at a worker that answers fast, the others in the queue', () => {
  const bench = fastWorker();
  const exchanges = Array.from({ length: 6 }, () => bench.send());
  assert.deepEqual([bench.streams.length, bench.pool.queued], [4, 2]);
  for (let count = 0; count < 6; count++) bench.streams[0]!.answer(`answer ${count}`);
  assert.deepEqual(
    exchanges.map(({ content }) => content),
    Array.from({ length: 6 }, (_, at) => `answer ${at}`),
  );
  assert.equal(bench.pool.status()[0]!.served, 7);
});

test('nothing waits at a worker that has yet to answer, nor where the link has no line', () => {
  for (const protocol of ['http-kept', 'http', 'link'] as const) {
    const bench = new PoolBench();
    bench.admit(1, 1, 1, protocol);
    bench.send();
    if (protocol !== 'http-kept') {
      bench.links[0]!.streams[0]!.answer('');
      bench.send();
    }
    bench.send();
    assert.deepEqual([bench.streams.length, bench.pool.queued], [1, 1], protocol);
  }
});

test('what may not be done twice waits in the queue', () => {
  const some: ScriptedOptions[] = [{ method: 'POST' }, { method: 'DELETE' }];
  for (const options of some) {
    const bench = fastWorker();
    bench.send();
    bench.send(options);
    assert.deepEqual([bench.streams.length, bench.pool.queued], [1, 1], options.method);
  }
});

test('behind a slow request they come back, in order, and go to another worker', async () => {
  const bench = fastWorker();
  const [slow, second, third] = [bench.send(), bench.send(), bench.send()];
  await until('both are back', () => bench.pool.queued === 2);
  assert.deepEqual([bench.streams.length, bench.pool.status()[0]!.inFlight], [1, 1]);
  // It is slow: nobody waits there.
  bench.send();
  assert.equal(bench.pool.queued, 3);
  bench.admit(2, 1, 1, 'http-kept');
  const other = bench.links[1]!;
  other.streams[0]!.answer('second');
  assert.equal(second!.content, 'second');
  other.streams[0]!.answer('third');
  assert.equal(third!.content, 'third');
  bench.links[0]!.streams[0]!.answer('slow');
  assert.equal(slow!.content, 'slow');
  assert.deepEqual(
    bench.pool.status().map(({ served }) => served),
    [2, 2],
  );
});

test('a request that comes back has waited already: its limit counts from when it came', async () => {
  const bench = fastWorker();
  bench.pool.settings = { ...bench.pool.settings, queueTimeoutMs: 1 };
  bench.send();
  const waiting = bench.send();
  await until('a refusal', () => waiting.failure !== null);
  assert.equal(waiting.failure?.code, 'QUEUE_TIMEOUT');
});

test('who leaves the line is not sent again, and not counted', async () => {
  const bench = fastWorker();
  bench.send();
  const leaver = bench.send();
  leaver.leave();
  const { streams } = bench.links[0]!;
  assert.equal(streams.length, 1);
  streams[0]!.answer('');
  assert.deepEqual([bench.pool.queued, bench.pool.status()[0]!.served], [0, 2]);
});
