// Which backend the balancer chooses, and which requests it sends again.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Candidate, choose } from '../../src/edge/balancer/policy.ts';
import { type Attempt, decideRetry, retriesMax } from '../../src/edge/balancer/retry.ts';
import { failure } from '../../src/errors/failure.ts';

function candidate(workerId: number, inFlight: number, facts: Partial<Candidate> = {}): Candidate {
  return { workerId, inFlight, capacity: 10, takesRequests: true, ...facts };
}

test('the backend with the fewest requests in flight is chosen', () => {
  const backends = [candidate(1, 3), candidate(2, 1), candidate(3, 2)];
  for (let start = 0; start < 3; start++) assert.equal(choose(backends, start, 0), 1);
});

test('equals take turns', () => {
  const backends = [candidate(1, 0), candidate(2, 0), candidate(3, 0)];
  const chosen: number[] = [];
  let start = 0;
  for (let round = 0; round < 6; round++) {
    const index = choose(backends, start, 0);
    chosen.push(index);
    start = index + 1;
  }
  assert.deepEqual(chosen, [0, 1, 2, 0, 1, 2]);
});

test('equals under load take turns as well', () => {
  const backends = [candidate(1, 4), candidate(2, 4), candidate(3, 5)];
  assert.equal(choose(backends, 0, 0), 0);
  assert.equal(choose(backends, 1, 0), 1);
  assert.equal(choose(backends, 2, 0), 0);
});

test('one at its limit, one withdrawn and one whose link is down are passed over', () => {
  const backends = [
    candidate(1, 1, { capacity: 1 }),
    candidate(2, 0, { takesRequests: false }),
    candidate(3, 9),
  ];
  for (let start = 0; start < 3; start++) assert.equal(choose(backends, start, 0), 2);
});

test('there is no choice when none has room, and when there is none', () => {
  assert.equal(choose([candidate(1, 1, { capacity: 1 })], 0, 0), -1);
  assert.equal(choose([], 0, 0), -1);
});

test('a turn beyond the end, after backends have left, starts over', () => {
  assert.equal(choose([candidate(1, 0), candidate(2, 0)], 7, 0), 0);
});

test('a retry avoids the worker that failed it, unless no other has room', () => {
  const threads = [candidate(1, 0), candidate(1, 0), candidate(2, 5)];
  assert.equal(choose(threads, 0, 1), 2);
  assert.equal(choose([candidate(1, 3), candidate(2, 1, { capacity: 1 })], 0, 1), 0);
});

const attempt: Attempt = {
  method: 'GET',
  failure: failure('WORKER_DIED'),
  reached: true,
  replayable: true,
  answered: false,
  retries: 0,
};

test('an idempotent request whose worker died before answering goes to another', () => {
  for (const method of ['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])
    assert.equal(decideRetry({ ...attempt, method }), 'retry', method);
});

test('a request that may have been worked on and is not idempotent is not sent again', () => {
  for (const method of ['POST', 'PATCH', 'get', 'PROPFIND', 'CONNECT'])
    assert.match(decideRetry({ ...attempt, method }), /is not idempotent/, method);
});

test('a request that never reached a worker goes to another whatever its method', () => {
  for (const method of ['POST', 'PATCH', 'GET'])
    assert.equal(decideRetry({ ...attempt, method, reached: false }), 'retry', method);
});

test('there is no retry once the answer began, without the content, too often, or against the app', () => {
  assert.match(decideRetry({ ...attempt, answered: true }), /begun/);
  assert.match(decideRetry({ ...attempt, replayable: false }), /content/);
  assert.match(decideRetry({ ...attempt, reached: false, replayable: false }), /content/);
  assert.match(decideRetry({ ...attempt, reached: false, retries: retriesMax }), /3 retries/);
  assert.match(decideRetry({ ...attempt, failure: failure('WORKER_RESET') }), /would not help/);
  assert.equal(decideRetry({ ...attempt, failure: failure('LINK_PROTOCOL') }), 'retry');
});

test('a request under which a second worker ended goes to no third', () => {
  assert.match(decideRetry({ ...attempt, retries: 1 }), /ended under it already/);
  assert.equal(decideRetry({ ...attempt, reached: false, retries: 1 }), 'retry');
});

test('what the log says of a long method is short', () => {
  assert.ok(decideRetry({ ...attempt, method: 'X'.repeat(4000) }).length < 60);
});
