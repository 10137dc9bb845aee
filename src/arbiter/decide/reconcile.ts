// Brings what runs nearer to what should: fills empty slots, replaces what is stale, sends away
// what is too many. Looked at after every event, so no event has to think of all the others.

import { drainEdge, mayReplace, spawnEdge, spawnWorker, withdraw } from './moves.ts';
import { finishReload, startAgain } from './reload.ts';
import type { Generation, State, Worker } from './state.ts';
import { backoffOf, killEdge, killWorker, log, set, type Turn } from './turn.ts';

export function reconcile(turn: Turn): void {
  const { phase } = turn.state;
  if (phase.name !== 'starting' && phase.name !== 'running') return;
  reconcileEdges(turn);
  dismissSurplus(turn);
  fillSlots(turn);
  replaceStale(turn);
  launchPilot(turn);
  noticeRunning(turn);
  noticeRolled(turn);
  startAgain(turn);
}

/** Processes that hold a slot: those that boot or serve. */
function holds(worker: Worker): boolean {
  return worker.phase === 'booting' || worker.phase === 'serving';
}

/** The generation that new processes belong to: a new one only when it has proved to work. */
function target(state: State): Generation {
  const { reload, current } = state;
  return reload?.step === 'rolling' && reload.next.proven ? reload.next : current;
}

function pilotOf(state: State): number | null {
  return state.reload?.step === 'rolling' ? state.reload.pilot : null;
}

function reconcileEdges(turn: Turn): void {
  const wanted = turn.state.current.config.edges;
  for (const edge of turn.state.edges) {
    if (edge.slot <= wanted || edge.phase === 'draining' || edge.phase === 'dying') continue;
    if (edge.phase === 'serving') {
      drainEdge(turn, edge, turn.state.current.config.gracefulTimeoutMs);
    } else killEdge(turn, edge);
  }
  for (let slot = 1; slot <= wanted; slot += 1) {
    const isHeld = turn.state.edges.some(
      (edge) => edge.slot === slot && edge.phase !== 'draining' && edge.phase !== 'dying',
    );
    if (!isHeld && turn.now >= backoffOf(turn.state, 'edge', slot).notBeforeMs) {
      spawnEdge(turn, slot);
    }
  }
}

/** Slots above the wanted number. The last worker that serves stays until another does. */
function dismissSurplus(turn: Turn): void {
  const { desired, workers } = turn.state;
  const pilot = pilotOf(turn.state);
  const serving = workers.filter(({ phase }) => phase === 'serving');
  const stays = desired === 0 || serving.some(({ slot }) => slot <= desired) ? null : serving[0];
  for (const worker of workers) {
    if (worker.slot <= desired || worker.id === pilot) continue;
    if (worker.phase === 'booting') killWorker(turn, worker, 'SIGKILL');
    if (worker.phase === 'serving' && worker.id !== stays?.id) withdraw(turn, worker, 'surplus');
  }
}

function fillSlots(turn: Turn): void {
  const generation = target(turn.state);
  const pilot = pilotOf(turn.state);
  for (let slot = 1; slot <= turn.state.desired; slot += 1) {
    const { workers } = turn.state;
    if (workers.some((worker) => worker.slot === slot && holds(worker) && worker.id !== pilot)) {
      continue;
    }
    if (turn.now < backoffOf(turn.state, 'worker', slot).notBeforeMs) continue;
    // --preload: one worker alone goes first, the others find its work done.
    const isFirst = !workers.some((worker) => worker.phase === 'booting');
    if (generation.config.preload && !generation.proven && !isFirst) return;
    spawnWorker(turn, slot, generation);
  }
}

/** Starts replacements for workers of an older generation and for those that want to retire. */
function replaceStale(turn: Turn): void {
  const generation = target(turn.state);
  for (const worker of turn.state.workers) {
    const isStale = worker.generation < generation.number;
    // It has served nobody, and would be replaced as soon as it did.
    if (isStale && worker.phase === 'booting') killWorker(turn, worker, 'SIGKILL');
    if (worker.phase !== 'serving' || worker.slot > turn.state.desired) continue;
    if (!isStale && worker.retiring === null) continue;
    const isUnderWay = turn.state.workers.some(
      (other) => other.slot === worker.slot && other.id !== worker.id && holds(other),
    );
    if (isUnderWay || !mayReplace(turn.state)) continue;
    if (turn.now < backoffOf(turn.state, 'worker', worker.slot).notBeforeMs) continue;
    spawnWorker(turn, worker.slot, generation);
  }
}

/** The first worker of a new generation boots alone: if it fails, nothing has changed. */
function launchPilot(turn: Turn): void {
  const { reload, workers, desired } = turn.state;
  if (reload?.step !== 'rolling' || reload.next.proven || reload.pilot !== null) return;
  // Reloads in quick succession would else pile up workers that drain.
  if (!mayReplace(turn.state) && workers.some(({ phase }) => phase === 'serving')) return;
  // A slot that is there afterwards too.
  const kept = reload.ask.resetsWorkers ? Math.min(desired, reload.next.config.workers) : desired;
  const slots = Array.from({ length: kept }, (_, at) => at + 1);
  const isEmpty = (slot: number) =>
    !workers.some((worker) => worker.slot === slot && holds(worker));
  // A slot whose worker keeps failing is where help is needed most.
  const slot = slots.find(isEmpty) ?? 1;
  const pilot = spawnWorker(turn, slot, reload.next);
  set(turn, { reload: { ...reload, pilot } });
}

function noticeRunning(turn: Turn): void {
  const { phase, edges, workers, sockets, current, self } = turn.state;
  if (phase.name !== 'starting') return;
  const edgesServe = edges.filter((edge) => edge.phase === 'serving').length;
  if (edgesServe < current.config.edges) return;
  if (!workers.some((worker) => worker.phase === 'serving')) return;
  set(turn, { phase: { name: 'running' } });
  for (const { url } of sockets) log(turn, 'info', `Listening at: ${url} (${self.pid})`);
}

/** A roll is done when the new generation serves in every slot, and none older does. */
function noticeRolled(turn: Turn): void {
  const { reload, workers, desired } = turn.state;
  if (reload?.step !== 'rolling' || !reload.next.proven) return;
  const { number } = reload.next;
  if (workers.some((worker) => holds(worker) && worker.generation < number)) return;
  for (let slot = 1; slot <= desired; slot += 1) {
    if (!workers.some((worker) => worker.slot === slot && worker.phase === 'serving')) return;
  }
  finishReload(turn, []);
}
