// The worker process: loads the app, serves it over the link, leaves when it is told to.
//
//   started ─▶ booting ─▶ serving ─▶ leaving ─▶ exit 0
//                 └─ boot-failed ─▶ exit 3 or 4

import { basename } from 'node:path';
import { workerName } from '../config/apps.ts';
import type { Config } from '../config/config.ts';
import { channelFromWorker } from '../ipc/channel.ts';
import type { ToWorker, WorkerAssignment } from '../ipc/messages.ts';
import { type Log, openLog } from '../telemetry/log.ts';
import { setProcessTitle } from '../telemetry/process-title.ts';
import { type Body, startSingle } from './body.ts';
import { BootError, describeError } from './boot-error.ts';
import {
  cacheDirectory,
  enableCompileCache,
  enterEnvironment,
  flushCompileCache,
} from './environment.ts';
import { watchForHang } from './hang-watch.ts';
import { heartbeatIntervalMs, startHeartbeat } from './heartbeat.ts';
import { holdProcess, type StopSignal } from './process-hold.ts';
import { startThreads } from './threads.ts';

/** With the arbiter dead nobody admits a replacement: requests in flight get this long. */
const orphanDrainMs = 3_000;
/** For the app's SIGTERM listeners, after the last request. */
const appFarewellMs = 5_000;

type State =
  | { readonly phase: 'waiting' }
  | { readonly phase: 'booting'; readonly config: Config; readonly log: Log }
  | {
      readonly phase: 'serving';
      readonly config: Config;
      readonly log: Log;
      readonly body: Body;
      readonly heartbeat: { stop(): void };
    }
  | { readonly phase: 'leaving'; readonly log: Log; readonly appTold: boolean };

let state: State = { phase: 'waiting' };
let arbiterLives = true;
let retired = false;
let termAsked = false;
/** 'boot-failed' has been said, or must not be. */
let failed = false;

const hold = holdProcess({ onStop, onReopen: reopenLogs, onUncaught });
const channel = channelFromWorker({ onMessage, onGone });
// Handlers in first: from here on the arbiter may send anything, signals included.
channel.send({ type: 'started' });

function onMessage(message: ToWorker): void {
  switch (message.type) {
    case 'configure':
      if (state.phase === 'waiting') void boot(message.config, message.assignment);
      return;
    case 'drain':
      void leave(message.deadlineMs, 'asked by the arbiter');
      return;
    case 'reopen-logs':
      reopenLogs();
      return;
    default:
      unreachable(message);
  }
}

async function boot(config: Config, assignment: WorkerAssignment): Promise<void> {
  const role = workerName(assignment.app, assignment.slot);
  try {
    const log = openEventLog(config, role);
    state = { phase: 'booting', config, log };
    setProcessTitle(role, config.module === null ? '' : basename(config.module));
    enterEnvironment(config);
    if (config.preload) enableCompileCache(cacheDirectory(assignment, 'compile-cache'));
    // Before the app, which may hang while it loads. With threads it is those that hang.
    if (config.hangStack && config.workerClass !== 'threads' && channel.fd !== null)
      watchForHang({ timeoutMs: config.timeoutMs, channelFd: channel.fd, log });
    const start = config.workerClass === 'threads' ? startThreads : startSingle;
    const body = await start({
      config,
      assignment,
      log,
      keepAlive: channel,
      onRetire,
      onDeath,
    });
    // The app may have taken so long that this process was told to leave.
    if (state.phase !== 'booting') return;
    if (config.preload) flushCompileCache();
    const everyMs = heartbeatIntervalMs(config.timeoutMs);
    const heartbeat = startHeartbeat({ body, everyMs, send: channel.send });
    state = { phase: 'serving', config, log, body, heartbeat };
    // The last thing said: the edge sends requests from here on.
    const { sockets, protocol, app } = body;
    channel.send({ type: 'ready', sockets, protocol, app, retireAfter: 0 });
  } catch (error) {
    failBoot(error);
  }
}

function openEventLog(config: Config, role: string): Log {
  const { logLevel: level, logFormat: format, errorLogfile: file } = config;
  try {
    return openLog({ level, format, file, role });
  } catch (error) {
    throw new BootError(3, `Cannot open the event log ${file}: ${(error as Error).message}`);
  }
}

function failBoot(error: unknown): never {
  const known = error instanceof BootError;
  const reason = known ? error.message : describeError(error);
  const exitCode = known ? error.exitCode : 3;
  failed = true;
  channel.send({ type: 'boot-failed', exitCode, reason });
  process.exit(exitCode);
}

/** An app that ends the process while it loads is one that can't be loaded, whatever code it gives. */
process.on('exit', (code) => {
  if (state.phase !== 'booting' || failed) return;
  const reason = `The app ended the process (code ${code}) while it was loading.`;
  channel.send({ type: 'boot-failed', exitCode: 4, reason });
  process.exitCode = 4;
});

function onRetire(reason: string): void {
  if (retired) return;
  retired = true;
  channel.send({ type: 'retire', reason });
}

/** A thread died: its requests are lost already, those of the others need not be kept from a new process. */
function onDeath(reason: string): void {
  if (state.phase === 'booting') failBoot(new BootError(4, reason));
  process.exit(1);
}

/** A stop signal sent to this process, by hand or to the whole group. */
function onStop(signal: StopSignal): void {
  switch (signal) {
    case 'SIGTERM':
      onTerm();
      return;
    case 'SIGINT':
      // A terminal's Ctrl-C goes to the arbiter too, and it decides how its workers end.
      if (!arbiterLives) leaveNow('SIGINT');
      return;
    case 'SIGQUIT':
      leaveNow('SIGQUIT');
      return;
    default:
      unreachable(signal);
  }
}

/** systemd and Docker tell the whole group at once. A worker that drained by itself would refuse
 *  requests that the edge is still to finish; so it asks to be replaced and serves on: the arbiter
 *  sends the drain in its time. Who says it twice means it. */
function onTerm(): void {
  if (state.phase === 'serving' && arbiterLives && !termAsked) {
    termAsked = true;
    onRetire('SIGTERM');
  } else if (state.phase !== 'leaving') {
    void leave('config' in state ? state.config.gracefulTimeoutMs : 0, 'SIGTERM');
  } else if (state.appTold) {
    // Told that the end has come, an app may raise SIGTERM once more (NestJS does): it is done.
    process.exit(0);
  }
  // Else it drains already: the arbiter and whoever signals its group say the same thing twice.
}

/** The arbiter is gone, however it ended. */
function onGone(): void {
  arbiterLives = false;
  if (state.phase === 'leaving') {
    setTimeout(() => process.exit(0), orphanDrainMs);
    return;
  }
  const gracefulMs = 'config' in state ? state.config.gracefulTimeoutMs : 0;
  void leave(Math.min(gracefulMs, orphanDrainMs), 'the arbiter is gone');
}

async function leave(withinMs: number, why: string): Promise<void> {
  if (state.phase === 'leaving') {
    if (withinMs === 0) process.exit(0);
    return;
  }
  if (state.phase !== 'serving' || withinMs === 0) return leaveNow(why);
  const { body, heartbeat, log } = state;
  state = { phase: 'leaving', log, appTold: false };
  const endMs = performance.now() + withinMs;
  log.debug('draining', { why, withinMs });
  const cut = await body.drain(withinMs);
  if (cut > 0) log.warning(`cut ${cut} requests that did not end within ${withinMs} ms`);
  heartbeat.stop();
  sayFarewell(endMs - performance.now(), log);
}

/** The app's own cleanup: its SIGTERM listeners, called when nothing is in flight any more. The
 *  process ends when they end it, or when nothing keeps the event loop alive, or at the deadline. */
function sayFarewell(withinMs: number, log: Log): void {
  if (!hold.appListens() || withinMs <= 0) process.exit(0);
  state = { phase: 'leaving', log, appTold: true };
  channel.unref();
  process.once('beforeExit', () => process.exit(0));
  setTimeout(() => process.exit(0), Math.min(withinMs, appFarewellMs)).unref();
  hold.tellApp();
}

function leaveNow(why: string): void {
  if ('log' in state) state.log.debug('leaving now', { why });
  if (state.phase === 'serving') state.body.destroy();
  // Not a failed boot, should the app still be loading.
  failed = true;
  process.exit(0);
}

function onUncaught(error: unknown): void {
  if (state.phase === 'waiting') {
    process.stderr.write(`${describeError(error)}\n`);
    return;
  }
  // While the app loads its stray errors are its failure to load.
  if (state.phase === 'booting' && process.listenerCount('uncaughtException') === 0) {
    failBoot(new BootError(4, `Cannot load the app\n${describeError(error)}`));
  }
  state.log.critical('uncaught error in the app: this worker ends', { err: error });
}

function reopenLogs(): void {
  if ('log' in state) state.log.reopen();
  if (state.phase === 'serving') state.body.reopenLogs();
}

function unreachable(value: never): never {
  throw new Error(`not handled: ${String(value)}`);
}
