// The world as the arbiter sees it, played: children with moods, a config that loads or not, ports
// that are free or not. Everything random comes from the seed.

import type { Action, Event } from '../../src/arbiter/decide/events.ts';
import { keyed } from '../../src/arbiter/decide/reload.ts';
import type { PublicSocket } from '../../src/arbiter/decide/state.ts';
import type { Config } from '../../src/config/config.ts';
import { checkToEdge, checkToWorker } from '../../src/ipc/check.ts';
import type { Clock } from './clock.ts';
import type { Dice } from './dice.ts';

export interface FakeWorker {
  readonly id: number;
  readonly role: 'worker';
  readonly slot: number;
  isAlive: boolean;
  isHung: boolean;
  wasReady: boolean;
  isDraining: boolean;
}

export interface FakeEdge {
  readonly id: number;
  readonly role: 'edge';
  readonly slot: number;
  isAlive: boolean;
  isHung: boolean;
  isReady: boolean;
  isDraining: boolean;
  config: Config | null;
  readonly admitted: Set<number>;
  /** When it was asked to withdraw which worker, until it answers. */
  readonly withdrawing: Map<number, number>;
  readonly listening: Set<string>;
}

export type FakeChild = FakeWorker | FakeEdge;

/** How bad the world is at the moment. */
export interface Mood {
  /** Crashes, hangs and silence happen. */
  isRough: boolean;
  /** Workers ask to be replaced. */
  retires: boolean;
  /** Of the app as it is on disk. */
  app: 'good' | 'flaky' | 'broken' | 'never-ready';
  bind: 'free' | 'taken' | 'slow';
  load: 'good' | 'fails' | 'hangs';
}

export interface World {
  readonly children: Map<number, FakeChild>;
  readonly mood: Mood;
  act(action: Action): void;
}

export interface WorldOptions {
  readonly clock: Clock;
  readonly random: Dice;
  /** The settings as they would be loaded now. */
  readonly config: () => Config;
  readonly onEvent: (event: Event) => void;
}

export function createWorld({ clock, random, config, onEvent }: WorldOptions): World {
  const children = new Map<number, FakeChild>();
  const mood: Mood = { isRough: false, retires: true, app: 'good', bind: 'free', load: 'good' };
  const bound = new Set(keyed(config().bind).map(({ key }) => key));
  let lastPid = 1000;

  /** What a child says or does after some time, if it still can. */
  function later(child: FakeChild, ms: number, run: () => void): void {
    clock.after(ms, () => {
      if (child.isAlive && !child.isHung) run();
    });
  }

  function exit(child: FakeChild, code: number | null, signal: string | null): void {
    if (!child.isAlive) return;
    child.isAlive = false;
    const { role, id } = child;
    onEvent({ kind: 'exit', role, id, code, signal, failure: null });
  }

  function started(child: FakeChild): void {
    children.set(child.id, child);
    if (mood.isRough && random.chance(0.02)) {
      child.isAlive = false;
      const { role, id } = child;
      onEvent({ kind: 'exit', role, id, code: null, signal: null, failure: 'EAGAIN' });
      return;
    }
    lastPid += 1;
    onEvent({ kind: 'spawned', role: child.role, id: child.id, pid: lastPid });
  }

  function misfortune(child: FakeChild): void {
    const afterMs = random.between(0, 30_000);
    const crashes = random.chance(0.2);
    const hangs = random.chance(child.role === 'edge' ? 0.3 : 0.15);
    later(child, afterMs, () => {
      // The world may have turned kind meanwhile.
      if (!mood.isRough) return;
      if (crashes) exit(child, null, 'SIGSEGV');
      else child.isHung = hangs;
    });
  }

  function spawnWorker(id: number, slot: number): void {
    const worker: FakeWorker = {
      ...{ id, role: 'worker', slot },
      ...{ isAlive: true, isHung: false, wasReady: false, isDraining: false },
    };
    started(worker);
    const app = mood.app === 'flaky' ? random.pick(['good', 'broken'] as const) : mood.app;
    const bootMs = random.chance(0.1) ? random.between(0, 20_000) : random.between(10, 1500);
    if (app === 'never-ready') return;
    if (app === 'broken') {
      later(worker, bootMs, () => {
        if (random.chance(0.5)) {
          const exitCode = random.pick([3, 4] as const);
          onEvent({
            kind: 'worker-says',
            id,
            message: { type: 'boot-failed', exitCode, reason: 'no' },
          });
        }
        later(worker, random.between(0, 300), () => exit(worker, 3, null));
      });
      return;
    }
    later(worker, bootMs, () => {
      worker.wasReady = true;
      const sockets = [`/run/p/workers/${id}.sock`];
      onEvent({
        kind: 'worker-says',
        id,
        message: { type: 'ready', sockets, protocol: 'link', app: 'app', retireAfter: 0 },
      });
      beat(worker, () => {
        const message = { type: 'heartbeat', inFlight: 0, served: 1, rssBytes: 1 } as const;
        onEvent({ kind: 'worker-says', id, message });
      });
      misfortune(worker);
      if (random.chance(0.1)) {
        later(worker, random.between(0, 20_000), () => {
          const message = { type: 'retire', reason: 'old' } as const;
          if (mood.retires) onEvent({ kind: 'worker-says', id, message });
        });
      }
    });
  }

  function beat(child: FakeChild, say: () => void): void {
    later(child, random.between(800, 1300), () => {
      say();
      beat(child, say);
    });
  }

  function spawnEdge(id: number, slot: number): void {
    const edge: FakeEdge = {
      ...{ id, role: 'edge', slot, isAlive: true, isHung: false, isReady: false },
      ...{ isDraining: false, config: null, admitted: new Set(), listening: new Set() },
      withdrawing: new Map(),
    };
    started(edge);
    later(edge, random.between(5, 300), () => {
      onEvent({ kind: 'edge-says', id, message: { type: 'started' } });
      beat(edge, () => onEvent({ kind: 'edge-says', id, message: { type: 'heartbeat' } }));
    });
    misfortune(edge);
  }

  function tellEdge(edge: FakeEdge, action: Extract<Action, { kind: 'tell-edge' }>): void {
    const { message } = action;
    const { id } = edge;
    // Messages arrive in order, whenever the edge gets to them: the sets are what was sent to it.
    switch (message.type) {
      case 'configure': {
        edge.config = message.config;
        const isBad = message.config.env.EDGE;
        later(edge, random.between(1, 100), () => {
          if (isBad === 'dies') exit(edge, 1, null);
          else if (isBad === 'refuses') {
            onEvent({ kind: 'edge-says', id, message: { type: 'refused', reason: 'no' } });
          } else {
            edge.isReady = true;
            onEvent({ kind: 'edge-says', id, message: { type: 'ready' } });
          }
        });
        return;
      }
      case 'listen':
        edge.listening.add(message.key);
        return;
      case 'unlisten':
        edge.listening.delete(message.key);
        return;
      case 'admit':
        edge.admitted.add(message.worker.id);
        return;
      case 'withdraw':
        edge.admitted.delete(message.workerId);
        edge.withdrawing.set(message.workerId, clock.now());
        later(edge, random.between(0, 100), () => {
          edge.withdrawing.delete(message.workerId);
          const answer = { type: 'withdrawn', workerId: message.workerId } as const;
          onEvent({ kind: 'edge-says', id, message: answer });
        });
        return;
      case 'gone':
        edge.admitted.delete(message.workerId);
        return;
      case 'drain':
        leave(edge, message.deadlineMs);
        return;
      case 'report': {
        const status = {
          ...{ pid: 1, connections: 0, requestsInFlight: 0, requestsServed: 0, queued: 0 },
          ...{ rssBytes: 0, cache: null, tls: null, acme: null, certificates: [], workers: [] },
          ...{ upstreams: [], routes: [] },
        };
        later(edge, random.between(0, 50), () =>
          onEvent({
            kind: 'edge-says',
            id,
            message: { type: 'status', askId: message.askId, status },
          }),
        );
        return;
      }
      case 'purge': {
        const answer = { type: 'purged', askId: message.askId, responses: 1 } as const;
        later(edge, random.between(0, 50), () =>
          onEvent({ kind: 'edge-says', id, message: answer }),
        );
        return;
      }
      case 'no-workers':
      case 'reopen-logs':
      case 'ticket-keys':
      case 'certificates':
        return;
      default:
        throw new Error(`unknown message ${JSON.stringify(message satisfies never)}`);
    }
  }

  function leave(child: FakeChild, deadlineMs: number): void {
    child.isDraining = true;
    if (mood.isRough && random.chance(0.1)) {
      child.isHung = true;
      return;
    }
    later(child, random.between(0, Math.max(5, deadlineMs)), () => exit(child, 0, null));
  }

  function kill(child: FakeChild, signal: string): void {
    // ABRT can be caught; KILL takes a while when the process is deep in the kernel.
    if (signal === 'SIGABRT' && random.chance(0.2)) return;
    const slow = mood.isRough && random.chance(0.05);
    clock.after(slow ? random.between(0, 5000) : random.between(0, 20), () =>
      exit(child, null, signal),
    );
  }

  function load(reloadId: number): void {
    if (mood.load === 'hangs') return;
    const result =
      mood.load === 'fails'
        ? ({ ok: false, problems: ['no such setting'] } as const)
        : ({ ok: true, config: config() } as const);
    clock.after(random.between(10, 2000), () => onEvent({ kind: 'loaded', reloadId, result }));
  }

  function bind({ reloadId, addresses }: Extract<Action, { kind: 'bind' }>): void {
    const afterMs = mood.bind === 'slow' ? random.between(20_000, 60_000) : random.between(0, 50);
    const isTaken = mood.bind === 'taken';
    clock.after(afterMs, () => {
      if (isTaken || addresses.some(({ key }) => bound.has(key))) {
        const result = { ok: false, problems: ['in use'] } as const;
        onEvent({ kind: 'bound', reloadId, result });
        return;
      }
      for (const { key } of addresses) bound.add(key);
      const result = { ok: true, sockets: addresses.map(publicSocket) } as const;
      onEvent({ kind: 'bound', reloadId, result });
    });
  }

  return {
    children,
    mood,
    act(action) {
      switch (action.kind) {
        case 'spawn-worker':
          spawnWorker(action.id, action.slot);
          return;
        case 'spawn-edge':
          spawnEdge(action.id, action.slot);
          return;
        case 'tell-edge': {
          if (checkToEdge({ tls: {}, ...action.message }) === null)
            throw new Error('a message of wrong form');
          const edge = children.get(action.id);
          if (edge?.role === 'edge' && edge.isAlive) tellEdge(edge, action);
          return;
        }
        case 'tell-worker': {
          if (checkToWorker(action.message) === null) throw new Error('a message of wrong form');
          const worker = children.get(action.id);
          if (worker?.isAlive && action.message.type === 'drain') {
            leave(worker, action.message.deadlineMs);
          }
          return;
        }
        case 'kill': {
          const child = children.get(action.id);
          if (child?.isAlive) kill(child, action.signal);
          return;
        }
        case 'load-config':
          load(action.reloadId);
          return;
        case 'bind':
          bind(action);
          return;
        case 'close-sockets':
          for (const key of action.keys) bound.delete(key);
          return;
        default:
          // The others change nothing here: the rules look at them.
          return;
      }
    },
  };
}

export function publicSocket({
  key,
  address,
}: Pick<PublicSocket, 'key' | 'address'>): PublicSocket {
  return { key, address, url: `http://${key}` };
}
