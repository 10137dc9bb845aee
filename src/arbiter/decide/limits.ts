// How long the arbiter waits for what, and how many at a time. Pure arithmetic over the settings.

import type { Config } from '../../config/config.ts';

/** Deadlines are looked at this often. */
export const tickMs = 250;
/** Reading the config file anew: it is a program, and may hang. */
export const loadMs = 60_000;
/** Resolving and binding added addresses. */
export const bindMs = 30_000;
/** An edge starts in 100 ms; a minute is for a machine that swaps. */
export const edgeBootMs = 60_000;
/** An edge puts new settings to work: it opens log files and reads directories. */
export const configureMs = 30_000;
/** An edge stops sending to a worker: one message each way. */
export const withdrawMs = 10_000;
/** Between a first signal and KILL, and between one KILL and the next. */
export const killAgainMs = 1_000;
/** INT and QUIT: what children have to write their last log lines. */
export const quickStopMs = 2_000;
/** Beyond gracefulTimeout before KILL: a child keeps the deadline itself, and may come a little late. */
export const drainGraceMs = 2_000;
/** Workers drain after the edges have gone: nothing is in flight, but the app's own clean-up. */
export const workerDrainMinMs = 1_000;
/** A boot that failed has said so: the process leaves by itself in this time. */
export const bootFailedExitMs = 5_000;
/** Numbers for `status` from a healthy edge come in a millisecond. */
export const statusMs = 1_000;
/** A process that not even KILL ended (blocked in the kernel): the arbiter leaves without it. */
export const giveUpMs = 10_000;
/** The arbiter itself stood still (SIGSTOP, a paused machine): silence in that time says nothing. */
export const pauseMs = 500;
/** A process that lived so long starts with a clean record. */
export const livedLongMs = 10_000;

/** A worker may take as long to boot as `timeout`, and a minute in any case: frameworks that build
 *  at start take tens of seconds. With timeout 0 (off) five minutes, since nothing waits for ever. */
export function bootMs(config: Config): number {
  return config.timeoutMs === 0 ? 300_000 : Math.max(config.timeoutMs, 60_000);
}

/** Silence after which a worker is taken for hung; Infinity = never. */
export function workerHungMs(config: Config): number {
  return config.timeoutMs === 0 ? Number.POSITIVE_INFINITY : config.timeoutMs;
}

/** An edge runs no user code and carries every connection: it is given up late. */
export function edgeHungMs(config: Config): number {
  return config.timeoutMs === 0 ? Number.POSITIVE_INFINITY : Math.max(config.timeoutMs, 30_000);
}

/** Replacements under way at a time: a quarter of the pool. Memory grows by no more than that, and
 *  a reload takes four rounds, however many workers there are. */
export function surge(workers: number): number {
  return Math.max(1, Math.ceil(workers / 4));
}

/** Longest time a roll may take: the pilot, then four rounds, each boot + withdraw + drain. */
export function rollMs(config: Config): number {
  const round = bootMs(config) + withdrawMs + config.gracefulTimeoutMs + drainGraceMs + killAgainMs;
  return 5 * round;
}

/** Wait before the next start after so many failures in a row: none after the first. */
export function backoffMs(role: 'edge' | 'worker', failures: number): number {
  if (failures <= 1) return 0;
  // All requests stop without an edge; one that fails costs a start of 50 ms.
  const [first, most] = role === 'edge' ? [100, 5_000] : [500, 30_000];
  return Math.min(most, first * 2 ** Math.min(failures - 2, 20));
}

/** Settings that need a restart, because a running process can't change them. */
export const fixedSettings = [
  'user',
  'group',
  'umask',
  'pid',
  'runtimeDir',
  'backlog',
  'reload',
] as const satisfies readonly (keyof Config)[];
