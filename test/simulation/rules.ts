// The rules a life must keep, each with its own deadline. They look at the events, the actions and
// the state, and know nothing of how decide comes to them.

import type { Action, Event } from '../../src/arbiter/decide/events.ts';
import {
  bindMs,
  bootMs,
  configureMs,
  drainGraceMs,
  edgeBootMs,
  edgeHungMs,
  giveUpMs,
  killAgainMs,
  loadMs,
  pauseMs,
  quickStopMs,
  rollMs,
  statusMs,
  surge,
  tickMs,
  withdrawMs,
  workerDrainMinMs,
  workerHungMs,
} from '../../src/arbiter/decide/limits.ts';
import type { Edge, State, Worker } from '../../src/arbiter/decide/state.ts';
import { appsOf } from '../../src/config/apps.ts';
import type { Config } from '../../src/config/config.ts';
import type { World } from './world.ts';

/** A rule was broken. */
export class Broken extends Error {}

export interface Rules {
  /** Called after each decision; `before` is the state it was made from. */
  check(before: State, event: Event, after: State, actions: readonly Action[], now: number): void;
  /** The world has been kind for long enough: everything must be as wanted. */
  checkCalm(state: State): void;
  /** After the end. */
  checkEnd(now: number): void;
}

/** Settings by which a worker may live now. */
function configsOf({ current, reload, apps }: State): Config[] {
  const own = apps.map((app) => app.current?.config ?? current.config);
  if (reload?.step !== 'rolling') return [current.config, ...own];
  return [current.config, ...own, ...reload.rolls.map(({ next }) => next.config)];
}

/** Workers wanted of all apps, or of one. */
function wantedOf({ apps }: State, name: string | null = null): number {
  const counted = apps.filter((app) => name === null || app.name === name);
  return counted.reduce((sum, { desired }) => sum + desired, 0);
}

/** Time that the tick, late messages and slow kills add to any deadline. */
const slackMs = 4_000;

export function createRules(world: World): Rules {
  const ids = new Set<number>();
  const phaseSince = new Map<number, { phase: string; atMs: number }>();
  const bootBoundMs = new Map<number, number>();
  const lastBeat = new Map<number, number>();
  const asks = new Map<number, { command: string; atMs: number; replies: number }>();
  const spawns = new Map<string, number[]>();
  const outside: number[] = [];
  /** Edges that were told that no worker is left. */
  const alone = new Set<number>();
  const programs = new Set<number>();
  let stopAtMs: number | null = null;
  let stopBoundMs = 0;
  let pausedMs = 0;
  let lastTickMs = 0;
  /** By app. */
  const mostDesired = new Map<string, number>();
  let hasEnded = false;

  const insist = (isKept: boolean, rule: string, facts?: unknown): void => {
    if (!isKept) throw new Broken(`${rule} ${facts === undefined ? '' : JSON.stringify(facts)}`);
  };

  function noteEvent(event: Event, now: number): void {
    const isBeat = 'message' in event && ['ready', 'heartbeat'].includes(event.message.type);
    if (isBeat) lastBeat.set(event.id, now);
    if (event.kind === 'ask') {
      asks.set(event.askId, { command: event.request.command, atMs: now, replies: 0 });
    }
    const isOutside = ['ask', 'signal', 'loaded', 'files-changed'].includes(event.kind);
    if (isOutside) outside.push(now);
    if (event.kind === 'tick') {
      // Silence while the arbiter stood still is forgiven, and time to boot given back.
      const gapMs = now - lastTickMs;
      if (gapMs > tickMs + pauseMs) {
        pausedMs += gapMs;
        for (const [id, atMs] of lastBeat) lastBeat.set(id, atMs + gapMs);
      }
      lastTickMs = now;
    }
  }

  function noteStop(before: State, after: State, now: number): void {
    const { phase } = after;
    if (phase.name !== 'stopping') return;
    const graceful = before.current.config.gracefulTimeoutMs;
    const tail = workerDrainMinMs + 2 * drainGraceMs + giveUpMs + slackMs;
    if (stopAtMs === null) {
      stopAtMs = now;
      stopBoundMs = (phase.quick ? quickStopMs : graceful) + tail;
    } else if (phase.quick && before.phase.name === 'stopping' && !before.phase.quick) {
      stopBoundMs = Math.min(stopBoundMs, now - stopAtMs + quickStopMs + tail);
    }
    insist(now - stopAtMs <= stopBoundMs, 'a stop ends in time', { now, stopAtMs });
    insist(after.sockets.length === 0, 'no socket is open while it stops', after.sockets);
    const isHopeless = after.workers.every(({ phase: at }) => at !== 'booting' && at !== 'serving');
    if (phase.step === 'edges' && isHopeless)
      for (const edge of after.edges)
        if (edge.phase === 'draining')
          insist(alone.has(edge.id), 'an edge hears that nobody is left to wait for', edge);
  }

  function checkAction(action: Action, before: State, after: State, now: number): void {
    switch (action.kind) {
      case 'spawn-worker':
      case 'spawn-edge': {
        insist(!ids.has(action.id), 'no id is used twice', action.id);
        ids.add(action.id);
        insist(after.phase.name !== 'stopping', 'nothing is started while stopping');
        if (action.kind === 'spawn-worker') {
          bootBoundMs.set(action.id, bootMs(action.config));
          checkSpawnRate(`${action.app} ${action.slot}`, now);
        }
        return;
      }
      case 'tell-edge':
        checkToEdge(action);
        return;
      case 'tell-worker':
        if (action.message.type === 'drain') checkDrain(action.id, after, now);
        return;
      case 'kill':
        checkKill(action, before, now);
        return;
      case 'reply': {
        const ask = asks.get(action.askId);
        insist(ask !== undefined, 'only what was asked is answered', action);
        if (ask === undefined) return;
        ask.replies += 1;
        insist(ask.replies === 1, 'a request is answered once', action);
        return;
      }
      case 'close-sockets':
        // A stop closes all of them at once: edges are told, or killed, in the same turn.
        if (after.phase.name === 'stopping' || after.phase.name === 'ended') return;
        for (const edge of edges()) {
          for (const key of action.keys) {
            const isOpen = edge.listening.has(key) && !edge.isDraining;
            insist(!isOpen, 'a socket is closed after the edges have let go of it', key);
          }
        }
        return;
      case 'exit':
        hasEnded = true;
        return;
      default:
        return;
    }
  }

  const edges = () =>
    [...world.children.values()].filter(
      (child) => child.role === 'edge' && child.isAlive,
    ) as Extract<ReturnType<typeof world.children.get>, { role: 'edge' }>[];

  function checkToEdge(action: Extract<Action, { kind: 'tell-edge' }>): void {
    const { message } = action;
    const edge = world.children.get(action.id);
    if (edge?.role !== 'edge') throw new Broken('an edge that was never started is told something');
    if (message.type !== 'configure' && message.type !== 'drain') {
      insist(edge.config !== null, 'configure comes first', message.type);
    }
    if (message.type === 'no-workers') alone.add(action.id);
    if (message.type === 'admit') {
      if (message.worker.leavesWhenIdle) programs.add(message.worker.id);
      insist(!alone.has(action.id), 'nobody is admitted where nobody was left', message);
      const worker = world.children.get(message.worker.id);
      insist(
        worker?.role === 'worker' && worker.wasReady,
        'a worker is admitted only after it was ready',
        message,
      );
    }
  }

  function checkDrain(id: number, after: State, now: number): void {
    if (after.phase.name === 'stopping') return;
    // Of a program it is the time for its requests.
    const boundMs = programs.has(id) ? workerDrainMinMs : withdrawMs;
    for (const edge of edges()) {
      insist(!edge.admitted.has(id), 'withdraw comes before drain', { id, edge: edge.id });
      const askedAtMs = edge.withdrawing.get(id);
      if (askedAtMs === undefined) continue;
      if (after.edges.some((other) => other.id === edge.id && other.phase === 'dying')) continue;
      insist(now - askedAtMs >= boundMs, 'a drain waits for the edges, or for its deadline', {
        id,
        edge: edge.id,
      });
    }
  }

  function checkKill(action: Extract<Action, { kind: 'kill' }>, before: State, now: number): void {
    if (action.signal !== 'SIGABRT') return;
    const silentMs = now - (lastBeat.get(action.id) ?? 0);
    insist(
      silentMs >= Math.min(...configsOf(before).map(workerHungMs)),
      'no worker is taken for hung before its timeout',
      { id: action.id, silentMs },
    );
  }

  function checkSpawnRate(slot: string, now: number): void {
    const recent = [...(spawns.get(slot) ?? []), now].filter((atMs) => now - atMs < 10_000);
    spawns.set(slot, recent);
    while (outside.length > 0 && now - outside[0]! > 10_000) outside.shift();
    // Without backoff a slot that fails at once is started hundreds of times in that time.
    const most = 8 + 2 * outside.length;
    insist(recent.length <= most, 'failures in a row are retried ever more slowly', recent);
  }

  function checkWorker(
    worker: Worker,
    earlier: Worker | undefined,
    after: State,
    now: number,
  ): void {
    const inPhaseMs = now - (phaseSince.get(worker.id)?.atMs ?? now);
    const graceful = 6_000 + after.current.config.gracefulTimeoutMs;
    const boundMs = {
      booting: (bootBoundMs.get(worker.id) ?? 0) + pausedMs,
      serving: Number.POSITIVE_INFINITY,
      withdrawing: withdrawMs,
      draining: graceful + drainGraceMs,
      dying: 5_000 + 5_000 + killAgainMs,
    }[worker.phase];
    insist(inPhaseMs <= boundMs + slackMs, `${worker.phase} ends in time`, worker);
    if (worker.phase === 'serving') {
      const silentMs = now - (lastBeat.get(worker.id) ?? now);
      const hungMs = Math.max(...configsOf(after).map(workerHungMs)) + slackMs;
      insist(silentMs <= hungMs, 'a hung worker is found in time', worker);
    }
    if (earlier?.phase === 'serving' && worker.phase === 'withdrawing') {
      const { app } = worker;
      const others = after.workers.filter(
        (other) => other.phase === 'serving' && other.app === app,
      );
      const desired = wantedOf(after, app);
      insist(desired === 0 || others.length > 0, 'the last worker that serves is not withdrawn', {
        id: worker.id,
        desired,
      });
      insist(
        worker.leaves !== 'replaced' || others.some((other) => other.slot === worker.slot),
        'a replacement serves before the replaced one is withdrawn',
        worker,
      );
    }
  }

  function checkEdge(edge: Edge, after: State, now: number): void {
    const inPhaseMs = now - (phaseSince.get(edge.id)?.atMs ?? now);
    const { config } = after.current;
    const boundMs = {
      booting: edgeBootMs + pausedMs,
      starting: configureMs + pausedMs,
      serving: Number.POSITIVE_INFINITY,
      draining: 6_000 + config.gracefulTimeoutMs + drainGraceMs,
      dying: 5_000 + killAgainMs,
    }[edge.phase];
    insist(inPhaseMs <= boundMs + slackMs, `an edge's ${edge.phase} ends in time`, edge);
    if (edge.phase !== 'serving') return;
    const silentMs = now - (lastBeat.get(edge.id) ?? now);
    insist(silentMs <= edgeHungMs(config) + slackMs, 'a hung edge is found in time', edge);
  }

  function checkNumbers(after: State): void {
    if (after.phase.name !== 'running' && after.phase.name !== 'starting') return;
    const holders = after.workers.filter(({ phase }) => phase === 'booting' || phase === 'serving');
    const replaced = after.workers.filter(
      (worker) => 'leaves' in worker && worker.leaves === 'replaced',
    );
    // One more for the pilot of a reload, one for a last worker that must not leave yet.
    for (const { name, desired } of after.apps) {
      const held = holders.filter(({ app }) => app === name).length;
      const surgeMost = surge(mostDesired.get(name) ?? 0);
      const most = desired + surgeMost + 2;
      insist(held <= most, 'not more processes than wanted and the surge', { name, held, desired });
      const leaving = replaced.filter(({ app }) => app === name).length;
      insist(leaving <= surgeMost + 1, 'not more leave at a time than the surge', { leaving });
    }
    for (const edge of edges()) {
      // One that is being killed is told nothing more.
      if (after.edges.some(({ id, phase }) => id === edge.id && phase === 'dying')) continue;
      for (const id of edge.admitted) {
        const worker = after.workers.find((other) => other.id === id);
        insist(worker?.phase === 'serving', 'an edge sends only to workers that serve', {
          id,
          phase: worker?.phase,
        });
      }
    }
  }

  function checkAsks(after: State, now: number): void {
    // One reload under way before it, and its own; timeout 0 has the longest boots.
    const slowest = { ...after.current.config, timeoutMs: 0, gracefulTimeoutMs: 6_000 };
    const reloadMs = 2 * (loadMs + bindMs + configureMs + rollMs(slowest));
    for (const [askId, ask] of asks) {
      if (ask.replies > 0) {
        asks.delete(askId);
        continue;
      }
      const boundMs = { status: statusMs, purge: statusMs, reload: reloadMs, scale: 0 }[
        ask.command
      ];
      if (boundMs === undefined) continue;
      insist(now - ask.atMs <= boundMs + slackMs, `${ask.command} is answered in time`, ask);
    }
  }

  return {
    check(before, event, after, actions, now) {
      for (const { name, desired } of [...before.apps, ...after.apps])
        mostDesired.set(name, Math.max(mostDesired.get(name) ?? 0, desired));
      noteEvent(event, now);
      for (const action of actions) checkAction(action, before, after, now);
      noteStop(before, after, now);
      for (const child of [...after.workers, ...after.edges]) {
        if (phaseSince.get(child.id)?.phase !== child.phase) {
          phaseSince.set(child.id, { phase: child.phase, atMs: now });
        }
      }
      for (const worker of after.workers) {
        const earlier = before.workers.find((other) => other.id === worker.id);
        if (event.kind === 'tick' || earlier?.phase !== worker.phase) {
          checkWorker(worker, earlier, after, now);
        }
      }
      if (event.kind !== 'tick') return;
      for (const edge of after.edges) checkEdge(edge, after, now);
      checkNumbers(after);
      checkAsks(after, now);
    },
    checkCalm(state) {
      insist(state.phase.name === 'running', 'it runs', state.phase);
      insist(state.reload === null && state.again === null, 'no reload hangs', state.reload);
      const serving = state.workers.filter(({ phase }) => phase === 'serving');
      const wantedNow = wantedOf(state);
      insist(state.workers.length === wantedNow, 'as many workers as wanted', state.workers);
      insist(serving.length === wantedNow, 'every worker serves', state.workers);
      insist(
        new Set(serving.map(({ app, slot }) => `${app} ${slot}`)).size === wantedNow,
        'one worker a slot',
        serving,
      );
      insist(
        serving.every(({ generation }) => generation === state.current.number),
        'every worker is of the current generation',
        state,
      );
      const names = appsOf(state.current.config).map(({ name }) => name);
      insist(
        state.apps
          .map(({ name }) => name)
          .sort()
          .join() === [...names].sort().join(),
        'the apps are those of the settings',
        state.apps,
      );
      const edgesUp = state.edges.filter(({ phase }) => phase === 'serving');
      insist(edgesUp.length === state.current.config.edges, 'every edge serves', state.edges);
      for (const edge of edges()) {
        const known = [...edge.admitted].sort().join();
        const wanted = serving
          .map(({ id }) => id)
          .sort()
          .join();
        insist(known === wanted, 'edges know just the workers that serve', { known, wanted });
        const open = [...edge.listening].sort().join();
        const bound = state.sockets
          .map(({ key }) => key)
          .sort()
          .join();
        insist(open === bound, 'edges listen on just the bound sockets', { open, bound });
        insist(
          JSON.stringify(edge.config) === JSON.stringify(state.current.config),
          'edges work by the current settings',
        );
      }
    },
    checkEnd(now) {
      insist(hasEnded, 'it ends', now);
      for (const child of world.children.values()) {
        insist(!child.isAlive, 'every child is reaped', child);
      }
      for (const ask of asks.values()) insist(ask.replies === 1, 'every request is answered', ask);
    },
  };
}
