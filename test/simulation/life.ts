// One life of the arbiter from start to end, played out by a seed.

import type { ArbiterSignal, Event } from '../../src/arbiter/decide/events.ts';
import { tickMs } from '../../src/arbiter/decide/limits.ts';
import { keyed } from '../../src/arbiter/decide/reload.ts';
import { initialState, type State } from '../../src/arbiter/decide/state.ts';
import type { decide } from '../../src/arbiter/decide.ts';
import { ownOf } from '../../src/config/apps.ts';
import type { Config } from '../../src/config/config.ts';
import type { Purge } from '../../src/ipc/messages.ts';
import { testConfig } from '../helpers/config.ts';
import { createClock } from './clock.ts';
import { type Dice, diceFrom } from './dice.ts';
import { Broken, createRules } from './rules.ts';
import { createWorld, publicSocket } from './world.ts';

export type Decide = typeof decide;

export interface Life {
  readonly seed: number;
  readonly exitCode: number;
  readonly decisions: number;
  readonly reloads: number;
}

/** A slow boot, a drain and a slow KILL: so long after a reload in a kind world all is well. */
const calmMs = 20_000 + 10_000 + 10_000;
const decisionsMax = 50_000;

/** Plays one life. Throws Broken, with the last events, when a rule is broken. */
export function live(seed: number, decideNow: Decide): Life {
  const random = diceFrom(seed);
  const clock = createClock();
  const queue: Event[] = [];
  const recent: { atMs: number; event: Event }[] = [];
  // In some lives only: it takes half of the time.
  const freeze = seed % 4 === 0 ? freezeDeep : <T>(value: T): T => value;
  let config = randomConfig(random, 0);
  let configs = 1;
  let exitCode: number | null = null;
  let decisions = 0;
  let reloads = 0;
  let isPaused = false;
  let lastAskId = 0;
  const nextAskId = (): number => {
    lastAskId += 1;
    return lastAskId;
  };

  const world = createWorld({ clock, random, config: () => config, onEvent: take });
  const rules = createRules(world);
  let state: State = initialState({
    config,
    sockets: keyed(config.bind).map(publicSocket),
    self: { pid: 1, version: '0', runtimeDir: '/run/p', onTerminal: random.chance(0.2) },
    now: 0,
  });
  freeze(state);

  function take(event: Event): void {
    queue.push(event);
    if (queue.length > 1 || isPaused) return;
    drainQueue();
  }

  function drainQueue(): void {
    for (let event = queue[0]; event !== undefined; event = queue[0]) {
      const before = state;
      const decision = decideNow(before, freeze(event), clock.now());
      freeze(decision.state);
      decisions += 1;
      state = decision.state;
      const isBeat = 'message' in event && event.message.type === 'heartbeat';
      if (event.kind !== 'tick' && !isBeat) {
        recent.push({ atMs: clock.now(), event });
      }
      if (recent.length > 40) recent.shift();
      // One after the other, as act does: a rule looks at the world before the action changes it.
      for (const action of decision.actions) {
        if (action.kind === 'exit') exitCode = action.code;
        if (action.kind === 'adopt') reloads += 1;
        world.act(action);
      }
      rules.check(before, event, state, decision.actions, clock.now());
      queue.shift();
    }
  }

  function ticking(): void {
    if (exitCode !== null) return;
    take({ kind: 'tick' });
    clock.after(tickMs * random.pick([1, 2]), ticking);
  }

  /** Things that come from outside, one after another, until the world turns kind. */
  function outside(untilMs: number): void {
    if (exitCode !== null || clock.now() >= untilMs) return;
    const { mood } = world;
    const choice = random.between(0, 13);
    if (choice <= 2) {
      mood.app = random.pick(['good', 'good', 'flaky', 'broken', 'never-ready']);
      mood.load = random.pick(['good', 'good', 'good', 'fails', 'hangs']);
      mood.bind = random.pick(['free', 'free', 'taken', 'slow']);
      mood.isRough = random.chance(0.5);
      config = randomConfig(random, configs);
      configs += 1;
    } else if (choice === 3) pause();
    else take(randomEvent(random, nextAskId()));
    clock.after(random.between(0, 8000), () => outside(untilMs));
  }

  /** The arbiter stands still: events wait, and come all at once after a tick. */
  function pause(): void {
    isPaused = true;
    clock.after(random.between(0, 10_000), () => {
      isPaused = false;
      queue.unshift({ kind: 'tick' });
      drainQueue();
    });
  }

  function play(): void {
    const wasBroken = random.chance(0.1);
    if (wasBroken) world.mood.app = random.pick(['broken', 'never-ready', 'flaky']);
    world.mood.isRough = random.chance(0.1);
    take({ kind: 'start' });
    ticking();
    const untilMs = random.between(5_000, 60_000);
    clock.after(random.between(0, 5000), () => outside(untilMs));
    const beKind = (): void => {
      const kind = { isRough: false, retires: false, app: 'good', load: 'good', bind: 'free' };
      Object.assign(world.mood, kind);
      config = { ...config, env: {} };
    };
    // Some lives end in the middle of things.
    const isCut = random.chance(0.4);
    if (!isCut) clock.after(untilMs, beKind);
    clock.after(untilMs + 1, () => {
      if (!isCut) heal();
      else stop();
    });
  }

  /** Restarts what hung or will misbehave, asks for the present config, and looks when it is done. */
  function heal(): void {
    if (exitCode !== null) return;
    for (const child of world.children.values()) if (child.isHung) world.act(killOf(child));
    take({ kind: 'ask', askId: nextAskId(), request: { command: 'reload' } });
    const patient = (triesLeft: number): void => {
      if (exitCode !== null || state.phase.name === 'stopping') return;
      const isIdle = !isPaused && state.reload === null && state.again === null;
      const isDone = isIdle && state.phase.name === 'running';
      if (!isDone && triesLeft > 0) clock.after(5_000, () => patient(triesLeft - 1));
      else
        clock.after(calmMs, () => {
          if (exitCode !== null || state.phase.name !== 'running') return;
          rules.checkCalm(state);
          stop();
        });
    };
    clock.after(5_000, () => patient(400));
  }

  function stop(): void {
    if (exitCode !== null) return;
    take(randomEnd(random, nextAskId()));
    if (random.chance(0.2)) {
      clock.after(random.between(0, 3000), () => take(randomEnd(random, nextAskId())));
    }
  }

  try {
    play();
    while (exitCode === null && clock.step()) {
      if (decisions > decisionsMax) throw new Broken('it ends');
    }
    rules.checkEnd(clock.now());
  } catch (cause) {
    const story = recent.map(({ atMs, event }) => `${atMs} ${JSON.stringify(event).slice(0, 150)}`);
    if (cause instanceof Error) {
      cause.message += `\nseed ${seed}, last events:\n${story.join('\n')}`;
    }
    throw cause;
  }
  return { seed, exitCode: exitCode ?? -1, decisions, reloads };
}

function randomEnd(random: Dice, askId: number): Event {
  const ends: readonly Event[] = [
    { kind: 'signal', signal: 'SIGTERM' },
    { kind: 'signal', signal: 'SIGTERM' },
    { kind: 'signal', signal: 'SIGINT' },
    { kind: 'ask', askId, request: { command: 'stop' } },
  ];
  return random.pick(ends);
}

function killOf(child: { role: 'edge' | 'worker'; id: number }) {
  return { kind: 'kill', role: child.role, id: child.id, signal: 'SIGKILL' } as const;
}

function randomEvent(random: Dice, askId: number): Event {
  const signals: ArbiterSignal[] = [
    'SIGHUP',
    'SIGHUP',
    'SIGTTIN',
    'SIGTTOU',
    'SIGUSR1',
    'SIGWINCH',
  ];
  switch (random.between(0, 6)) {
    case 0:
      if (askId % 2 === 0) return { kind: 'ask', askId, request: { command: 'status' } };
      return {
        kind: 'ask',
        askId,
        request: {
          command: 'purge',
          purges: [{ kind: 'all' }, { kind: 'tag', tag: 'a' }].slice(
            askId % 3 === 0 ? 1 : 0,
          ) as Purge[],
        },
      };
    case 1:
    case 2:
      return { kind: 'ask', askId, request: { command: 'reload', ...maybeApp(random) } };
    case 3:
      return {
        kind: 'ask',
        askId,
        request: { command: 'scale', ...maybeApp(random), workers: random.between(1, 6) },
      };
    case 4:
      return { kind: 'files-changed', path: 'app.js' };
    default:
      return { kind: 'signal', signal: random.pick(signals) };
  }
}

function maybeApp(random: Dice): { app?: string } {
  return random.chance(0.7) ? {} : { app: random.pick(['app', 'web', 'api', 'none']) };
}

function randomConfig(random: Dice, version: number): Config {
  const ports = [8000, 8001, 8002].filter((port) => port === 8000 || random.chance(0.3));
  const env: Record<string, string> = { VERSION: String(version) };
  if (version > 0 && random.chance(0.15)) env.EDGE = random.pick(['refuses', 'dies']);
  const names = ['web', 'api'].filter(() => random.chance(0.3));
  const config = testConfig({
    env,
    cacheBytes: version % 4 === 3 ? 0 : 1024 ** 2,
    bind: ports.map(
      (port) =>
        ({ kind: 'tcp', host: '127.0.0.1', port, tls: (version + port) % 3 === 0 }) as const,
    ),
    workers: random.between(1, 6),
    edges: random.pick([1, 1, 2]),
    preload: random.chance(0.3),
    timeoutMs: random.pick([0, 3_000, 8_000]),
    gracefulTimeoutMs: random.between(0, 6_000),
    module: 'app.js',
  });
  const apps = names.map((name) => ({
    ...{ name, ...ownOf(config) },
    workers: random.between(1, 4),
    gracefulTimeoutMs: random.between(0, 6_000),
    workerClass: random.pick(['async', 'wsgi'] as const),
  }));
  // Without a module the named ones are alone; and routes, where there are none.
  return { ...config, apps, module: random.chance(names.length > 0 ? 0.3 : 0.1) ? null : 'app.js' };
}

/** Makes sure that nothing is changed in place. What is frozen already was looked through before. */
function freezeDeep<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const part of Object.values(value)) freezeDeep(part);
  return value;
}
