// One turn of decide: the state on its way from old to new, and the actions gathered so far.
// The state's parts are replaced and never changed, so the old state stays as it was.

import { workerName } from '../../config/apps.ts';
import { type LogLevel, topApp } from '../../config/config.ts';
import type { Reply } from '../control/protocol.ts';
import type { Action, EdgeOrder, Role, WorkerOrder } from './events.ts';
import { backoffMs, killAgainMs, livedLongMs } from './limits.ts';
import type { AppState, Backoff, Edge, Roll, State, Worker } from './state.ts';

export interface Turn {
  state: State;
  readonly now: number;
  readonly actions: Action[];
}

/** Replaces parts of the state. */
export function set(turn: Turn, parts: Partial<State>): void {
  turn.state = { ...turn.state, ...parts };
}

export function putWorker(turn: Turn, worker: Worker): void {
  const { workers } = turn.state;
  const known = workers.some((other) => other.id === worker.id);
  set(turn, {
    workers: known
      ? workers.map((other) => (other.id === worker.id ? worker : other))
      : [...workers, worker],
  });
}

export function putEdge(turn: Turn, edge: Edge): void {
  const { edges } = turn.state;
  const known = edges.some((other) => other.id === edge.id);
  set(turn, {
    edges: known ? edges.map((other) => (other.id === edge.id ? edge : other)) : [...edges, edge],
  });
}

export function takeId(turn: Turn): number {
  const id = turn.state.nextId;
  set(turn, { nextId: id + 1 });
  return id;
}

export function log(turn: Turn, level: LogLevel, text: string, facts: object | null = null): void {
  turn.actions.push({ kind: 'log', level, text, facts });
}

export function reply(turn: Turn, askIds: readonly number[], answer: Reply): void {
  for (const askId of askIds) turn.actions.push({ kind: 'reply', askId, reply: answer });
}

export function tellEdge(turn: Turn, id: number, message: EdgeOrder): void {
  turn.actions.push({ kind: 'tell-edge', id, message });
}

/** Tells every edge that has been sent its workers. */
export function tellEdges(turn: Turn, message: EdgeOrder): void {
  for (const edge of turn.state.edges) if (knowsWorkers(edge)) tellEdge(turn, edge.id, message);
}

export function tellWorker(turn: Turn, id: number, message: WorkerOrder): void {
  turn.actions.push({ kind: 'tell-worker', id, message });
}

/** An edge that may have requests in flight: one that drains still finishes its own. */
export function knowsWorkers(edge: Edge): boolean {
  return edge.phase === 'starting' || edge.phase === 'serving' || edge.phase === 'draining';
}

/** Sends ABRT or KILL, and KILL (again) a second later. */
export function killWorker(turn: Turn, worker: Worker, signal: 'SIGABRT' | 'SIGKILL'): void {
  turn.actions.push({ kind: 'kill', role: 'worker', id: worker.id, signal });
  expectExit(turn, worker, killAgainMs);
}

/** The worker leaves by itself, and is killed if it has not after so long. */
export function expectExit(turn: Turn, worker: Worker, withinMs: number): void {
  const { id, app, slot, generation, pid, bornAtMs } = worker;
  const killAtMs = turn.now + withinMs;
  putWorker(turn, { id, app, slot, generation, pid, bornAtMs, phase: 'dying', killAtMs });
}

export function killEdge(turn: Turn, edge: Edge): void {
  turn.actions.push({ kind: 'kill', role: 'edge', id: edge.id, signal: 'SIGKILL' });
  const { id, slot, pid, bornAtMs } = edge;
  const killAtMs = turn.now + killAgainMs;
  putEdge(turn, { id, slot, pid, bornAtMs, phase: 'dying', killAtMs });
}

/** Who it is, as the log names it: "worker 2 (pid 123)", "worker api 2 (pid 124)". */
export function nameOf(
  role: Role,
  { app = topApp, slot, pid }: { app?: string; slot: number; pid: number | null },
): string {
  const name = role === 'edge' ? `edge ${slot}` : workerName(app, slot);
  return pid === null ? name : `${name} (pid ${pid})`;
}

/** What a backoff is counted for: a slot of an app, or of the edges. */
export function seatOf(role: Role, { app, slot }: { app?: string; slot: number }): string {
  return role === 'edge' ? `edge ${slot}` : `worker ${app} ${slot}`;
}

export function backoffOf(state: State, seat: string): Backoff {
  return (
    state.backoffs.find((backoff) => backoff.seat === seat) ?? {
      ...{ seat, failures: 0, failedAtMs: 0, notBeforeMs: 0 },
    }
  );
}

/** Counts a failure of the slot, and returns how long its next start waits. */
export function countFailure(turn: Turn, role: Role, seat: string, livedMs: number): number {
  const before = livedMs >= livedLongMs ? 0 : backoffOf(turn.state, seat).failures;
  const failures = before + 1;
  const waitMs = backoffMs(role, failures);
  const notBeforeMs = turn.now + waitMs;
  putBackoff(turn, { seat, failures, failedAtMs: turn.now, notBeforeMs });
  set(turn, { restarts: turn.state.restarts + 1 });
  return waitMs;
}

export function clearFailures(turn: Turn, seat: string): void {
  if (backoffOf(turn.state, seat).failures === 0) return;
  set(turn, { backoffs: turn.state.backoffs.filter((other) => other.seat !== seat) });
}

function putBackoff(turn: Turn, backoff: Backoff): void {
  clearFailures(turn, backoff.seat);
  set(turn, { backoffs: [...turn.state.backoffs, backoff] });
}

export function appOf(state: State, name: string): AppState | undefined {
  return state.apps.find((app) => app.name === name);
}

export function putApp(turn: Turn, app: AppState): void {
  const { apps } = turn.state;
  const known = apps.some(({ name }) => name === app.name);
  set(turn, {
    apps: known ? apps.map((other) => (other.name === app.name ? app : other)) : [...apps, app],
  });
}

/** The roll of an app that is under way. */
export function rollOf({ reload }: State, app: string): Roll | undefined {
  if (reload?.step !== 'rolling') return undefined;
  return reload.rolls.find((roll) => roll.app === app && roll.problems === null);
}

export function putRoll(turn: Turn, roll: Roll): void {
  const { reload } = turn.state;
  if (reload?.step !== 'rolling') return;
  const rolls = reload.rolls.map((other) => (other.app === roll.app ? roll : other));
  set(turn, { reload: { ...reload, rolls } });
}
