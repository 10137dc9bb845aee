// How everything ends: edges first, so that requests in flight still have workers, then the workers.

import { drainGraceMs, giveUpMs, quickStopMs, workerDrainMinMs } from './limits.ts';
import { drainEdge, drainWorker } from './moves.ts';
import type { State } from './state.ts';
import { killEdge, killWorker, log, reply, set, type Turn, tellEdges } from './turn.ts';

export interface StopOrder {
  /** Children leave at once, whatever is in flight. */
  readonly quick: boolean;
  readonly exitCode: number;
  /** Control requests to answer at the end. */
  readonly askIds: readonly number[];
}

/** Begins to stop, or hastens a stop that is under way. */
export function beginStop(turn: Turn, order: StopOrder): void {
  const { phase } = turn.state;
  if (phase.name === 'ended') return;
  if (phase.name === 'stopping') {
    set(turn, { phase: { ...phase, askIds: [...phase.askIds, ...order.askIds] } });
    if (order.quick && phase.quick) killAll(turn);
    else if (order.quick) stopQuickly(turn);
    return;
  }
  const { sockets, reload } = turn.state;
  const added = reload !== null && 'added' in reload ? reload.added : [];
  abandonReload(turn);
  const gracefulMs = order.quick ? quickStopMs : turn.state.current.config.gracefulTimeoutMs;
  const deadlineMs = turn.now + gracefulMs;
  set(turn, {
    phase: {
      name: 'stopping',
      quick: order.quick,
      step: 'edges',
      edgesAlone: false,
      deadlineMs,
      giveUpAtMs: deadlineMs + workerDrainMinMs + 2 * drainGraceMs + giveUpMs,
      exitCode: order.exitCode,
      askIds: order.askIds,
    },
  });
  if (order.quick) stopQuickly(turn);
  else drainEdges(turn, gracefulMs);
  // Ours too, at once: a socket is open, and takes in clients that nobody will serve, until the
  // last process that holds it has let go of it.
  const keys = [...sockets, ...added].map(({ key }) => key);
  turn.actions.push({ kind: 'close-sockets', keys });
  set(turn, { sockets: [] });
}

function drainEdges(turn: Turn, gracefulMs: number): void {
  for (const edge of turn.state.edges) {
    if (edge.phase === 'serving') drainEdge(turn, edge, gracefulMs);
    else if (edge.phase !== 'draining' && edge.phase !== 'dying') killEdge(turn, edge);
  }
}

/** A control request or a signal for a graceful stop; the second one is in a hurry. */
export function stopGracefully(turn: Turn, askIds: readonly number[]): void {
  const isSecond = turn.state.phase.name === 'stopping';
  beginStop(turn, { quick: isSecond && askIds.length === 0, exitCode: 0, askIds });
}

function stopQuickly(turn: Turn): void {
  const { phase } = turn.state;
  if (phase.name !== 'stopping') return;
  const giveUpAtMs = turn.now + quickStopMs + drainGraceMs + giveUpMs;
  set(turn, { phase: { ...phase, quick: true, step: 'workers', giveUpAtMs } });
  for (const edge of turn.state.edges) {
    if (edge.phase === 'serving' || edge.phase === 'draining') drainEdge(turn, edge, 0);
    else if (edge.phase !== 'dying') killEdge(turn, edge);
  }
  drainWorkers(turn, 0);
}

function drainWorkers(turn: Turn, deadlineMs: number): void {
  for (const worker of turn.state.workers) {
    if (worker.phase === 'booting') killWorker(turn, worker, 'SIGKILL');
    else if (worker.phase !== 'dying') drainWorker(turn, worker, deadlineMs, 'stopping');
  }
}

function killAll(turn: Turn): void {
  for (const edge of turn.state.edges) if (edge.phase !== 'dying') killEdge(turn, edge);
  for (const worker of turn.state.workers) {
    if (worker.phase !== 'dying') killWorker(turn, worker, 'SIGKILL');
  }
}

function abandonReload(turn: Turn): void {
  const { reload, again } = turn.state;
  const askIds = [...(reload?.ask.askIds ?? []), ...(again?.askIds ?? [])];
  reply(turn, askIds, { ok: false, problems: ['Portico is stopping'] });
  set(turn, { reload: null, again: null });
}

/** Goes on with the stop when one step of it is done. */
export function advanceStop(turn: Turn): void {
  leaveEdgesAlone(turn);
  const { phase, edges, workers } = turn.state;
  if (phase.name !== 'stopping') return;
  if (phase.step === 'edges' && edges.length === 0) {
    set(turn, { phase: { ...phase, step: 'workers' } });
    // Whole milliseconds, as messages have them; the clock's are not.
    drainWorkers(turn, Math.ceil(Math.max(workerDrainMinMs, phase.deadlineMs - turn.now)));
    return;
  }
  const isOver = edges.length === 0 && workers.length === 0;
  if (!isOver && turn.now < phase.giveUpAtMs) return;
  if (!isOver) log(turn, 'error', 'Some processes did not end even by KILL', leftOver(turn.state));
  reply(turn, phase.askIds, { ok: true, command: 'stop', pid: turn.state.self.pid });
  answerAsks(turn);
  set(turn, { phase: { name: 'ended' } });
  turn.actions.push({ kind: 'exit', code: phase.exitCode });
}

/** Nothing is started any more: once the last worker is gone, or where all of them wait for another try,
 *  requests that wait for one wait in vain. One that boots may still come to serve them. */
function leaveEdgesAlone(turn: Turn): void {
  const { phase, workers } = turn.state;
  if (phase.name !== 'stopping' || phase.step !== 'edges' || phase.edgesAlone) return;
  if (workers.some((worker) => worker.phase === 'booting' || worker.phase === 'serving')) return;
  set(turn, { phase: { ...phase, edgesAlone: true } });
  tellEdges(turn, { type: 'no-workers' });
}

function answerAsks(turn: Turn): void {
  const { statusAsks, purgeAsks } = turn.state;
  for (const { askId } of [...statusAsks, ...purgeAsks]) {
    reply(turn, [askId], { ok: false, problems: ['Portico has stopped'] });
  }
  set(turn, { statusAsks: [], purgeAsks: [] });
}

function leftOver(state: State): object {
  return { pids: [...state.edges, ...state.workers].map((child) => child.pid) };
}
