// The app pool: which workers there are, who gets the next request, and the queue of those for
// whom none has room. Bounded: the queue by size and by time, each worker by its capacity.

import type { Failure } from '../../errors/failure.ts';
import { failure } from '../../errors/failure.ts';
import type { EdgeStatus } from '../../ipc/messages.ts';
import type { Log } from '../../telemetry/log.ts';
import { Backend, type Connect, type PoolMember } from './backend.ts';
import { lineMs } from './line.ts';
import { choose, chooseInLine } from './policy.ts';
import { chooseFor } from './sticky.ts';
import { type Waiter, WaitList } from './wait-list.ts';
import { chooseWeighted } from './weighted.ts';

export interface PoolSettings {
  /** Most requests that wait for a worker. */
  readonly queueSize: number;
  readonly queueTimeoutMs: number;
}

export interface PoolOptions {
  readonly settings: PoolSettings;
  readonly connect: Connect;
  readonly log: Log;
  /** Members have weights that count. */
  readonly weighted?: boolean;
  /** A request on a backend failed, for whatever reason. */
  readonly onFailed?: (backend: Backend, reason: Failure) => void;
}

/** How exactly deadlines are kept. One timer for all that wait, and only while something waits. */
const sweepMs = 50;

export class Pool {
  /** Settings of the composition in force; a reload puts others here. */
  settings: PoolSettings;
  readonly log: Log;
  readonly queue = new WaitList();
  /** Requests that wait for a response head. */
  readonly answering = new WaitList();

  private readonly connect: Connect;
  private readonly weighted: boolean;
  private readonly turns = { at: 0 };
  private readonly onFailed: ((backend: Backend, reason: Failure) => void) | null;
  private backends: Backend[] = [];
  /** Withdrawn, but with requests in flight: shown in the status. */
  private leaving: Backend[] = [];
  /** What waits for the last request of a worker that leaves. */
  private readonly idle = new Map<number, () => void>();
  private turn = 0;
  private sweeper: NodeJS.Timeout | null = null;
  /** Some worker takes requests that wait at it. */
  private hasLines = false;
  /** Runs while a request waits at a worker. */
  private lineSweeper: NodeJS.Timeout | null = null;
  /** Why nobody waits any more. */
  private refusal: Failure | null = null;
  private readonly onRoom = (): void => this.pump();

  constructor(options: PoolOptions) {
    this.settings = options.settings;
    this.connect = options.connect;
    this.weighted = options.weighted ?? false;
    this.onFailed = options.onFailed ?? null;
    this.log = options.log;
  }

  /** The worker is ready: opens a link to each of its sockets. */
  admit(worker: PoolMember): readonly Backend[] {
    if (this.backends.some((backend) => backend.workerId === worker.id)) return [];
    const { connect, log, onRoom, onFailed } = this;
    const common = { worker, connect, onRoom, onFailed, log };
    const made = worker.sockets.map((path) => new Backend({ ...common, path }));
    // A new array: a choice that is being made keeps to the old one.
    this.backends = [...this.backends, ...made];
    this.hasLines ||= made.some(({ line }) => line !== null);
    return made;
  }

  /** From now on nothing more is sent to the worker; what is in flight finishes. True: it leaves when it is idle. */
  withdraw(workerId: number): boolean {
    const removed = this.remove(workerId);
    for (const backend of removed) backend.withdraw();
    return removed.some(({ worker }) => worker.leavesWhenIdle);
  }

  /** Calls back when nothing is in flight any more on a worker that was withdrawn: at once, if so. */
  whenIdle(workerId: number, act: () => void): void {
    if (this.leaving.some((backend) => backend.workerId === workerId)) this.idle.set(workerId, act);
    else act();
  }

  /** Workers that have had so many requests as they are to have, by this edge's count. */
  spent(edges: number): readonly { readonly workerId: number; readonly served: number }[] {
    return this.backends
      .filter(
        ({ worker, served }) => worker.retireAfter > 0 && served * edges >= worker.retireAfter,
      )
      .map(({ workerId, served }) => ({ workerId, served }));
  }

  /** The worker's process has ended, wanted or not. */
  gone(workerId: number): void {
    for (const backend of this.leaving) if (backend.workerId === workerId) backend.gone();
    for (const backend of this.remove(workerId)) backend.gone();
  }

  /** Starts the request on the worker that suits best, or queues it. `retried` requests were
   *  taken in before: they don't count against the queue's size, or a worker's end under load
   *  would refuse what had been accepted. */
  submit(waiter: Waiter, retried: boolean): void {
    // While others wait nobody has room, so a newcomer can't overtake them.
    const backend = this.queue.size === 0 ? this.claim(waiter) : null;
    if (backend !== null) {
      waiter.start(backend);
      return;
    }
    if (this.refusal !== null) {
      waiter.giveUp(this.refusal);
      return;
    }
    if (!retried && this.queue.size >= this.settings.queueSize) {
      waiter.giveUp(failure('QUEUE_FULL', `${this.queue.size} requests are waiting`));
      return;
    }
    this.queue.push(waiter, performance.now() + this.settings.queueTimeoutMs);
    this.sweepLater();
  }

  /** The request waits for its response head until `deadlineMs`. */
  awaitAnswer(waiter: Waiter, deadlineMs: number): void {
    this.answering.push(waiter, deadlineMs);
    this.sweepLater();
  }

  /** A request is over, as far as the backend goes. */
  release(backend: Backend, waiter: Waiter): void {
    backend.inFlight--;
    if (backend.line === null || backend.line.leave(waiter, performance.now())) backend.served++;
    if (this.leaving.length > 0) this.left(backend);
    if (this.queue.size > 0) this.pump();
  }

  /** Something on the backend is over: has it anything left that the status is to show? */
  left(backend: Backend): void {
    if (backend.inFlight + backend.upgraded > 0) return;
    this.leaving = this.leaving.filter((other) => other !== backend);
    const { workerId } = backend;
    if (this.leaving.some((other) => other.workerId === workerId)) return;
    this.idle.get(workerId)?.();
    this.idle.delete(workerId);
  }

  /** From now on no request waits for a worker: who does, gives up, as will who comes. Null: they may wait. */
  refuse(reason: Failure | null): void {
    this.refusal = reason;
    if (reason === null) return;
    for (const waiter of this.queue.overdue(Number.POSITIVE_INFINITY)) waiter.giveUp(reason);
  }

  /** Ends all links; what waits or is in flight fails. */
  destroy(reason: Failure): void {
    const ending = [...this.backends, ...this.leaving];
    this.backends = [];
    this.leaving = [];
    for (const backend of ending) backend.destroy(reason);
    this.refuse(reason);
    if (this.sweeper !== null) clearTimeout(this.sweeper);
    this.sweeper = null;
    if (this.lineSweeper !== null) clearTimeout(this.lineSweeper);
    this.lineSweeper = null;
  }

  get queued(): number {
    return this.queue.size;
  }

  /** Workers that take requests on one of their sockets at least. */
  get workersReady(): number {
    const ready = this.backends.filter((backend) => backend.takesRequests);
    return new Set(ready.map(({ workerId }) => workerId)).size;
  }

  /** By worker: the sockets of a worker with threads are added up. */
  status(): EdgeStatus['workers'] {
    const byId = new Map<
      number,
      { id: number; inFlight: number; upgraded: number; served: number }
    >();
    for (const backend of [...this.backends, ...this.leaving]) {
      const { workerId: id, inFlight, upgraded, served } = backend;
      const sum = byId.get(id) ?? { id, inFlight: 0, upgraded: 0, served: 0 };
      sum.inFlight += inFlight;
      sum.upgraded += upgraded;
      sum.served += served;
      byId.set(id, sum);
    }
    return [...byId.values()];
  }

  private remove(workerId: number): Backend[] {
    const removed = this.backends.filter((backend) => backend.workerId === workerId);
    this.backends = this.backends.filter((backend) => backend.workerId !== workerId);
    this.leaving = [...this.leaving, ...removed.filter(isInUse)];
    return removed;
  }

  /** The backend for the request, with its place on it taken; null when none has room. */
  private claim(waiter: Waiter): Backend | null {
    const { stick, avoidWorkerId } = waiter;
    const index =
      stick === null
        ? this.weighted
          ? chooseWeighted(this.backends, this.turns, avoidWorkerId)
          : choose(this.backends, this.turn, avoidWorkerId)
        : chooseFor(stick, this.backends, this.turn, avoidWorkerId);
    if (index === -1) return this.hasLines && waiter.canComeBack ? this.claimInLine(waiter) : null;
    const backend = this.backends[index]!;
    // Those who keep to a worker leave the others' turns as they were.
    if (stick === null || stick.key === stick.place) this.turn = index + 1;
    backend.inFlight++;
    backend.line?.begin(performance.now());
    return backend;
  }

  /** A place in the line of a worker that has no room. */
  private claimInLine(waiter: Waiter): Backend | null {
    const index = chooseInLine(this.backends, waiter.avoidWorkerId);
    if (index === -1) return null;
    const backend = this.backends[index]!;
    backend.inFlight++;
    backend.line!.join(waiter, performance.now());
    this.sweepLinesLater();
    return backend;
  }

  private sweepLinesLater(): void {
    this.lineSweeper ??= setTimeout(() => {
      this.lineSweeper = null;
      const all = [...this.backends, ...this.leaving];
      for (const backend of all) this.takeBack(backend, performance.now());
      if (all.some(({ line }) => line !== null && !line.isEmpty)) this.sweepLinesLater();
    }, lineMs / 2);
  }

  /** Requests that wait behind a slow one come back to the front of the queue. */
  private takeBack({ line }: Backend, nowMs: number): void {
    if (line === null || line.isEmpty) return;
    const late = line.overdue(nowMs).filter(({ waiter }) => waiter.canComeBack);
    if (late.length === 0) return;
    // All of them first: who is in the queue may be sent on at once.
    for (const { waiter } of late) waiter.comeBack();
    for (const { waiter, sinceMs } of late.reverse())
      this.queue.unshift(waiter, sinceMs + this.settings.queueTimeoutMs);
    this.sweepLater();
    this.pump();
  }

  /** Gives room to those who wait, first come first served. */
  private pump(): void {
    for (let waiter = this.queue.first; waiter !== null; waiter = this.queue.first) {
      const backend = this.claim(waiter);
      if (backend === null) return;
      this.queue.remove(waiter);
      waiter.start(backend);
    }
  }

  private sweepLater(): void {
    if (this.sweeper !== null) return;
    this.sweeper = setTimeout(() => {
      this.sweeper = null;
      this.sweep(performance.now());
      if (this.queue.size > 0 || this.answering.size > 0) this.sweepLater();
    }, sweepMs);
  }

  private sweep(nowMs: number): void {
    for (const waiter of this.queue.overdue(nowMs))
      waiter.giveUp(
        failure('QUEUE_TIMEOUT', `no worker was free in ${this.settings.queueTimeoutMs} ms`),
      );
    for (const waiter of this.answering.overdue(nowMs))
      waiter.giveUp(failure('RESPONSE_TIMEOUT', 'the app did not begin to answer in time'));
  }
}

function isInUse({ inFlight, upgraded }: Backend): boolean {
  return inFlight + upgraded > 0;
}
