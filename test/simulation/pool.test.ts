// Random lives of the app pool: workers come, go and die, clients come and leave, in any order.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Forward } from '../../src/edge/balancer/forward.ts';
import { Pool } from '../../src/edge/balancer/pool.ts';
import { retriesMax } from '../../src/edge/balancer/retry.ts';
import { failure } from '../../src/errors/failure.ts';
import { type Random, randomFrom, seed } from '../helpers/random.ts';
import { ScriptedExchange } from '../helpers/scripted-exchange.ts';
import { ScriptedLink, type ScriptedStream } from '../helpers/scripted-link.ts';
import { workerAddress } from '../helpers/worker-address.ts';

const lives = 400;
const stepsMax = 150;
const queueSize = 8;
const capacity = 2;
const socketsPerWorker = 2;
const noop = (): void => {};
const quiet = {
  trace: noop,
  debug: noop,
  info: noop,
  warning: noop,
  error: noop,
  critical: noop,
  reopen: noop,
};

class Life {
  readonly links: ScriptedLink[] = [];
  readonly exchanges: ScriptedExchange[] = [];
  /** Workers whose process lives, by id, with the paths of their sockets. */
  readonly workers = new Map<number, Set<string>>();
  /** How often a worker may have begun a request, by its id. */
  readonly begun = new Map<string, number>();
  readonly pool = new Pool({
    settings: { queueSize, queueTimeoutMs: 60_000 },
    connect: (options) => {
      const link = new ScriptedLink(options);
      this.links.push(link);
      return link;
    },
    log: quiet,
  });
  private ids = 0;
  private readonly random: Random;

  constructor(random: Random) {
    this.random = random;
  }

  pick<T>(from: readonly T[]): T | undefined {
    return from.length === 0 ? undefined : from[this.random(from.length)];
  }

  get streams(): ScriptedStream[] {
    return this.links.flatMap((link) => link.streams);
  }

  step(): void {
    const stream = this.pick(this.streams);
    const link = this.pick(this.links.filter((other) => !other.down));
    const worker = this.pick([...this.workers.keys()]);
    switch (this.random(10)) {
      case 0:
        this.admit();
        return;
      case 1:
        if (worker !== undefined) this.pool.withdraw(worker);
        return;
      case 2:
        if (worker !== undefined) this.end(worker);
        return;
      case 3:
        if (link !== undefined && !link.isUp) link.up();
        return;
      case 4:
        if (link !== undefined && this.random(3) === 0) this.die(link);
        return;
      case 5:
        this.pick(this.exchanges.filter((exchange) => !exchange.over))?.leave();
        return;
      case 6:
        stream?.answer('x');
        return;
      case 7:
        stream?.fail(failure(this.random(2) === 0 ? 'SHUTTING_DOWN' : 'QUEUE_FULL'), false);
        return;
      default:
        this.send();
    }
  }

  admit(): void {
    const id = ++this.ids;
    const sockets = Array.from({ length: socketsPerWorker }, (_, index) => `/run/${id}-${index}`);
    this.workers.set(id, new Set(sockets));
    this.pool.admit(workerAddress({ id, sockets, capacity }));
  }

  /** The process ends: its links close and the arbiter says so, in either order. */
  end(id: number): void {
    const paths = this.workers.get(id)!;
    this.workers.delete(id);
    const toldFirst = this.random(2) === 0;
    if (toldFirst) this.pool.gone(id);
    for (const link of this.links) if (paths.has(link.path) && !link.down) this.die(link);
    if (!toldFirst) this.pool.gone(id);
  }

  die(link: ScriptedLink): void {
    for (const { request } of link.streams)
      this.begun.set(request.requestId, (this.begun.get(request.requestId) ?? 0) + 1);
    link.die();
  }

  send(): void {
    const method = this.random(2) === 0 ? 'GET' : 'POST';
    const exchange = new ScriptedExchange({ method });
    exchange.requestId = `${method} ${this.exchanges.length}`;
    this.exchanges.push(exchange);
    const settings = { responseTimeoutMs: 0, spool: false, responseSteps: [] };
    new Forward(exchange, exchange.request, this.pool, settings).run();
  }

  check(): void {
    const atWorkers = new Set<string>();
    for (const link of this.links) {
      assert.ok(link.streams.length <= capacity, 'a worker has no more than it takes');
      for (const { request } of link.streams) {
        assert.ok(!atWorkers.has(request.requestId), 'a request is at one worker at a time');
        atWorkers.add(request.requestId);
      }
    }
    const counted = this.pool.status().reduce((sum, worker) => sum + worker.inFlight, 0);
    assert.equal(counted, atWorkers.size, 'the count of requests in flight is right');
    const open = this.exchanges.filter((exchange) => !exchange.over).length;
    assert.equal(this.pool.queued, open - atWorkers.size, 'all others are in the queue');
    for (const [name, times] of this.begun)
      assert.ok(times <= (name.startsWith('POST') ? 1 : retriesMax + 1), `${name}: ${times} times`);
  }

  /** A worker that works comes at last: all that waits gets its answer. */
  finish(): void {
    this.admit();
    for (const link of this.links.slice(-socketsPerWorker)) link.up();
    for (let stream = this.streams[0]; stream !== undefined; stream = this.streams[0])
      stream.answer('y');
    assert.equal(this.pool.queued, 0, 'nobody waits any more');
    assert.ok(
      this.exchanges.every((exchange) => exchange.over),
      'every request has settled',
    );
    this.check();
    this.pool.destroy(failure('SHUTTING_DOWN'));
  }
}

test(`${lives} random lives of the pool keep its promises (FUZZ_SEED=${seed})`, () => {
  for (let number = 0; number < lives; number++) {
    const random = randomFrom(seed + number);
    const life = new Life(random);
    for (let step = random(stepsMax); step >= 0; step--) {
      life.step();
      life.check();
    }
    life.finish();
  }
});
