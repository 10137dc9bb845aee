// Brings what runs nearer to what should: fills empty slots, replaces what is stale, sends away
// what is too many. Looked at after every event, so no event has to think of all the others.

import { appsOf } from '../../config/apps.ts';
import { drainEdge, mayReplace, sharesSlot, spawnEdge, spawnWorker, withdraw } from './moves.ts';
import { endRoll, startAgain } from './reload.ts';
import type { AppState, Generation, State, Worker } from './state.ts';
import {
  appOf,
  backoffOf,
  killEdge,
  killWorker,
  log,
  putRoll,
  rollOf,
  seatOf,
  set,
  type Turn,
} from './turn.ts';

export function reconcile(turn: Turn): void {
  const { phase } = turn.state;
  if (phase.name !== 'starting' && phase.name !== 'running') return;
  reconcileEdges(turn);
  for (const { name } of turn.state.apps) {
    // Looked up each time: a step may have changed it.
    const each = (step: (app: AppState) => void): void => {
      const app = appOf(turn.state, name);
      if (app !== undefined) step(app);
    };
    each((app) => dismissSurplus(turn, app));
    each((app) => fillSlots(turn, app));
    each((app) => replaceStale(turn, app));
    each((app) => launchPilot(turn, app));
  }
  forgetApps(turn);
  noticeRunning(turn);
  for (const { name } of turn.state.apps) noticeRolled(turn, name);
  startAgain(turn);
}

/** Processes that hold a slot: those that boot or serve. */
function holds(worker: Worker): boolean {
  return worker.phase === 'booting' || worker.phase === 'serving';
}

/** The generation that new processes belong to: a new one only when it has proved to work. */
function target(state: State, { name, current }: AppState): Generation | null {
  const roll = rollOf(state, name);
  return roll?.next.proven ? roll.next : current;
}

function workersOf({ workers }: State, { name }: AppState): readonly Worker[] {
  return workers.filter(({ app }) => app === name);
}

function mayStart(turn: Turn, { name: app }: AppState, slot: number): boolean {
  return turn.now >= backoffOf(turn.state, seatOf('worker', { app, slot })).notBeforeMs;
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
    if (!isHeld && turn.now >= backoffOf(turn.state, seatOf('edge', { slot })).notBeforeMs) {
      spawnEdge(turn, slot);
    }
  }
}

/** Slots above the wanted number. The last worker that serves stays until another does. */
function dismissSurplus(turn: Turn, app: AppState): void {
  const { desired, name } = app;
  const workers = workersOf(turn.state, app);
  const pilot = rollOf(turn.state, name)?.pilot ?? null;
  const serving = workers.filter(({ phase }) => phase === 'serving');
  const stays = desired === 0 || serving.some(({ slot }) => slot <= desired) ? null : serving[0];
  for (const worker of workers) {
    if (worker.slot <= desired || worker.id === pilot) continue;
    if (worker.phase === 'booting') killWorker(turn, worker, 'SIGKILL');
    if (worker.phase === 'serving' && worker.id !== stays?.id) withdraw(turn, worker, 'surplus');
  }
}

function fillSlots(turn: Turn, app: AppState): void {
  const generation = target(turn.state, app);
  if (generation === null) return;
  const pilot = rollOf(turn.state, app.name)?.pilot ?? null;
  for (let slot = 1; slot <= app.desired; slot += 1) {
    const workers = workersOf(turn.state, app);
    if (workers.some((worker) => worker.slot === slot && holds(worker) && worker.id !== pilot)) {
      continue;
    }
    if (!mayStart(turn, app, slot)) continue;
    // --preload: one worker alone goes first, the others find its work done.
    const isFirst = !workers.some((worker) => worker.phase === 'booting');
    if (generation.config.preload && !generation.proven && !isFirst) return;
    spawnWorker(turn, { app: app.name, slot }, generation);
  }
}

/** Starts replacements for workers of an older generation and for those that want to retire. */
function replaceStale(turn: Turn, app: AppState): void {
  const generation = target(turn.state, app);
  if (generation === null) return;
  for (const worker of workersOf(turn.state, app)) {
    const isStale = worker.generation < generation.number;
    // It has served nobody, and would be replaced as soon as it did.
    if (isStale && worker.phase === 'booting') killWorker(turn, worker, 'SIGKILL');
    if (worker.phase !== 'serving' || worker.slot > app.desired) continue;
    if (!isStale && worker.retiring === null) continue;
    const isUnderWay = turn.state.workers.some(
      (other) => sharesSlot(other, worker) && other.id !== worker.id && holds(other),
    );
    if (isUnderWay || !mayReplace(turn.state, app)) continue;
    if (!mayStart(turn, app, worker.slot)) continue;
    spawnWorker(turn, worker, generation);
  }
}

/** The first worker of a new generation boots alone: if it fails, nothing has changed. */
function launchPilot(turn: Turn, app: AppState): void {
  const { reload } = turn.state;
  const { name, desired, current } = app;
  const roll = rollOf(turn.state, name);
  if (reload?.step !== 'rolling' || roll === undefined) return;
  if (roll.next.proven || roll.pilot !== null) return;
  const workers = workersOf(turn.state, app);
  // Reloads in quick succession would else pile up workers that drain.
  if (!mayReplace(turn.state, app) && workers.some(({ phase }) => phase === 'serving')) return;
  // A slot that is there afterwards too.
  const { workers: configured } = roll.next.config;
  const kept = current === null ? configured : desired;
  const most = reload.ask.resetsWorkers ? Math.min(kept, configured) : kept;
  const slots = Array.from({ length: most }, (_, at) => at + 1);
  const isEmpty = (slot: number) =>
    !workers.some((worker) => worker.slot === slot && holds(worker));
  // A slot whose worker keeps failing is where help is needed most.
  const slot = slots.find(isEmpty) ?? 1;
  const pilot = spawnWorker(turn, { app: name, slot }, roll.next);
  putRoll(turn, { ...roll, pilot });
}

/** Apps that are in the settings no more, once the last of their workers is gone. */
function forgetApps(turn: Turn): void {
  const { apps, workers, current } = turn.state;
  const names = new Set(appsOf(current.config).map(({ name }) => name));
  const kept = apps.filter(
    ({ name, desired }) =>
      names.has(name) ||
      desired > 0 ||
      rollOf(turn.state, name) !== undefined ||
      workers.some(({ app }) => app === name),
  );
  if (kept.length < apps.length) set(turn, { apps: kept });
}

function noticeRunning(turn: Turn): void {
  const { phase, edges, workers, sockets, current, self, apps } = turn.state;
  if (phase.name !== 'starting') return;
  const edgesServe = edges.filter((edge) => edge.phase === 'serving').length;
  if (edgesServe < current.config.edges) return;
  const serves = (name: string) =>
    workers.some(({ app, phase: at }) => app === name && at === 'serving');
  if (!apps.every(({ name }) => serves(name))) return;
  set(turn, { phase: { name: 'running' } });
  for (const { url } of sockets) log(turn, 'info', `Listening at: ${url} (${self.pid})`);
}

/** A roll is done when the new generation serves in every slot, and none older does. */
function noticeRolled(turn: Turn, name: string): void {
  const app = appOf(turn.state, name);
  const roll = rollOf(turn.state, name);
  if (app === undefined || roll === undefined || !roll.next.proven) return;
  const workers = workersOf(turn.state, app);
  if (workers.some((worker) => holds(worker) && worker.generation < roll.next.number)) return;
  for (let slot = 1; slot <= app.desired; slot += 1) {
    if (!workers.some((worker) => worker.slot === slot && worker.phase === 'serving')) return;
  }
  endRoll(turn, roll, []);
}
