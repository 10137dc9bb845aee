// The answer to `portico status`: what the arbiter knows itself, and the edges' own numbers.

import type { EdgeStatus } from '../../ipc/messages.ts';
import type { Status, WorkerReport } from '../control/protocol.ts';
import { statusMs } from './limits.ts';
import type { State, StatusAsk, Worker } from './state.ts';
import { backoffOf, reply, seatOf, set, type Turn, tellEdge } from './turn.ts';

export function askStatus(turn: Turn, askId: number): void {
  const edges = turn.state.edges.filter((edge) => edge.phase === 'serving');
  for (const edge of edges) tellEdge(turn, edge.id, { type: 'report', askId });
  const ask: StatusAsk = {
    askId,
    waiting: edges.map((edge) => edge.id),
    edges: [],
    deadlineMs: turn.now + statusMs,
  };
  put(turn, ask);
}

export function edgeReported(turn: Turn, edgeId: number, askId: number, status: EdgeStatus): void {
  const ask = turn.state.statusAsks.find((other) => other.askId === askId);
  if (ask === undefined || !ask.waiting.includes(edgeId)) return;
  put(turn, { ...without(ask, edgeId), edges: [...ask.edges, { edgeId, status }] });
}

/** The edge ended: nobody waits for its numbers. */
export function edgeLeftStatus(turn: Turn, edgeId: number): void {
  for (const ask of turn.state.statusAsks) put(turn, without(ask, edgeId));
}

export function checkStatusAsks(turn: Turn): void {
  for (const ask of turn.state.statusAsks) {
    if (turn.now >= ask.deadlineMs) put(turn, { ...ask, waiting: [] });
  }
}

function without(ask: StatusAsk, edgeId: number): StatusAsk {
  return { ...ask, waiting: ask.waiting.filter((id) => id !== edgeId) };
}

/** Keeps the request, or answers it when nothing is awaited any more. */
function put(turn: Turn, ask: StatusAsk): void {
  const others = turn.state.statusAsks.filter((other) => other.askId !== ask.askId);
  if (ask.waiting.length > 0) {
    set(turn, { statusAsks: [...others, ask] });
    return;
  }
  set(turn, { statusAsks: others });
  reply(turn, [ask.askId], { ok: true, command: 'status', status: statusOf(turn, ask) });
}

function statusOf(turn: Turn, ask: StatusAsk): Status {
  const { state, now } = turn;
  const { self, current, reload, lastReload, phase } = state;
  const first = state.apps[0]?.current?.config ?? current.config;
  const rankOf = ({ app }: Worker) => state.apps.findIndex(({ name }) => name === app);
  return {
    arbiter: {
      pid: self.pid,
      version: self.version,
      uptimeMs: now - state.startedAtMs,
      phase: phase.name === 'ended' ? 'stopping' : phase.name,
      generation: current.number,
      workersWanted: state.apps.reduce((sum, { desired }) => sum + desired, 0),
      restarts: state.restarts,
      app: appName(first.module, first.export),
      workerClass: first.workerClass,
      runtimeDir: self.runtimeDir,
      reloading: reload?.step ?? null,
      lastReload:
        lastReload === null
          ? null
          : {
              ok: lastReload.ok,
              generation: lastReload.generation,
              problems: lastReload.problems,
              agoMs: now - lastReload.atMs,
            },
    },
    apps: state.apps.map(({ name, desired, current: own }) => ({
      name,
      module: own === null ? null : appName(own.config.module, own.config.export),
      workerClass: own?.config.workerClass ?? '',
      generation: own?.number ?? null,
      workersWanted: desired,
    })),
    binds: state.sockets.map(({ url }) => ({ url })),
    edges: state.edges.map(({ slot, id, pid, phase: edgePhase, bornAtMs }) => ({
      slot,
      id,
      pid,
      phase: edgePhase,
      uptimeMs: now - bornAtMs,
      status: ask.edges.find(({ edgeId }) => edgeId === id)?.status ?? null,
    })),
    workers: [...state.workers]
      .sort((a, b) => rankOf(a) - rankOf(b) || a.slot - b.slot || a.id - b.id)
      .map((worker) => workerReport(state, worker, ask, now)),
  };
}

function workerReport(
  state: State,
  worker: Worker,
  { edges }: StatusAsk,
  now: number,
): WorkerReport {
  const beat = 'beat' in worker ? worker.beat : null;
  const shares = edges.flatMap(({ status }) => status.workers.filter(({ id }) => id === worker.id));
  const sum = (of: 'inFlight' | 'served') => shares.reduce((total, share) => total + share[of], 0);
  return {
    app: worker.app,
    slot: worker.slot,
    id: worker.id,
    pid: worker.pid,
    generation: worker.generation,
    phase: worker.phase,
    uptimeMs: now - worker.bornAtMs,
    inFlight: beat === null ? null : (beat.inFlight ?? sum('inFlight')),
    served: beat === null ? null : (beat.served ?? sum('served')),
    rssBytes: beat?.rssBytes ?? null,
    failures: backoffOf(state, seatOf('worker', worker)).failures,
  };
}

function appName(module: string | null, exported: string | null): string | null {
  return module === null || exported === null ? module : `${module}:${exported}`;
}
