// What the arbiter knows: plain data, never changed in place. The lives of workers, edges and
// reloads are unions by phase; each phase has just what it needs.

import { appsOf, configFor } from '../../config/apps.ts';
import type { BindAddress, Config } from '../../config/config.ts';
import type { EdgeStatus, WorkerAddress } from '../../ipc/messages.ts';

/** Settings that processes were started with. Numbers rise with each reload. */
export interface Generation {
  readonly number: number;
  readonly config: Config;
  /** A worker of it was ready once: its later failures are retried, and never stop the program. */
  readonly proven: boolean;
}

/** What a worker last said of itself, and when (monotonic milliseconds). */
export interface Beat {
  readonly atMs: number;
  /** null = a program that can't count them. */
  readonly inFlight: number | null;
  readonly served: number | null;
  readonly rssBytes: number;
  /** The place where it has said since that it is stuck. */
  readonly stuckIn?: string;
}

/** An app and its slots. */
export interface AppState {
  readonly name: string;
  /** Workers wanted. */
  readonly desired: number;
  /** What its workers are started with; null = a reload has brought it, and no worker was ready yet. */
  readonly current: Generation | null;
}

interface WorkerBase {
  /** Never used again. */
  readonly id: number;
  /** Name of its app. */
  readonly app: string;
  /** 1 … workers of the app. */
  readonly slot: number;
  readonly generation: number;
  /** null until the process runs. */
  readonly pid: number | null;
  readonly bornAtMs: number;
}

// The life of a worker. Whatever the phase, it ends when its process has: then it is removed.
//
//                    ready            replaced or not       every edge said 'withdrawn',
//   spawn → booting ───────▶ serving ─────────────▶ withdrawing ─────────────▶ draining → exit
//              │                │     wanted          │   or withdrawMs over     │
//              │ boot deadline  │ no heartbeat        │ no heartbeat             │ killAtMs
//              └────────────────┴─────────────────────┴──────────▶ dying ◀───────┘ → exit
//
export type Worker = WorkerBase &
  (
    | { readonly phase: 'booting'; readonly deadlineMs: number }
    | {
        readonly phase: 'serving';
        readonly address: WorkerAddress;
        /** What it serves, in its own words. */
        readonly kind: string;
        readonly readyAtMs: number;
        readonly beat: Beat;
        /** Why it wants to be replaced; null = it does not. */
        readonly retiring: string | null;
      }
    | {
        readonly phase: 'withdrawing';
        readonly address: WorkerAddress;
        readonly beat: Beat;
        /** Edges that may still send to it. */
        readonly waiting: readonly number[];
        readonly deadlineMs: number;
        readonly leaves: Leaving;
      }
    | {
        readonly phase: 'draining';
        readonly beat: Beat | null;
        readonly killAtMs: number;
        readonly leaves: Leaving;
      }
    | Dying
  );

export type WorkerIn<Phase extends Worker['phase']> = Extract<Worker, { phase: Phase }>;

/** Replaced ones count against the surge; the others were too many or the program stops. */
export type Leaving = 'replaced' | 'surplus' | 'stopping';

/** It leaves by itself or a signal was sent; KILL follows (again) at killAtMs until it is gone. */
interface Dying {
  readonly phase: 'dying';
  readonly killAtMs: number;
}

interface EdgeBase {
  readonly id: number;
  /** 1 … edges. */
  readonly slot: number;
  readonly pid: number | null;
  readonly bornAtMs: number;
}

// The life of an edge:
//
//   spawn → booting ──started──▶ starting ──ready──▶ serving ──▶ draining → exit
//              │                    │                   │            │
//              └────────────────────┴───────────────────┴──▶ dying ◀─┘ → exit
//
export type Edge = EdgeBase &
  (
    | { readonly phase: 'booting'; readonly deadlineMs: number }
    /** Has been sent its configuration, sockets and workers. */
    | { readonly phase: 'starting'; readonly deadlineMs: number; readonly configured: number }
    | {
        readonly phase: 'serving';
        readonly beatAtMs: number;
        /** Number of the generation whose settings it was sent last. */
        readonly configured: number;
        /** Configurations sent and not answered yet. */
        readonly unanswered: number;
      }
    | { readonly phase: 'draining'; readonly killAtMs: number }
    | Dying
  );

export type EdgeIn<Phase extends Edge['phase']> = Extract<Edge, { phase: Phase }>;

/** A bound public socket. */
export interface PublicSocket {
  /** From the address as configured; keeps its meaning over reloads. */
  readonly key: string;
  /** As bound: host resolved, real port. */
  readonly address: BindAddress;
  readonly url: string;
}

/** The replacement of one app's workers. They never wait for those of another app, nor fail with them. */
export interface Roll {
  readonly app: string;
  readonly next: Generation;
  /** The first worker of the generation; the others follow when it is ready. */
  readonly pilot: number | null;
  /** How it ended: none = well; null = it is under way. */
  readonly problems: readonly string[] | null;
}

/** Who waits for the end of a reload. */
export interface ReloadAsk {
  /** The only app to reload; null = all. */
  readonly app: string | null;
  /** Control requests to answer. */
  readonly askIds: readonly number[];
  /** The number of workers goes back to the configured one (as with Gunicorn's HUP). */
  readonly resetsWorkers: boolean;
}

// A reload, step by step; whatever fails leaves the old generation as it was:
//
//   loading ─▶ binding ─▶ configuring ─▶ rolling ─▶ (done)
//
export type Reload = { readonly id: number; readonly ask: ReloadAsk } & (
  | { readonly step: 'loading'; readonly deadlineMs: number }
  | {
      readonly step: 'binding';
      readonly deadlineMs: number;
      readonly config: Config;
    }
  | {
      readonly step: 'configuring';
      readonly deadlineMs: number;
      readonly config: Config;
      readonly generation: number;
      readonly added: readonly PublicSocket[];
      readonly waiting: readonly number[];
    }
  | {
      readonly step: 'rolling';
      readonly deadlineMs: number;
      readonly generation: number;
      readonly config: Config;
      readonly added: readonly PublicSocket[];
      readonly rolls: readonly Roll[];
    }
);

export interface ReloadResult {
  readonly ok: boolean;
  readonly generation: number;
  readonly problems: readonly string[];
  readonly atMs: number;
}

export type Phase =
  /** Until one edge and one worker are ready. */
  | { readonly name: 'starting' }
  | { readonly name: 'running' }
  | {
      readonly name: 'stopping';
      readonly quick: boolean;
      /** Edges first: while requests are in flight, the workers must answer them. */
      readonly step: 'edges' | 'workers';
      /** The edges have been told that no worker is left. */
      readonly edgesAlone: boolean;
      readonly deadlineMs: number;
      readonly giveUpAtMs: number;
      readonly exitCode: number;
      readonly askIds: readonly number[];
    }
  | { readonly name: 'ended' };

/** Failures in a row of one slot ("worker app 2"); the next start waits until notBeforeMs. */
export interface Backoff {
  readonly seat: string;
  readonly failures: number;
  readonly failedAtMs: number;
  readonly notBeforeMs: number;
}

/** A status request that waits for the edges' numbers. */
export interface StatusAsk {
  readonly askId: number;
  readonly waiting: readonly number[];
  readonly edges: readonly { readonly edgeId: number; readonly status: EdgeStatus }[];
  readonly deadlineMs: number;
}

/** A purge that not all edges have answered; once for each thing that an edge is to forget. */
export interface PurgeAsk {
  readonly askId: number;
  readonly waiting: readonly number[];
  readonly responses: number;
  readonly deadlineMs: number;
}

/** What never changes while the arbiter runs. */
export interface Self {
  readonly pid: number;
  readonly version: string;
  readonly runtimeDir: string;
  /** A terminal sends WINCH whenever its window changes: there it means nothing. */
  readonly onTerminal: boolean;
}

export interface State {
  readonly self: Self;
  readonly phase: Phase;
  readonly startedAtMs: number;
  readonly lastTickMs: number;
  readonly nextId: number;
  readonly lastGeneration: number;
  /** The newest settings that serve. */
  readonly current: { readonly number: number; readonly config: Config };
  readonly apps: readonly AppState[];
  /** What the edges are told: the current settings, or those being rolled out. */
  readonly edgeConfig: { readonly number: number; readonly config: Config };
  readonly workers: readonly Worker[];
  readonly edges: readonly Edge[];
  readonly sockets: readonly PublicSocket[];
  readonly backoffs: readonly Backoff[];
  readonly restarts: number;
  readonly reload: Reload | null;
  /** Asked for while another reload was under way. */
  readonly again: ReloadAsk | null;
  readonly lastReload: ReloadResult | null;
  readonly statusAsks: readonly StatusAsk[];
  readonly purgeAsks: readonly PurgeAsk[];
}

/** The state at the start: sockets bound, nothing runs. */
export function initialState(options: {
  readonly config: Config;
  readonly sockets: readonly PublicSocket[];
  readonly self: Self;
  readonly now: number;
}): State {
  const { config, sockets, self, now } = options;
  return {
    self,
    phase: { name: 'starting' },
    startedAtMs: now,
    lastTickMs: now,
    nextId: 1,
    lastGeneration: 1,
    current: { number: 1, config },
    apps: appsOf(config).map((app) => ({
      name: app.name,
      desired: app.workers,
      current: { number: 1, config: configFor(config, app), proven: false },
    })),
    edgeConfig: { number: 1, config },
    workers: [],
    edges: [],
    sockets,
    backoffs: [],
    restarts: 0,
    reload: null,
    again: null,
    lastReload: null,
    statusAsks: [],
    purgeAsks: [],
  };
}
