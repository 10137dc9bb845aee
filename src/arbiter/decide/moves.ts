// The moves of a child's life that several events lead to: start, withdraw, drain.

import type { Config } from '../../config/config.ts';
import type { Event } from './events.ts';
import { bootMs, drainGraceMs, edgeBootMs, surge, withdrawMs, workerDrainMinMs } from './limits.ts';
import type { AppState, EdgeIn, Generation, Leaving, State, Worker, WorkerIn } from './state.ts';
import {
  appOf,
  knowsWorkers,
  putEdge,
  putWorker,
  rollOf,
  type Turn,
  takeId,
  tellEdge,
  tellWorker,
} from './turn.ts';

/** Where a worker's sockets are, without their ending. */
export function socketBaseOf(runtimeDir: string, workerId: number): string {
  return `${runtimeDir}/workers/${workerId}`;
}

export function spawnWorker(
  turn: Turn,
  { app, slot }: { app: string; slot: number },
  generation: Generation,
): number {
  const id = takeId(turn);
  putWorker(turn, {
    id,
    app,
    slot,
    generation: generation.number,
    pid: null,
    bornAtMs: turn.now,
    phase: 'booting',
    deadlineMs: turn.now + bootMs(generation.config),
  });
  turn.actions.push({ kind: 'spawn-worker', id, app, slot, config: generation.config });
  return id;
}

/** Asks every edge to send nothing more to the worker; it drains when they have all said so. Of a program
 *  they say so when nothing is in flight: the time it has is the same, spent before TERM in place of after. */
export function withdraw(turn: Turn, worker: WorkerIn<'serving'>, leaves: Leaving): void {
  const { id, app, slot, generation, pid, bornAtMs, address, beat } = worker;
  const waiting = turn.state.edges.filter(knowsWorkers).map((edge) => edge.id);
  const { gracefulTimeoutMs } = configOf(turn.state, worker);
  const withinMs = address.leavesWhenIdle
    ? Math.max(workerDrainMinMs, gracefulTimeoutMs)
    : withdrawMs;
  const withdrawing: WorkerIn<'withdrawing'> = {
    ...{ id, app, slot, generation, pid, bornAtMs, address, beat },
    ...{ phase: 'withdrawing', waiting, deadlineMs: turn.now + withinMs, leaves },
  };
  putWorker(turn, withdrawing);
  for (const edgeId of waiting) tellEdge(turn, edgeId, { type: 'withdraw', workerId: id });
  if (waiting.length === 0) drainWithdrawn(turn, withdrawing);
}

/** The edge sends nothing more to the worker, or is no more. */
export function edgeWithdrew(turn: Turn, edgeId: number, workerId: number | null): void {
  for (const worker of turn.state.workers) {
    if (worker.phase !== 'withdrawing' || !worker.waiting.includes(edgeId)) continue;
    if (workerId !== null && worker.id !== workerId) continue;
    const rest = { ...worker, waiting: worker.waiting.filter((id) => id !== edgeId) };
    putWorker(turn, rest);
    if (rest.waiting.length === 0) drainWithdrawn(turn, rest);
  }
}

export function drainWithdrawn(turn: Turn, worker: WorkerIn<'withdrawing'>): void {
  const { gracefulTimeoutMs } = configOf(turn.state, worker);
  const leftMs = Math.ceil(worker.deadlineMs - turn.now);
  const drainMs = worker.address.leavesWhenIdle
    ? Math.max(workerDrainMinMs, Math.min(gracefulTimeoutMs, leftMs))
    : gracefulTimeoutMs;
  drainWorker(turn, worker, drainMs, worker.leaves);
}

export function drainWorker(
  turn: Turn,
  worker: WorkerIn<'serving' | 'withdrawing' | 'draining'>,
  deadlineMs: number,
  leaves: Leaving,
): void {
  const { id, app, slot, generation, pid, bornAtMs, beat } = worker;
  tellWorker(turn, id, { type: 'drain', deadlineMs });
  const killAtMs = turn.now + deadlineMs + drainGraceMs;
  putWorker(turn, {
    ...{ id, app, slot, generation, pid, bornAtMs, beat },
    ...{ phase: 'draining', killAtMs, leaves },
  });
}

export function spawnEdge(turn: Turn, slot: number): void {
  const id = takeId(turn);
  const deadlineMs = turn.now + edgeBootMs;
  putEdge(turn, { id, slot, pid: null, bornAtMs: turn.now, phase: 'booting', deadlineMs });
  turn.actions.push({ kind: 'spawn-edge', id, slot });
}

/** The edge accepts no more, finishes what is open and leaves. */
export function drainEdge(
  turn: Turn,
  edge: EdgeIn<'serving' | 'draining'>,
  deadlineMs: number,
): void {
  const { id, slot, pid, bornAtMs } = edge;
  tellEdge(turn, id, { type: 'drain', deadlineMs });
  const killAtMs = turn.now + deadlineMs + drainGraceMs;
  putEdge(turn, { id, slot, pid, bornAtMs, phase: 'draining', killAtMs });
}

/** Sends an edge the settings of a generation; 'ready' or 'refused' answers. */
export function configureEdge(
  turn: Turn,
  edge: EdgeIn<'serving'>,
  generation: { readonly number: number; readonly config: Config },
): void {
  tellEdge(turn, edge.id, { type: 'configure', config: generation.config });
  putEdge(turn, { ...edge, configured: generation.number, unanswered: edge.unanswered + 1 });
}

/** The settings a worker was started with; of a former generation, those of today. */
export function configOf(
  state: State,
  { app, generation }: { app: string; generation: number },
): Config {
  const roll = rollOf(state, app);
  if (roll?.next.number === generation) return roll.next.config;
  return appOf(state, app)?.current?.config ?? state.current.config;
}

/** Replacements of an app under way: booting beside the one they replace, or replaced and not gone yet. */
function replacementsUnderWay({ workers }: State, app: string): number {
  return workers.filter((worker) => {
    if (worker.app !== app) return false;
    if (worker.phase === 'withdrawing' || worker.phase === 'draining')
      return worker.leaves === 'replaced';
    if (worker.phase !== 'booting') return false;
    return workers.some((other) => sharesSlot(other, worker) && other.phase === 'serving');
  }).length;
}

export function mayReplace(state: State, { name, desired }: AppState): boolean {
  return replacementsUnderWay(state, name) < surge(desired);
}

export function sharesSlot(one: Worker, other: Worker): boolean {
  return one.slot === other.slot && one.app === other.app;
}

export function describeExit(event: Extract<Event, { kind: 'exit' }>): string {
  if (event.failure !== null) return event.failure;
  return event.signal !== null ? `signal ${event.signal}` : `exit code ${event.code}`;
}

export function seconds(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${Math.round(ms / 100) / 10} s`;
}
