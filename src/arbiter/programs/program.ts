// One program in a worker's place: started, supervised and ended, its life told as that of a worker.
//
//   starting ─▶ booting ──its socket takes a connection──▶ ready ─▶ leaving (TERM) ─▶ exit
//                  └──────────────── exit: boot-failed ────────────────┘

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { workerName } from '../../config/apps.ts';
import type { Config } from '../../config/config.ts';
import type { FromWorker, ToWorker, WorkerAssignment } from '../../ipc/messages.ts';
import type { Identity } from '../identity.ts';
import type { Server } from './find-server.ts';
import { treeRssBytes } from './memory.ts';
import { createLastLines, mergeOutput } from './output.ts';
import { accepts, freePort, isThere } from './probe.ts';
import { commandRecipe, type Place, pythonRecipe, type Recipe, wantsPort } from './recipe.ts';

export interface ProgramOptions {
  readonly config: Config;
  readonly assignment: WorkerAssignment;
  readonly identity: Identity | null;
  /** Of a Python app. */
  readonly server: Server | null;
  readonly env: NodeJS.ProcessEnv;
  /** Where its standard output goes. */
  readonly stdout: Writable;
  readonly onSpawned: (pid: number) => void;
  readonly onMessage: (message: FromWorker) => void;
  /** Once, also where it could not be started. */
  readonly onExit: (code: number | null, signal: string | null, failure: string | null) => void;
}

export interface Program {
  tell(message: ToWorker): void;
  /** Reaches all its processes. */
  kill(signal: NodeJS.Signals): void;
  /** Lets go of it: it is told to end. */
  abandon(): void;
}

const pollFirstMs = 10;
const pollMaxMs = 200;
const beatMs = 1_000;
/** A connection costs a sleeping Python a wake-up: not with each beat. */
const probeMs = { min: 1_000, max: 10_000 };
const lastOutputMs = 500;
const shell = '/bin/sh';

/** The program takes the place of the shell, so its pid, signals and exit code are its own. Beside it the shell
 *  leaves a process of itself (1 MB) that reads the lifeline, and ends the program when the arbiter is gone
 *  without having said so: an orphan would hold the app's memory and connections for good. */
const wrapper = [
  'umask "$1"; shift',
  '( exec >/dev/null 2>&1; read -r _ <&3 || { kill -TERM $$; sleep 3; kill -KILL -$$; } ) &',
  'exec 3<&-',
  'exec "$@"',
].join('\n');

export function startProgram(options: ProgramOptions): Program {
  const program = new Running(options);
  void program.start();
  return program;
}

class Running implements Program {
  private readonly options: ProgramOptions;
  private readonly lastLines = createLastLines();
  private readonly base: string;
  private child: ChildProcess | null = null;
  private recipe: Recipe | null = null;
  private phase: 'starting' | 'booting' | 'ready' | 'leaving' | 'over' = 'starting';
  private isListening = true;
  private readonly timers = new Set<NodeJS.Timeout>();

  constructor(options: ProgramOptions) {
    this.options = options;
    this.base = options.assignment.socketBase;
  }

  async start(): Promise<void> {
    const { config, server } = this.options;
    try {
      const place: Place = wantsPort(config)
        ? { kind: 'tcp', port: await freePort() }
        : { kind: 'unix', path: `${this.base}.sock` };
      // Killed meanwhile.
      if (this.phase !== 'starting') return;
      this.recipe =
        server === null
          ? commandRecipe(config, place)
          : pythonRecipe({ config, server, base: this.base });
      this.run(this.recipe);
      void this.becomeReady(place, this.recipe);
    } catch (cause) {
      this.over(
        null,
        null,
        `it cannot be started: ${cause instanceof Error ? cause.message : cause}`,
      );
    }
  }

  private run(recipe: Recipe): void {
    const { config, identity, env, onSpawned, stdout } = this.options;
    const { file, program, args } = recipe;
    // wx: never a file or link that somebody else put there. It is the app's user who reads it.
    if (file !== null) writeFileSync(file.path, file.content, { flag: 'wx', mode: 0o644 });
    const { app, slot } = this.options.assignment;
    const hasShell = existsSync(shell);
    const umask = config.umask.toString(8).padStart(4, '0');
    const whole = hasShell ? ['-c', wrapper, 'portico', umask, program, ...args] : args;
    const child = spawn(hasShell ? shell : program, whole, {
      cwd: config.chdir,
      env: {
        ...env,
        ...config.env,
        ...recipe.env,
        PORTICO_SLOT: String(slot),
        PYTHONUNBUFFERED: '1',
      },
      ...(identity === null ? {} : identity),
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      // A group of its own: a terminal's Ctrl-C is for the arbiter, and KILL reaches all its processes.
      detached: true,
      windowsHide: true,
    });
    this.child = child;
    this.phase = 'booting';
    child.once('exit', (code, signal) => {
      this.killGroup();
      const end = (): void => this.over(code, signal, null);
      // When what it printed has been read too. A process that has left the group may hold the pipe.
      child.once('close', end);
      this.timers.add(setTimeout(end, lastOutputMs));
    });
    child.on('error', (error) => {
      if (child.pid === undefined) this.over(null, null, `it cannot be started: ${error.message}`);
    });
    if (child.pid === undefined) return;
    const pid = child.pid;
    const { logFormat: format } = config;
    const onLine = this.lastLines.add;
    const common = { format, role: workerName(app, slot), pid, onLine };
    mergeOutput({ ...common, from: child.stdout!, to: stdout });
    mergeOutput({ ...common, from: child.stderr!, to: process.stderr });
    child.stdio[3]?.on('error', () => {});
    onSpawned(pid);
  }

  private async becomeReady(place: Place, recipe: Recipe): Promise<void> {
    for (
      let waitMs = pollFirstMs;
      this.phase === 'booting';
      waitMs = Math.min(2 * waitMs, pollMaxMs)
    ) {
      const listens = await accepts(place);
      if (listens && (recipe.readyFile === null || (await isThere(recipe.readyFile)))) break;
      await new Promise((done) => this.timers.add(setTimeout(done, waitMs)));
    }
    if (this.phase !== 'booting') return;
    const keeps = recipe.keptFile !== null && (await isThere(recipe.keptFile));
    if (this.phase !== 'booting') return;
    this.phase = 'ready';
    const protocol = keeps ? 'http-kept' : 'http';
    const socket = place.kind === 'unix' ? place.path : `127.0.0.1:${place.port}`;
    this.beat(place);
    const { onMessage } = this.options;
    onMessage({
      ...{ type: 'ready', sockets: [socket], protocol, app: recipe.title },
      retireAfter: this.options.assignment.maxRequests,
    });
  }

  /** It beats while its socket takes connections: more can't be seen from outside. */
  private beat(place: Place): void {
    const { config, onMessage } = this.options;
    const { timeoutMs } = config;
    const pid = this.child?.pid ?? 0;
    const say = (): void => {
      if (!this.isListening) return;
      onMessage({ type: 'heartbeat', inFlight: null, served: null, rssBytes: treeRssBytes(pid) });
    };
    this.timers.add(setInterval(say, Math.min(beatMs, timeoutMs === 0 ? beatMs : timeoutMs / 3)));
    if (timeoutMs === 0) return;
    const everyMs = Math.min(probeMs.max, Math.max(probeMs.min, timeoutMs / 3));
    const look = async (): Promise<void> => {
      this.isListening = await accepts(place);
    };
    this.timers.add(setInterval(() => void look(), everyMs));
  }

  tell(message: ToWorker): void {
    if (message.type !== 'drain' || this.phase === 'over') return;
    const { deadlineMs } = message;
    this.phase = 'leaving';
    this.kill(deadlineMs === 0 ? 'SIGKILL' : 'SIGTERM');
    if (deadlineMs > 0) this.timers.add(setTimeout(() => this.kill('SIGKILL'), deadlineMs));
  }

  kill(signal: NodeJS.Signals): void {
    const { child } = this;
    if (child?.pid === undefined) {
      // Not started yet: it never will be.
      if (this.phase === 'starting') this.over(null, signal, null);
      return;
    }
    if (signal === 'SIGKILL') this.killGroup();
    else child.kill(signal);
  }

  abandon(): void {
    for (const stream of this.child?.stdio ?? []) stream?.destroy();
    this.child?.unref();
    this.clearTimers();
  }

  /** What a program has started ends with it. */
  private killGroup(): void {
    const pid = this.child?.pid;
    if (pid === undefined || this.phase === 'over') return;
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {
      // All of it has ended.
    }
  }

  private over(code: number | null, signal: string | null, failure: string | null): void {
    if (this.phase === 'over') return;
    const { config, onMessage, onExit } = this.options;
    const isBooting = this.phase === 'booting' && failure === null;
    this.phase = 'over';
    this.clearTimers();
    for (const ending of ['sock', 'ready', 'kept', 'py'])
      rmSync(`${this.base}.${ending}`, { force: true });
    this.child?.stdio[3]?.destroy();
    if (isBooting) {
      const reason = [this.describe(code, signal), this.lastLines.text()];
      // Portico gave a Python server its arguments: what fails then is the app.
      const exitCode = config.workerClass === 'command' || signal !== null ? 3 : 4;
      onMessage({ type: 'boot-failed', exitCode, reason: reason.join('\n').trimEnd() });
    }
    onExit(code, signal, failure);
  }

  private describe(code: number | null, signal: string | null): string {
    const title = this.recipe?.title ?? '';
    // So says the shell; the second also of a name that is nowhere, if it may not enter a directory of PATH.
    if (code === 127) return `There is no program ${title}`;
    if (code === 126) return `There is no program ${title} that may be run`;
    const how = signal === null ? `exit code ${code}` : `signal ${signal}`;
    return `${title} ended before it served: ${how}`;
  }

  private clearTimers(): void {
    for (const timer of this.timers) clearTimeout(timer);
    this.timers.clear();
  }
}
