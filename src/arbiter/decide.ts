// What the arbiter does about an event: a pure function of what it knows, the event and the time.
// act.ts carries the actions out; the simulation in test/simulation runs thousands of lives of this.

import { topApp } from '../config/config.ts';
import { type Request, workersMax } from './control/protocol.ts';
import { checkEdges, edgeExited, edgeSays, edgeSpawned } from './decide/edges.ts';
import type { Action, ArbiterSignal, Event } from './decide/events.ts';
import { pauseMs, tickMs } from './decide/limits.ts';
import { askPurge, checkPurgeAsks } from './decide/purge.ts';
import { reconcile } from './decide/reconcile.ts';
import { checkReload, configLoaded, requestReload, socketsBound } from './decide/reload.ts';
import type { AppState, State } from './decide/state.ts';
import { askStatus, checkStatusAsks } from './decide/status.ts';
import { advanceStop, beginStop, stopGracefully } from './decide/stop.ts';
import { log, putApp, reply, set, type Turn, tellEdges, tellWorker } from './decide/turn.ts';
import { checkWorkers, workerExited, workerSays, workerSpawned } from './decide/workers.ts';

/** The next state, and what is to be done in this order. `now` is monotonic milliseconds. */
export function decide(
  state: State,
  event: Event,
  now: number,
): { readonly state: State; readonly actions: readonly Action[] } {
  const turn: Turn = { state, now, actions: [] };
  if (state.phase.name !== 'ended') {
    take(turn, event);
    reconcile(turn);
    advanceStop(turn);
  } else if (event.kind === 'ask') {
    reply(turn, [event.askId], { ok: false, problems: ['Portico has stopped'] });
  }
  return { state: turn.state, actions: turn.actions };
}

function take(turn: Turn, event: Event): void {
  switch (event.kind) {
    case 'start':
      // Processes are started by reconcile, like any that are missing.
      return;
    case 'tick':
      tick(turn);
      return;
    case 'signal':
      signalled(turn, event.signal);
      return;
    case 'spawned':
      (event.role === 'edge' ? edgeSpawned : workerSpawned)(turn, event.id, event.pid);
      return;
    case 'worker-says':
      workerSays(turn, event.id, event.message);
      return;
    case 'edge-says':
      edgeSays(turn, event.id, event.message);
      return;
    case 'exit':
      (event.role === 'edge' ? edgeExited : workerExited)(turn, event);
      return;
    case 'loaded':
      configLoaded(turn, event.reloadId, event.result);
      return;
    case 'bound':
      socketsBound(turn, event.reloadId, event.result);
      return;
    case 'ask':
      asked(turn, event.askId, event.request);
      return;
    case 'certificates-changed':
      tellEdges(turn, { type: 'certificates' });
      return;
    case 'files-changed':
      log(turn, 'info', `Reloading: ${event.path} changed`);
      requestReload(turn, { app: null, askIds: [], resetsWorkers: false });
      return;
    default:
      throw new Error(`unknown event ${JSON.stringify(event satisfies never)}`);
  }
}

function tick(turn: Turn): void {
  const { state, now } = turn;
  const gapMs = now - state.lastTickMs;
  if (gapMs > tickMs + pauseMs) forgiveSilence(turn, gapMs);
  set(turn, { lastTickMs: now });
  checkEdges(turn);
  checkWorkers(turn);
  checkReload(turn);
  checkStatusAsks(turn);
  checkPurgeAsks(turn);
}

/** The arbiter stood still, and with it perhaps the whole machine: heartbeats that came meanwhile
 *  are not read yet, so that time counts as if everyone had just been heard. */
function forgiveSilence(turn: Turn, gapMs: number): void {
  const { workers, edges } = turn.state;
  set(turn, {
    workers: workers.map((worker) => {
      if (worker.phase === 'booting') return { ...worker, deadlineMs: worker.deadlineMs + gapMs };
      if (worker.phase !== 'serving' && worker.phase !== 'withdrawing') return worker;
      return { ...worker, beat: { ...worker.beat, atMs: worker.beat.atMs + gapMs } };
    }),
    edges: edges.map((edge) => {
      if (edge.phase === 'serving') return { ...edge, beatAtMs: edge.beatAtMs + gapMs };
      if (edge.phase !== 'booting' && edge.phase !== 'starting') return edge;
      return { ...edge, deadlineMs: edge.deadlineMs + gapMs };
    }),
  });
}

function signalled(turn: Turn, signal: ArbiterSignal): void {
  log(turn, 'info', `Handling signal: ${signal.slice(3).toLowerCase()}`);
  switch (signal) {
    case 'SIGHUP':
      requestReload(turn, { app: null, askIds: [], resetsWorkers: true });
      return;
    case 'SIGTERM':
      stopGracefully(turn, []);
      return;
    case 'SIGINT':
    case 'SIGQUIT':
      beginStop(turn, { quick: true, exitCode: 0, askIds: [] });
      return;
    // With several apps these are for the first.
    case 'SIGTTIN':
      for (const app of turn.state.apps.slice(0, 1))
        want(turn, app, Math.min(workersMax, app.desired + 1));
      return;
    case 'SIGTTOU':
      // Never the last one, as with Gunicorn.
      for (const app of turn.state.apps.slice(0, 1))
        if (app.desired > 1) want(turn, app, app.desired - 1);
      return;
    case 'SIGUSR1':
      turn.actions.push({ kind: 'reopen-logs' });
      tellEdges(turn, { type: 'reopen-logs' });
      for (const { id } of turn.state.workers) tellWorker(turn, id, { type: 'reopen-logs' });
      return;
    case 'SIGUSR2':
      log(turn, 'warning', 'USR2 (binary upgrade) is not supported');
      return;
    case 'SIGWINCH':
      // While it starts nothing is known to work yet, and without a worker it would never be.
      if (!turn.state.self.onTerminal && turn.state.phase.name === 'running')
        for (const app of turn.state.apps) want(turn, app, 0);
      return;
    default:
      throw new Error(`unknown signal ${JSON.stringify(signal satisfies never)}`);
  }
}

function asked(turn: Turn, askId: number, request: Request): void {
  switch (request.command) {
    case 'status':
      askStatus(turn, askId);
      return;
    case 'purge':
      askPurge(turn, askId, request.purges);
      return;
    case 'reload':
      requestReload(turn, { app: request.app ?? null, askIds: [askId], resetsWorkers: true });
      return;
    case 'stop':
      stopGracefully(turn, [askId]);
      return;
    case 'scale':
      scale(turn, askId, request);
      return;
    default:
      throw new Error(`unknown request ${JSON.stringify(request satisfies never)}`);
  }
}

function scale(turn: Turn, askId: number, request: Extract<Request, { command: 'scale' }>): void {
  const { apps, phase } = turn.state;
  const { app: name, workers } = request;
  const app = name === undefined ? apps[0] : apps.find((other) => other.name === name);
  const isStopping = phase.name === 'stopping';
  if (isStopping || app === undefined) {
    const which = name === undefined ? '' : ` ${JSON.stringify(name)}`;
    const why = isStopping ? 'Portico is stopping' : `There is no app${which}`;
    reply(turn, [askId], { ok: false, problems: [why] });
    return;
  }
  want(turn, app, workers);
  reply(turn, [askId], { ok: true, command: 'scale', workers });
}

function want(turn: Turn, app: AppState, workers: number): void {
  if (turn.state.phase.name === 'stopping' || workers === app.desired) return;
  const whose = app.name === topApp ? '' : ` of ${app.name}`;
  log(turn, 'info', `Workers${whose}: ${app.desired} → ${workers}`);
  putApp(turn, { ...app, desired: workers });
}
