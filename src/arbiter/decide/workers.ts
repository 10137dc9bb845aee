// What happens to workers: what they say, how they end, and the deadlines of each phase of their life.

import { isProgram, topApp } from '../../config/config.ts';
import type { FromWorker } from '../../ipc/messages.ts';
import type { Event } from './events.ts';
import { bootFailedExitMs, livedLongMs, workerHungMs } from './limits.ts';
import {
  configOf,
  describeExit,
  drainWithdrawn,
  seconds,
  sharesSlot,
  socketBaseOf,
  withdraw,
} from './moves.ts';
import { endRoll } from './reload.ts';
import type { Worker, WorkerIn } from './state.ts';
import { beginStop } from './stop.ts';
import {
  appOf,
  backoffOf,
  clearFailures,
  countFailure,
  expectExit,
  killWorker,
  log,
  nameOf,
  putApp,
  putRoll,
  putWorker,
  rollOf,
  seatOf,
  set,
  type Turn,
  tellEdges,
} from './turn.ts';

/** Boots in a row that fail in one slot before a reload stops waiting for it. */
const reloadBootsMax = 3;

export function workerSpawned(turn: Turn, id: number, pid: number): void {
  const worker = turn.state.workers.find((other) => other.id === id);
  if (worker === undefined) return;
  putWorker(turn, { ...worker, pid });
  log(turn, 'info', `Booting worker with pid: ${pid}`);
}

export function workerSays(turn: Turn, id: number, message: FromWorker): void {
  const worker = turn.state.workers.find((other) => other.id === id);
  if (worker === undefined) return;
  switch (message.type) {
    case 'started':
      return;
    case 'ready':
      if (worker.phase === 'booting') becomeReady(turn, worker, message);
      return;
    case 'boot-failed':
      if (worker.phase !== 'booting') return;
      expectExit(turn, worker, bootFailedExitMs);
      bootFailed(turn, worker, message.exitCode, message.reason);
      return;
    case 'heartbeat': {
      const { inFlight, served, rssBytes } = message;
      if (worker.phase === 'booting' || worker.phase === 'dying') return;
      putWorker(turn, { ...worker, beat: { atMs: turn.now, inFlight, served, rssBytes } });
      return;
    }
    case 'stuck':
      stuck(turn, worker, message);
      return;
    case 'retire':
      retire(turn, worker, message.reason);
      return;
    default:
      unreachable(message);
  }
}

/** The edge's share of its requests is served. */
export function workerSpent(turn: Turn, id: number, served: number): void {
  const worker = turn.state.workers.find((other) => other.id === id);
  if (worker !== undefined) retire(turn, worker, `served ${served} requests`);
}

function retire(turn: Turn, worker: Worker, reason: string): void {
  if (worker.phase !== 'serving' || worker.retiring !== null) return;
  log(turn, 'info', `${nameOf('worker', worker)} is to be replaced: ${reason}`);
  putWorker(turn, { ...worker, retiring: reason });
}

/** Told before the timeout, and perhaps of an event loop that turns again after all. */
function stuck(
  turn: Turn,
  worker: Worker,
  { silentMs, stack }: Extract<FromWorker, { type: 'stuck' }>,
): void {
  if (worker.phase === 'dying') return;
  const stuckIn = (stack.split('\n', 1)[0] ?? '').replace(/^ *at /, '') || 'native code';
  const frames = stack === '' ? ' in native code, of which no stack can be had' : `:\n${stack}`;
  const name = nameOf('worker', worker);
  log(turn, 'warning', `${name} has been stuck for ${seconds(silentMs)}${frames}`);
  if (worker.phase === 'booting' || worker.beat === null) return;
  putWorker(turn, { ...worker, beat: { ...worker.beat, stuckIn } });
}

function becomeReady(
  turn: Turn,
  worker: WorkerIn<'booting'>,
  { sockets, protocol, app, retireAfter }: Extract<FromWorker, { type: 'ready' }>,
): void {
  const { id, app: name, slot, generation, bornAtMs } = worker;
  // The edge connects to these paths, as another user perhaps: a worker names its own, or none.
  const base = socketBaseOf(turn.state.self.runtimeDir, id);
  const { workerConnections, workerClass } = configOf(turn.state, worker);
  const isOwn = (path: string) =>
    workerClass === 'command'
      ? path === `${base}.sock` || /^127\.0\.0\.1:\d{1,5}$/.test(path)
      : path.startsWith(base) && /^(-\d{1,4})?\.sock$/.test(path.slice(base.length));
  if (worker.pid === null || !sockets.every(isOwn)) {
    killWorker(turn, worker, 'SIGKILL');
    bootFailed(turn, worker, 3, 'it named sockets that are not its own');
    return;
  }
  const address = {
    id,
    slot,
    pid: worker.pid,
    app: name,
    protocol,
    sockets,
    capacity: Math.max(1, Math.ceil(workerConnections / sockets.length)),
    leavesWhenIdle: isProgram(workerClass),
    retireAfter,
  };
  const beat = { atMs: turn.now, inFlight: 0, served: 0, rssBytes: 0 };
  const { pid } = worker;
  putWorker(turn, {
    ...{ id, app: name, slot, generation, pid, bornAtMs },
    ...{ phase: 'serving', address, kind: app, readyAtMs: turn.now, beat, retiring: null },
  });
  tellEdges(turn, { type: 'admit', worker: address });
  log(turn, 'debug', `${nameOf('worker', worker)} is ready`, { app, generation });
  prove(turn, worker);
  // Only now: until here the slot's former worker was its only one.
  for (const other of turn.state.workers) {
    if (!sharesSlot(other, worker) || other.id === id) continue;
    if (other.phase === 'serving') withdraw(turn, other, 'replaced');
    // Not the first one of a new generation: a reload waits for it.
    if (other.phase === 'booting' && other.generation <= generation) {
      killWorker(turn, other, 'SIGKILL');
    }
  }
}

/** A worker of the generation is ready: the generation works. */
function prove(turn: Turn, { app: name, generation }: Worker): void {
  const app = appOf(turn.state, name);
  if (app === undefined) return;
  const { current } = app;
  if (current?.number === generation && !current.proven) {
    putApp(turn, { ...app, current: { ...current, proven: true } });
    return;
  }
  const { reload } = turn.state;
  const roll = rollOf(turn.state, name);
  if (reload?.step !== 'rolling' || roll === undefined) return;
  if (roll.next.number !== generation || roll.next.proven) return;
  putRoll(turn, { ...roll, next: { ...roll.next, proven: true }, pilot: null });
  if (reload.ask.resetsWorkers || current === null)
    putApp(turn, { ...app, desired: roll.next.config.workers });
  // What failed before was other code.
  for (const { seat } of turn.state.backoffs)
    if (seat.startsWith(`${seatOf('worker', { app: name, slot: 0 }).slice(0, -1)}`))
      clearFailures(turn, seat);
}

export function workerExited(turn: Turn, event: Extract<Event, { kind: 'exit' }>): void {
  const worker = turn.state.workers.find((other) => other.id === event.id);
  if (worker === undefined) return;
  set(turn, { workers: turn.state.workers.filter((other) => other.id !== worker.id) });
  if (worker.phase !== 'booting') tellEdges(turn, { type: 'gone', workerId: worker.id });
  const how = describeExit(event);
  const name = nameOf('worker', worker);
  if (worker.phase === 'dying' || worker.phase === 'draining') {
    // A signal that was sent is no news; a drain that ends in anything but 0 is.
    const isExpected = worker.phase === 'dying' || event.code === 0;
    log(turn, isExpected ? 'info' : 'warning', `${name} has left: ${how}`);
  } else if (turn.state.phase.name === 'stopping') {
    log(turn, 'warning', `${name} ended before it was asked to: ${how}`);
  } else if (worker.phase === 'booting') {
    const exitCode = event.code === 4 ? 4 : 3;
    bootFailed(turn, worker, exitCode, `it ended before it was ready: ${how}`);
  } else {
    log(turn, 'error', `${name} ended unexpectedly: ${how}`, factsOf(worker, turn.now));
    if (worker.phase === 'serving') {
      countFailure(turn, 'worker', seatOf('worker', worker), turn.now - worker.readyAtMs);
    }
  }
}

/** The worker will never be ready. It is dying, or gone already. */
function bootFailed(turn: Turn, worker: Worker, exitCode: number, reason: string): void {
  if (turn.state.phase.name === 'stopping') return;
  const name = nameOf('worker', worker);
  const current = appOf(turn.state, worker.app)?.current;
  if (current && worker.generation === current.number && !current.proven) {
    log(turn, 'critical', `${name} failed to boot: ${reason}`);
    const whose = worker.app === topApp ? '' : ` of ${worker.app}`;
    log(turn, 'critical', `No worker${whose} was ever ready: stopping`, { exitCode });
    beginStop(turn, { quick: true, exitCode, askIds: [] });
    return;
  }
  const roll = rollOf(turn.state, worker.app);
  const isNew = roll?.next.number === worker.generation;
  if (roll !== undefined && isNew && !roll.next.proven) {
    endRoll(turn, roll, [`${name} failed to boot: ${reason}`]);
    return;
  }
  const seat = seatOf('worker', worker);
  const waitMs = countFailure(turn, 'worker', seat, 0);
  const { failures } = backoffOf(turn.state, seat);
  const next = waitMs === 0 ? 'trying again' : `next try in ${seconds(waitMs)}`;
  const times = failures === 1 ? '' : ` ${failures} times in a row`;
  // The whole story once; a slot that keeps failing fills no log.
  const story = failures === 1 ? reason : (reason.split('\n', 1)[0] ?? '');
  log(
    turn,
    failures === 1 ? 'error' : 'warning',
    `${name} failed to boot${times}; ${next}: ${story}`,
  );
  if (roll !== undefined && isNew && failures >= reloadBootsMax) {
    endRoll(turn, roll, [`${name} failed to boot${times}: ${reason}`]);
  }
}

export function checkWorkers(turn: Turn): void {
  for (const { id } of turn.state.workers) {
    // Looked up each time: what happened to the one before may have changed this one.
    const worker = turn.state.workers.find((other) => other.id === id);
    if (worker !== undefined) checkWorker(turn, worker);
  }
}

function checkWorker(turn: Turn, worker: Worker): void {
  const { now } = turn;
  const name = nameOf('worker', worker);
  const config = configOf(turn.state, worker);
  switch (worker.phase) {
    case 'booting':
      if (now < worker.deadlineMs) return;
      killWorker(turn, worker, 'SIGKILL');
      bootFailed(turn, worker, 3, `it was not ready after ${seconds(now - worker.bornAtMs)}`);
      return;
    case 'serving':
    case 'withdrawing': {
      const silentMs = now - worker.beat.atMs;
      if (silentMs > workerHungMs(config)) {
        log(turn, 'critical', `${name} did not answer for ${seconds(silentMs)}: killing it`, {
          ...factsOf(worker, now),
          ...stuckFact(worker),
        });
        if (worker.phase === 'serving') {
          tellEdges(turn, { type: 'withdraw', workerId: worker.id });
          countFailure(turn, 'worker', seatOf('worker', worker), now - worker.readyAtMs);
        }
        killWorker(turn, worker, 'SIGABRT');
      } else if (worker.phase === 'withdrawing' && now >= worker.deadlineMs) {
        const why = worker.address.leavesWhenIdle
          ? `${name} still has requests after ${seconds(config.gracefulTimeoutMs)}`
          : `an edge did not withdraw ${name} in time`;
        log(turn, 'warning', `${why}: draining it all the same`);
        drainWithdrawn(turn, worker);
      } else if (worker.phase === 'serving') forgiveFailures(turn, worker);
      return;
    }
    case 'draining':
      if (now < worker.killAtMs) return;
      log(turn, 'warning', `${name} did not finish in time: killing it`, factsOf(worker, now));
      killWorker(turn, worker, 'SIGKILL');
      return;
    case 'dying':
      if (now >= worker.killAtMs) killWorker(turn, worker, 'SIGKILL');
      return;
    default:
      unreachable(worker);
  }
}

/** A worker that has lived long since the slot's last failure ends the count; one that was there
 *  before does not: then it is its replacements that fail. */
function forgiveFailures(turn: Turn, worker: WorkerIn<'serving'>): void {
  if (turn.now - worker.readyAtMs < livedLongMs) return;
  const seat = seatOf('worker', worker);
  if (worker.readyAtMs < backoffOf(turn.state, seat).failedAtMs) return;
  clearFailures(turn, seat);
}

function factsOf(worker: Worker, now: number): object | null {
  if (!('beat' in worker) || worker.beat === null) return null;
  const { atMs, inFlight, served, rssBytes } = worker.beat;
  // Until the first heartbeat it is not known.
  const memory = rssBytes === 0 ? {} : { rssMb: Math.round(rssBytes / 1e6) };
  // Under one name: by now, up to a heartbeat later, the numbers are others.
  const counts = inFlight === null ? {} : { inFlight, served };
  return { lastHeartbeat: { agoMs: Math.round(now - atMs), ...counts, ...memory } };
}

function stuckFact({ beat }: WorkerIn<'serving' | 'withdrawing'>): object {
  return beat.stuckIn === undefined ? {} : { stuckIn: beat.stuckIn };
}

function unreachable(value: never): never {
  throw new Error(`unknown ${JSON.stringify(value)}`);
}
