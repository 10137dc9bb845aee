// What `portico status`, `reload`, `stop` and `scale` say to the arbiter, and hear: one JSON line each way.

import type { EdgeStatus, Purge } from '../../ipc/messages.ts';

/** Most workers that `scale` may ask for. */
export const workersMax = 1024;
/** A request is one short line; longer is refused. A purge may name URLs of some kilobytes. */
export const requestBytesMax = 64 * 1024;
/** What one purge may name. */
export const purgesMax = 100;
/** The answer to `status` has a few hundred bytes a worker. */
export const replyBytesMax = 4 * 1024 * 1024;

/** `app` names one of several; without it a reload is for all, `scale` for the first. */
export type Request =
  | { readonly command: 'status' }
  /** Answered when the new generation serves, or when it failed. */
  | { readonly command: 'reload'; readonly app?: string }
  /** Answered when all children have ended. */
  | { readonly command: 'stop' }
  | { readonly command: 'scale'; readonly app?: string; readonly workers: number }
  /** Answered when every edge has forgotten what is named. */
  | { readonly command: 'purge'; readonly purges: readonly Purge[] };

export type Reply =
  | { readonly ok: true; readonly command: 'status'; readonly status: Status }
  | { readonly ok: true; readonly command: 'reload'; readonly generation: number }
  /** The arbiter itself, `pid`, leaves right after. */
  | { readonly ok: true; readonly command: 'stop'; readonly pid: number }
  | { readonly ok: true; readonly command: 'scale'; readonly workers: number }
  | { readonly ok: true; readonly command: 'purge'; readonly responses: number }
  | { readonly ok: false; readonly problems: readonly string[] };

/** How the whole stands. Durations and ages in milliseconds. */
export interface Status {
  readonly arbiter: {
    readonly pid: number;
    readonly version: string;
    readonly uptimeMs: number;
    readonly phase: 'starting' | 'running' | 'stopping';
    readonly generation: number;
    /** Workers wanted; differs from the configured number after TTIN, TTOU, WINCH and scale. */
    readonly workersWanted: number;
    /** Processes started in place of ones that had failed. */
    readonly restarts: number;
    readonly app: string | null;
    readonly workerClass: string;
    readonly runtimeDir: string;
    /** The step a reload has come to; null = none is under way. */
    readonly reloading: 'loading' | 'binding' | 'configuring' | 'rolling' | null;
    readonly lastReload: {
      readonly ok: boolean;
      readonly generation: number;
      readonly problems: readonly string[];
      readonly agoMs: number;
    } | null;
  };
  readonly apps: readonly AppReport[];
  readonly binds: readonly { readonly url: string }[];
  readonly edges: readonly {
    readonly slot: number;
    readonly id: number;
    readonly pid: number | null;
    readonly phase: 'booting' | 'starting' | 'serving' | 'draining' | 'dying';
    readonly uptimeMs: number;
    /** null when the edge did not answer in time. */
    readonly status: EdgeStatus | null;
  }[];
  readonly workers: readonly WorkerReport[];
}

export interface AppReport {
  readonly name: string;
  /** As it was named, "main:app". */
  readonly module: string | null;
  readonly workerClass: string;
  /** null = it never served. */
  readonly generation: number | null;
  readonly workersWanted: number;
}

export interface WorkerReport {
  readonly app: string;
  readonly slot: number;
  readonly id: number;
  readonly pid: number | null;
  readonly generation: number;
  readonly phase: 'booting' | 'serving' | 'withdrawing' | 'draining' | 'dying';
  readonly uptimeMs: number;
  /** null before the worker is ready. */
  readonly inFlight: number | null;
  readonly served: number | null;
  readonly rssBytes: number | null;
  /** Failures in a row of the slot. */
  readonly failures: number;
}

/** The request in a line a client sent, or null when it is none. */
export function checkRequest(value: unknown): Request | null {
  if (typeof value !== 'object' || value === null) return null;
  const { command, app, workers, purges } = value as Readonly<Record<string, unknown>>;
  if (app !== undefined && typeof app !== 'string') return null;
  const named = app === undefined ? {} : { app };
  switch (command) {
    case 'status':
    case 'stop':
      return { command };
    case 'reload':
      return { command, ...named };
    case 'scale':
      return Number.isInteger(workers) &&
        (workers as number) >= 1 &&
        (workers as number) <= workersMax
        ? { command, ...named, workers: workers as number }
        : null;
    case 'purge':
      return Array.isArray(purges) &&
        purges.length > 0 &&
        purges.length <= purgesMax &&
        purges.every(isPurge)
        ? { command, purges }
        : null;
    default:
      return null;
  }
}

function isPurge(value: unknown): value is Purge {
  if (typeof value !== 'object' || value === null) return false;
  const { kind, url, tag } = value as Readonly<Record<string, unknown>>;
  if (kind === 'url') return typeof url === 'string';
  if (kind === 'tag') return typeof tag === 'string';
  return kind === 'all';
}

/** The reply in a line the arbiter sent, or null. The socket is the user's own: shape on the surface only. */
export function checkReply(value: unknown): Reply | null {
  if (typeof value !== 'object' || value === null) return null;
  const reply = value as { ok?: unknown; command?: unknown; problems?: unknown };
  if (reply.ok === true && typeof reply.command === 'string') return value as Reply;
  if (reply.ok === false && Array.isArray(reply.problems)) {
    return { ok: false, problems: reply.problems.map(String) };
  }
  return null;
}
