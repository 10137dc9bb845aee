// The arbiter: binds, starts, supervises and ends everything. One loop takes one event at a time;
// decide says what is to be done, act does it.

import { join, resolve } from 'node:path';
import { appsOf, configFor } from '../config/apps.ts';
import { type Config, topApp } from '../config/config.ts';
import { type Log, openLog } from '../telemetry/log.ts';
import { setProcessTitle } from '../telemetry/process-title.ts';
import { giveAcmeStorage } from './acme-storage.ts';
import { act, bindAll, type World } from './act.ts';
import {
  type CertificateKeeper,
  type CertificateObserver,
  createCertificateKeeper,
} from './certificates.ts';
import { createChildren } from './children.ts';
import { type ControlServer, openControlServer } from './control/server.ts';
import type { ArbiterSignal, Event, LoadResult } from './decide/events.ts';
import { tickMs } from './decide/limits.ts';
import { keyed } from './decide/reload.ts';
import { serviceState } from './decide/service-state.ts';
import { initialState, type PublicSocket } from './decide/state.ts';
import { decide } from './decide.ts';
import { type Identity, resolveIdentity } from './identity.ts';
import { takeListenFds } from './listen-fds.ts';
import { giveLogFiles } from './log-files.ts';
import { type Notifier, openNotifier } from './notify.ts';
import { reapOrphans } from './orphans.ts';
import { removePidfile, writePidfile } from './pidfile.ts';
import { createServers, type Servers } from './programs/servers.ts';
import { prepareRuntimeDir } from './runtime-dir.ts';
import type { BoundSocket } from './sockets.ts';
import { TICKET_KEY_MS, TicketKeys } from './ticket-keys.ts';
import { watchFiles } from './watch.ts';

export interface ArbiterOptions {
  readonly config: Config;
  /** Reads the settings anew, in a process of its own: a config file is user code. */
  readonly loadConfig: () => Promise<LoadResult>;
  readonly version: string;
  /** What edges and workers are started from; the program's own entry where it is left out. */
  readonly program?: string;
}

const signals: readonly ArbiterSignal[] = [
  'SIGHUP',
  'SIGTERM',
  'SIGINT',
  'SIGQUIT',
  'SIGTTIN',
  'SIGTTOU',
  'SIGUSR1',
  'SIGUSR2',
  'SIGWINCH',
];

/** Events that came before the loop runs are taken up to this many; nobody sends more signals. */
const earlyEventsMax = 1000;

/** What the start has made and the end takes away, newest first. */
type Undo = (() => void)[];

/** Runs until everything has ended; resolves to the exit code. */
export async function runArbiter(options: ArbiterOptions): Promise<number> {
  const undo: Undo = [];
  const early: Event[] = [];
  let onEvent = (event: Event): void => {
    if (early.length < earlyEventsMax) early.push(event);
  };
  // First of all: until there are handlers, USR1 opens Node's debugger and HUP ends the program.
  for (const signal of signals) {
    const onSignal = (): void => onEvent({ kind: 'signal', signal });
    process.on(signal, onSignal);
    undo.push(() => process.off(signal, onSignal));
  }
  const log = openArbiterLog(options.config);
  if (log === null) return 1;
  const fds = takeListenFds(process.env, process.pid);
  const notifier = openNotifier({
    env: process.env,
    pid: process.pid,
    onProblem: (text) => log.warning(text),
  });
  undo.push(() => notifier?.close());
  const orphans = reapOrphans();
  undo.push(() => orphans?.close());
  try {
    const placed = fds.place(options.config);
    if (!placed.ok) {
      for (const problem of placed.problems) log.critical(problem);
      return 1;
    }
    const settled: ArbiterOptions = {
      ...options,
      config: placed.config,
      async loadConfig() {
        const loaded = await options.loadConfig();
        return loaded.ok ? fds.place(loaded.config) : loaded;
      },
    };
    const started = await prepare(settled, undo, log);
    if (typeof started === 'number') return started;
    return await new Promise<number>((done, failed) => {
      onEvent = runLoop({ options: settled, started, notifier, undo, log, done, failed });
      for (const event of early) onEvent(event);
      onEvent({ kind: 'start' });
    });
  } finally {
    for (const step of undo.reverse()) step();
    log.info('Shutting down: arbiter');
  }
}

interface LoopOptions {
  readonly options: ArbiterOptions;
  readonly started: Started;
  readonly notifier: Notifier | null;
  readonly undo: Undo;
  readonly log: Log;
  readonly done: (code: number) => void;
  readonly failed: (cause: unknown) => void;
}

/** Sets the loop up. The function returned takes an event, at once or after the one under way. */
function runLoop({ options, started, notifier, undo, log: firstLog, done, failed }: LoopOptions) {
  const { runtimeDir, identity, sockets, certificates, servers } = started;
  const { config, version } = options;
  let log = firstLog;
  let adopted = config;
  let state = initialState({
    config,
    sockets: started.publicSockets,
    self: { pid: process.pid, version, runtimeDir, onTerminal: onTerminal() },
    now: performance.now(),
  });
  const queue: Event[] = [];
  let isBusy = false;
  const onEvent = (event: Event): void => {
    queue.push(event);
    // An action may cause an event at once (a process was started): it waits for its turn.
    if (isBusy) return;
    isBusy = true;
    try {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        const decision = decide(state, next, performance.now());
        state = decision.state;
        for (const action of decision.actions) act(world, action);
      }
      notifier?.update(serviceState(state));
    } catch (cause) {
      // A fault of ours. The children leave when the channels close.
      log.critical('A fault in the arbiter', { cause });
      failed(cause);
    } finally {
      isBusy = false;
    }
  };
  const children = createChildren({
    program: options.program,
    identity,
    serverOf: (of) => servers.of(of),
    onEvent,
    onNotice: (text) => log.warning(text),
  });
  undo.push(() => children.abandon());
  let control: ControlServer | null = null;
  let isOver = false;
  undo.push(() => {
    isOver = true;
    control?.close();
  });
  const giveFiles = (of: Config): void => {
    for (const problem of [...giveLogFiles(of, identity), ...giveAcmeStorage(of, identity)])
      log.warning(problem);
  };
  giveFiles(config);
  const ticketKeys = new TicketKeys();
  const observer: CertificateObserver = {
    onChange: () => onEvent({ kind: 'certificates-changed' }),
    onNotice: (level, text) => log[level](text),
  };
  certificates.adopt(config, observer);
  const world: World = {
    runtimeDir,
    children,
    sockets,
    ticketKeys,
    certificates,
    control: () => control,
    log: () => log,
    adopt(next) {
      const same = (['errorLogfile', 'logLevel', 'logFormat'] as const).every(
        (name) => next[name] === adopted[name],
      );
      if (!same) log = openArbiterLog(next) ?? log;
      adopted = next;
      certificates.adopt(next, observer);
    },
    reopenLogs() {
      giveFiles(adopted);
      log.reopen();
    },
    async loadConfig() {
      const result = await options.loadConfig();
      if (!result.ok) return result;
      const { problems: faults, warnings } = await certificates.load(result.config);
      const problems = [...faults];
      const missing = await servers.find(result.config, identity);
      if (missing !== null) problems.push(missing);
      if (problems.length > 0) return { ok: false, problems };
      for (const warning of warnings) log.warning(warning);
      // Before the edges open them.
      giveFiles(result.config);
      return result;
    },
    random: Math.random,
    onEvent,
    onExit: done,
  };
  const path = join(runtimeDir, 'control.sock');
  openControlServer(path, (askId, request) => onEvent({ kind: 'ask', askId, request })).then(
    (server) => {
      control = server;
      if (isOver) server.close();
    },
    (cause) => log.warning(`No control socket, so no status, reload and stop: ${cause}`),
  );
  const ticker = setInterval(() => onEvent({ kind: 'tick' }), tickMs);
  undo.push(() => clearInterval(ticker));
  const keyTimer = setInterval(() => {
    ticketKeys.rotate();
    if (!adopted.bind.some(({ tls }) => tls)) return;
    for (const { id } of state.edges)
      children.tellEdge(id, { type: 'ticket-keys', keys: ticketKeys.keys });
  }, TICKET_KEY_MS);
  undo.push(() => clearInterval(keyTimer));
  if (config.reload) undo.push(watchApp(config, runtimeDir, onEvent, log));
  return onEvent;
}

interface Started {
  readonly runtimeDir: string;
  readonly identity: Identity | null;
  readonly sockets: Map<string, BoundSocket>;
  readonly certificates: CertificateKeeper;
  readonly servers: Servers;
  readonly publicSockets: readonly PublicSocket[];
}

/** Makes what the processes need. Sockets first: a port in use is the most common way to fail. */
async function prepare(options: ArbiterOptions, undo: Undo, log: Log): Promise<Started | number> {
  const { config, version } = options;
  const refuse = (problems: readonly string[], exitCode = 1): number => {
    for (const problem of problems) log.critical(problem);
    return exitCode;
  };
  setProcessTitle('arbiter');
  log.info(`Starting portico ${version}`);
  const identity = resolveIdentity(config);
  if (!identity.ok) return refuse([identity.problem]);
  const servers = createServers();
  const missing = await servers.find(config, identity.identity);
  if (missing !== null) return refuse([missing], 3);
  const sockets = new Map<string, BoundSocket>();
  undo.push(() => {
    for (const socket of sockets.values()) socket.close();
  });
  const bound = await bindAll(sockets, keyed(config.bind), config);
  if (!bound.ok) return refuse(bound.problems);
  const certificates = createCertificateKeeper();
  undo.push(() => certificates.close());
  const { problems, warnings } = await certificates.load(config);
  if (problems.length > 0) return refuse(problems);
  for (const warning of warnings) log.warning(warning);
  const runtimeDir = await prepareRuntimeDir(config.runtimeDir, identity.identity);
  if (!runtimeDir.ok) return refuse([runtimeDir.problem]);
  undo.push(() => runtimeDir.remove());
  if (config.pid !== null) {
    const path = resolve(config.pid);
    const written = writePidfile(path);
    if (!written.ok) return refuse([written.problem]);
    undo.push(() => removePidfile(path));
  }
  for (const app of appsOf(config)) {
    const whose = app.name === topApp ? '' : ` of ${app.name}`;
    log.info(`Using worker${whose}: ${workerText(configFor(config, app), servers)}`);
  }
  return {
    runtimeDir: runtimeDir.path,
    identity: identity.identity,
    sockets,
    certificates,
    servers,
    publicSockets: bound.sockets,
  };
}

/** "async", "asgi: uvicorn 0.17.6 of /usr/bin/python3". */
function workerText(config: Config, servers: Servers): string {
  const server = servers.of(config);
  if (server === null) return config.workerClass;
  const { name, version, python } = server;
  return `${config.workerClass}: ${name}${version === '' ? '' : ` ${version}`} of ${python}`;
}

function openArbiterLog(config: Config): Log | null {
  const { logLevel: level, logFormat: format, errorLogfile: file } = config;
  const role = 'arbiter';
  try {
    return openLog({ level, format, file, role });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    openLog({ level, format, file: '-', role }).critical(`Cannot open the error log: ${reason}`);
    return null;
  }
}

function watchApp(
  config: Config,
  runtimeDir: string,
  onEvent: (event: Event) => void,
  log: Log,
): () => void {
  const files = [config.accessLogfile, config.errorLogfile, config.pid];
  return watchFiles({
    dir: config.chdir,
    ignored: [runtimeDir, ...files.filter((file) => file !== null).map((file) => resolve(file))],
    onChange: (path) => onEvent({ kind: 'files-changed', path }),
    onProblem: (text) => log.warning(text),
  });
}

/** Whether a person's terminal is attached, whose window may change its size. */
function onTerminal(): boolean {
  return [process.stdin, process.stdout, process.stderr].some((stream) => stream.isTTY === true);
}
