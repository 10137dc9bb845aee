// Tells systemd how the service is (sd_notify(3)): ready, reloading, stopping, a line of status, and the watchdog's sign.
//
// The protocol is a datagram to a Unix socket, which Node cannot send: systemd's own systemd-notify(1) does, from a
// child, so the unit needs NotifyAccess=all. It takes 5 ms of CPU, a few times in the life of the service and once in
// half of WatchdogSec. Packages that bind sd_notify are native code for one version of Node each.

import { execFile } from 'node:child_process';
import type { ServiceState } from './decide/service-state.ts';

export interface Notifier {
  /** Call after each change; what has been said already is not said again. */
  update(state: ServiceState): void;
  close(): void;
}

export interface NotifyOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly pid: number;
  /** Why the service manager hears nothing; once. */
  onProblem(text: string): void;
}

/** It waits until systemd has read the message. */
const sendMs = 5_000;
/** A systemd that reads nothing: the oldest are given up. */
const waitingMax = 16;
const statusCharsMax = 200;

/** Reads the variables, and removes them: what the app says to systemd would count as ours. Null = nobody listens. */
export function openNotifier({ env, pid, onProblem }: NotifyOptions): Notifier | null {
  const { NOTIFY_SOCKET: socket, PATH: path = '/usr/bin:/bin' } = env;
  const watchdogMs = watchdogOf(env, pid);
  for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete env[name];
  if (socket === undefined || !/^[/@]/.test(socket)) return null;
  const waiting: string[][] = [];
  let isSending = false;
  let said: ServiceState | null = null;
  let isTold = false;

  const send = (message: string[]): void => {
    waiting.push(message);
    if (waiting.length > waitingMax) waiting.shift();
    if (!isSending) sendNext();
  };
  const sendNext = (): void => {
    const message = waiting.shift();
    isSending = message !== undefined;
    if (message === undefined) return;
    const options = { env: { NOTIFY_SOCKET: socket, PATH: path }, timeout: sendMs } as const;
    execFile('systemd-notify', message, { ...options, killSignal: 'SIGKILL' }, (error) => {
      if (error === null) return sendNext();
      const why = (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'not found' : error.message;
      if (!isTold)
        onProblem(`Cannot tell systemd how the service is, by systemd-notify: ${why.trim()}`);
      isTold = true;
      // Without the program nothing will ever be heard; a message that failed is only one.
      if (why === 'not found') close();
      else sendNext();
    });
  };
  const watchdog =
    watchdogMs === null ? undefined : setInterval(() => beat(), watchdogMs / 2).unref();
  const beat = (): void => {
    // One that waits already will do.
    if (!waiting.some(([first]) => first === 'WATCHDOG=1')) send(['WATCHDOG=1']);
  };
  const close = (): void => {
    clearInterval(watchdog);
    waiting.length = 0;
    isSending = true;
  };
  return {
    update(state) {
      const words = sentences(said, state);
      said = state;
      if (words.length > 0) send(words);
    },
    close,
  };
}

/** What is to be said of a change: variables of sd_notify(3). */
function sentences(before: ServiceState | null, now: ServiceState): string[] {
  const status = `STATUS=${now.status.replaceAll(/\s+/g, ' ').slice(0, statusCharsMax)}`;
  if (before?.phase === now.phase) return before.status === now.status ? [] : [status];
  switch (now.phase) {
    case 'starting':
      return [status];
    case 'serving':
      return ['READY=1', status];
    case 'reloading':
      // By CLOCK_MONOTONIC, which is what Node's hrtime reads: systemd tells this reload from one before.
      return ['RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`, status];
    case 'stopping':
      return ['STOPPING=1', status];
    default:
      throw new Error(`unknown phase ${JSON.stringify(now.phase satisfies never)}`);
  }
}

/** WatchdogSec= of the unit, if it means this process. */
function watchdogOf(env: NodeJS.ProcessEnv, pid: number): number | null {
  const { WATCHDOG_USEC: usec = '', WATCHDOG_PID: meant } = env;
  if (!/^\d{1,15}$/.test(usec) || Number(usec) === 0) return null;
  if (meant !== undefined && Number(meant) !== pid) return null;
  // setInterval takes no more than 31 bits.
  return Math.min(Number(usec) / 1000, 2 ** 31 - 1);
}
