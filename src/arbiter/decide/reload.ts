// A reload, step by step: read the settings, bind what is new, configure the edges, roll the workers.
// Each step may fail, and then everything is as before.

import { showBind } from '../../config/address.ts';
import type { BindAddress, Config } from '../../config/config.ts';
import type { BindResult, LoadResult } from './events.ts';
import { bindMs, configureMs, fixedSettings, loadMs, rollMs } from './limits.ts';
import { configureEdge } from './moves.ts';
import { forgetAll } from './purge.ts';
import type { PublicSocket, Reload, ReloadAsk } from './state.ts';
import { killWorker, log, reply, set, type Turn, takeId, tellEdges } from './turn.ts';

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
  const { id, ask, config, generation: number, added } = reload;
  const next = { number, config, proven: false };
  const deadlineMs = turn.now + rollMs(config);
  set(turn, {
    reload: { id, ask, step: 'rolling', deadlineMs, next, added, pilot: null },
    edgeConfig: next,
    sockets: [...sockets, ...added],
  });
  for (const { key, address } of added) {
    tellEdges(turn, { type: 'listen', key, address });
  }
}

/** Ends the reload with everything as it was before. Not for one whose generation is proven. */
export function failReload(turn: Turn, problems: readonly string[]): void {
  const { reload, current, workers } = turn.state;
  if (reload === null) return;
  log(turn, 'error', 'Reload failed, the former generation keeps serving:');
  for (const problem of problems) log(turn, 'error', problem);
  if (reload.step === 'rolling') {
    for (const worker of workers) {
      const isNew = worker.generation === reload.next.number;
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
export function finishReload(turn: Turn, problems: readonly string[]): void {
  const { reload, sockets } = turn.state;
  if (reload?.step !== 'rolling') return;
  const { next } = reload;
  const wanted = new Set(keyed(next.config.bind).map(({ key }) => key));
  set(turn, { current: next });
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
      if (reload.next.proven) finishReload(turn, ['not all workers could be replaced in time']);
      else failReload(turn, ['no worker of the new generation was ready in time']);
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
