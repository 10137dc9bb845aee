// A reload, step by step: read the settings, bind what is new, configure the edges, roll the workers.
// Each step may fail, and then everything is as before.

import { showBind } from '../../config/address.ts';
import { appsOf, configFor } from '../../config/apps.ts';
import type { BindAddress, Config } from '../../config/config.ts';
import type { BindResult, LoadResult } from './events.ts';
import { bindMs, configureMs, fixedSettings, loadMs, rollMs } from './limits.ts';
import { configureEdge } from './moves.ts';
import { forgetAll } from './purge.ts';
import type { PublicSocket, Reload, ReloadAsk, Roll } from './state.ts';
import {
  appOf,
  killWorker,
  log,
  putApp,
  putRoll,
  reply,
  set,
  type Turn,
  takeId,
  tellEdges,
} from './turn.ts';

type ReloadIn<Step extends Reload['step']> = Extract<Reload, { step: Step }>;

/** Begins a reload, or notes it for after the one under way: then the newest settings win. */
export function requestReload(turn: Turn, ask: ReloadAsk): void {
  const { phase, reload, again } = turn.state;
  if (phase.name === 'stopping' || phase.name === 'ended') {
    reply(turn, ask.askIds, { ok: false, problems: ['Portico is stopping'] });
    return;
  }
  if (phase.name === 'starting' || reload !== null) {
    set(turn, {
      again: {
        // Two that are for one app each become one for all.
        app: again !== null && again.app !== ask.app ? null : ask.app,
        askIds: [...(again?.askIds ?? []), ...ask.askIds],
        resetsWorkers: ask.resetsWorkers || (again?.resetsWorkers ?? false),
      },
    });
    return;
  }
  const id = takeId(turn);
  set(turn, { reload: { id, ask, step: 'loading', deadlineMs: turn.now + loadMs } });
  turn.actions.push({ kind: 'load-config', reloadId: id });
}

/** Begins the reload that was asked for meanwhile. */
export function startAgain(turn: Turn): void {
  const { again, reload, phase } = turn.state;
  if (again === null || reload !== null || phase.name !== 'running') return;
  set(turn, { again: null });
  requestReload(turn, again);
}

export function configLoaded(turn: Turn, reloadId: number, result: LoadResult): void {
  const { reload, current, sockets } = turn.state;
  if (reload?.step !== 'loading' || reload.id !== reloadId) return;
  if (!result.ok) {
    failReload(turn, result.problems);
    return;
  }
  const config = keepFixed(turn, current.config, result.config);
  const { app } = reload.ask;
  if (app !== null && !appsOf(config).some(({ name }) => name === app)) {
    failReload(turn, [`There is no app ${JSON.stringify(app)}`]);
    return;
  }
  const known = new Set(sockets.map((socket) => socket.key));
  const addresses = keyed(config.bind).filter(({ key }) => !known.has(key));
  if (addresses.length === 0) {
    configureEdges(turn, reload, config, []);
    return;
  }
  const { id, ask } = reload;
  const deadlineMs = turn.now + bindMs;
  set(turn, { reload: { id, ask, step: 'binding', deadlineMs, config } });
  turn.actions.push({ kind: 'bind', reloadId, addresses, config });
}

export function socketsBound(turn: Turn, reloadId: number, result: BindResult): void {
  const { reload } = turn.state;
  if (reload?.step !== 'binding' || reload.id !== reloadId) {
    // Too late, nobody wants them any more. A newer reload can't have bound the same keys meanwhile.
    if (result.ok) closeSockets(turn, result.sockets);
  } else if (result.ok) configureEdges(turn, reload, reload.config, result.sockets);
  else failReload(turn, result.problems);
}

function configureEdges(
  turn: Turn,
  reload: ReloadIn<'loading' | 'binding'>,
  config: Config,
  added: readonly PublicSocket[],
): void {
  const { id, ask } = reload;
  const number = turn.state.lastGeneration + 1;
  const edges = turn.state.edges.filter((edge) => edge.phase === 'serving');
  const deadlineMs = turn.now + configureMs;
  const waiting = edges.map((edge) => edge.id);
  set(turn, {
    lastGeneration: number,
    reload: {
      id,
      ask,
      step: 'configuring',
      deadlineMs,
      config,
      generation: number,
      added,
      waiting,
    },
  });
  for (const edge of edges) configureEdge(turn, edge, { number, config });
  if (waiting.length === 0) beginRoll(turn);
}

/** The edge works by the settings that were sent to it last. */
export function edgeConfigured(turn: Turn, edgeId: number): void {
  const { reload } = turn.state;
  if (reload?.step !== 'configuring') return;
  const waiting = reload.waiting.filter((id) => id !== edgeId);
  set(turn, { reload: { ...reload, waiting } });
  if (waiting.length === 0) beginRoll(turn);
}

function beginRoll(turn: Turn): void {
  const { reload, sockets } = turn.state;
  if (reload?.step !== 'configuring') return;
  const { id, ask, config, generation, added } = reload;
  const rolls = appsOf(config)
    .filter(({ name }) => ask.app === null || ask.app === name)
    .map((app): Roll => {
      const next = { number: generation, config: configFor(config, app), proven: false };
      return { app: app.name, next, pilot: null, problems: null };
    });
  for (const { app: name } of rolls)
    if (appOf(turn.state, name) === undefined) putApp(turn, { name, desired: 0, current: null });
  const deadlineMs = turn.now + Math.max(0, ...rolls.map(({ next }) => rollMs(next.config)));
  set(turn, {
    reload: { id, ask, step: 'rolling', deadlineMs, generation, config, added, rolls },
    edgeConfig: { number: generation, config },
    sockets: [...sockets, ...added],
  });
  for (const { key, address } of added) {
    tellEdges(turn, { type: 'listen', key, address });
  }
  // Routes alone: there is nobody to replace.
  if (rolls.length === 0) finishReload(turn, []);
}

/** One app's workers are replaced, in part or whole, or (never proven) are as they were. */
export function endRoll(turn: Turn, roll: Roll, problems: readonly string[]): void {
  const { app: name, next } = roll;
  putRoll(turn, { ...roll, problems });
  const app = appOf(turn.state, name);
  if (next.proven && app !== undefined) putApp(turn, { ...app, current: next });
  if (!next.proven) {
    for (const worker of turn.state.workers) {
      const isNew = worker.app === name && worker.generation === next.number;
      if (isNew && worker.phase !== 'dying') killWorker(turn, worker, 'SIGKILL');
    }
  }
  const { reload } = turn.state;
  if (reload?.step !== 'rolling' || reload.rolls.some((other) => other.problems === null)) return;
  const all = reload.rolls.flatMap((other) => other.problems ?? []);
  if (reload.rolls.some((other) => other.next.proven)) finishReload(turn, all);
  else failReload(turn, all);
}

/** Ends the reload with everything as it was before. Not for one of which some app's generation is proven. */
export function failReload(turn: Turn, problems: readonly string[]): void {
  const { reload, current, workers } = turn.state;
  if (reload === null) return;
  log(turn, 'error', 'Reload failed, the former generation keeps serving:');
  for (const problem of problems) log(turn, 'error', problem);
  if (reload.step === 'rolling') {
    for (const worker of workers) {
      const isNew = worker.generation === reload.generation;
      if (isNew && worker.phase !== 'dying') killWorker(turn, worker, 'SIGKILL');
    }
    set(turn, { edgeConfig: current });
    dropSockets(turn, reload.added);
  }
  if (reload.step === 'configuring') closeSockets(turn, reload.added);
  for (const edge of turn.state.edges) {
    if (edge.phase === 'serving' && edge.configured !== current.number) {
      configureEdge(turn, edge, current);
    }
  }
  end(turn, reload, problems, current.number);
}

/** The new generation serves, whole or (with problems) in part; it is the current one from now on. */
function finishReload(turn: Turn, problems: readonly string[]): void {
  const { reload, sockets } = turn.state;
  if (reload?.step !== 'rolling') return;
  const next = { number: reload.generation, config: reload.config };
  const wanted = new Set(keyed(next.config.bind).map(({ key }) => key));
  set(turn, { current: next });
  const names = new Set(appsOf(next.config).map(({ name }) => name));
  for (const app of turn.state.apps) if (!names.has(app.name)) putApp(turn, { ...app, desired: 0 });
  forgetAll(turn);
  dropSockets(
    turn,
    sockets.filter(({ key }) => !wanted.has(key)),
  );
  const switched = switchSchemes(turn, next.config);
  turn.actions.push({ kind: 'adopt', config: next.config });
  for (const { url } of [...reload.added, ...switched]) log(turn, 'info', `Listening at: ${url}`);
  if (problems.length === 0) log(turn, 'info', `Reloaded: generation ${next.number} serves`);
  else log(turn, 'error', `Generation ${next.number} serves only in part:`);
  for (const problem of problems) log(turn, 'error', problem);
  end(turn, reload, problems, next.number);
}

function end(turn: Turn, reload: Reload, problems: readonly string[], generation: number): void {
  const ok = problems.length === 0;
  reply(
    turn,
    reload.ask.askIds,
    ok ? { ok, command: 'reload', generation } : { ok: false, problems },
  );
  set(turn, { reload: null, lastReload: { ok, generation, problems, atMs: turn.now } });
  startAgain(turn);
}

export function checkReload(turn: Turn): void {
  const { reload } = turn.state;
  if (reload === null || turn.now < reload.deadlineMs) return;
  switch (reload.step) {
    case 'loading':
      failReload(turn, ['reading the configuration took too long']);
      return;
    case 'binding':
      failReload(turn, ['binding the new addresses took too long']);
      return;
    case 'configuring':
      failReload(turn, ['an edge did not take on the new settings in time']);
      return;
    case 'rolling':
      for (const roll of reload.rolls) {
        if (roll.problems !== null) continue;
        const why = roll.next.proven
          ? 'not all workers could be replaced in time'
          : 'no worker of the new generation was ready in time';
        endRoll(turn, roll, [reload.rolls.length === 1 ? why : `${roll.app}: ${why}`]);
      }
      return;
    default:
      throw new Error(`unknown step ${JSON.stringify(reload satisfies never)}`);
  }
}

/** Addresses with the names their sockets keep. An address that is there twice (port 0) gets two. */
export function keyed(
  bind: readonly BindAddress[],
): readonly { readonly key: string; readonly address: BindAddress }[] {
  const seen = new Map<string, number>();
  return bind.map((address) => {
    const name = address.kind === 'tcp' ? `tcp:${address.host}:${address.port}` : showBind(address);
    const count = (seen.get(name) ?? 0) + 1;
    seen.set(name, count);
    return { key: count === 1 ? name : `${name}#${count}`, address };
  });
}

/** The new settings, but those that need a restart as they were. */
function keepFixed(turn: Turn, old: Config, loaded: Config): Config {
  const changed = fixedSettings.filter((name) => old[name] !== loaded[name]);
  if (changed.length === 0) return loaded;
  log(turn, 'warning', `Only a restart changes ${changed.join(', ')}: kept as before`);
  return { ...loaded, ...Object.fromEntries(changed.map((name) => [name, old[name]])) };
}

/** http:// became https:// at the same address, or the other way: the socket stays bound, and the kernel
 *  keeps who connects in the moment in which no edge accepts there. */
function switchSchemes(turn: Turn, config: Config): readonly PublicSocket[] {
  const wanted = new Map(keyed(config.bind).map(({ key, address }) => [key, address.tls]));
  const switched: PublicSocket[] = [];
  const sockets = turn.state.sockets.map((socket) => {
    const { address, key, url } = socket;
    const tls = wanted.get(key);
    if (address.kind !== 'tcp' || tls === undefined || tls === address.tls) return socket;
    const scheme = tls ? 'https:' : 'http:';
    const next = { key, address: { ...address, tls }, url: url.replace(/^https?:/, scheme) };
    switched.push(next);
    return next;
  });
  set(turn, { sockets });
  for (const { key, address } of switched) {
    tellEdges(turn, { type: 'unlisten', key });
    tellEdges(turn, { type: 'listen', key, address });
  }
  return switched;
}

function dropSockets(turn: Turn, dropped: readonly PublicSocket[]): void {
  if (dropped.length === 0) return;
  const keys = new Set(dropped.map(({ key }) => key));
  for (const key of keys) tellEdges(turn, { type: 'unlisten', key });
  set(turn, { sockets: turn.state.sockets.filter(({ key }) => !keys.has(key)) });
  closeSockets(turn, dropped);
}

function closeSockets(turn: Turn, sockets: readonly PublicSocket[]): void {
  if (sockets.length === 0) return;
  turn.actions.push({ kind: 'close-sockets', keys: sockets.map(({ key }) => key) });
}
