// The child processes: starts edges and workers as programs, and turns what they say and how they
// end into events. Knows no rules.

import { type ChildProcess, type SendHandle, spawn } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { workerName } from '../config/apps.ts';
import { isSecretName } from '../config/assignment.ts';
import { withoutSecrets } from '../config/certificate-files.ts';
import { type Config, isProgram } from '../config/config.ts';
import { selfCommand } from '../executable/self.ts';
import {
  type Channel,
  channelToEdge,
  channelToWorker,
  type EdgeChannel,
  workerChannelFd,
} from '../ipc/channel.ts';
import type { ToEdge, ToWorker, WorkerAssignment } from '../ipc/messages.ts';
import type { Event, Role } from './decide/events.ts';
import type { Identity } from './identity.ts';
import type { Server } from './programs/find-server.ts';
import { type Program, startProgram } from './programs/program.ts';
import { scheduleAsBatch } from './scheduling.ts';

export interface ChildrenOptions {
  /** The program that becomes an edge or a worker by PORTICO_ROLE; Portico's own where it is left out. */
  readonly program?: string | undefined;
  readonly identity: Identity | null;
  /** Where stdout of the children goes; inherited where it is left out. */
  readonly output?: 'stderr';
  /** What serves a Python app; null for other programs. It has been found before. */
  serverOf(config: Config): Server | null;
  onEvent(event: Event): void;
  /** Something odd that a person may want to know. */
  onNotice(text: string): void;
}

export interface Children {
  spawnEdge(id: number, slot: number): void;
  spawnWorker(config: Config, assignment: WorkerAssignment): void;
  tellEdge(id: number, message: ToEdge, handle?: SendHandle): void;
  tellWorker(id: number, message: ToWorker): void;
  kill(role: Role, id: number, signal: NodeJS.Signals): void;
  /** Lets go of processes that even KILL did not end. */
  abandon(): void;
}

/** Nearly all that an edge makes for a request is gone with it. V8's nurseries of 16 MB and, from Node 24 on,
 *  more hold that for longer than it is of use: 276 MB for an edge under HTTP/2 instead of 158. */
const edgeFlags = ['--max-semi-space-size=4'];

export function createChildren(options: ChildrenOptions): Children {
  const { program, identity, onEvent, onNotice } = options;
  const edges = new Map<number, { child: ChildProcess; channel: EdgeChannel }>();
  const workers = new Map<number, { child: ChildProcess; channel: Channel<ToWorker> }>();
  const programs = new Map<number, Program>();

  const ownEnvironment = withoutOwnSecrets(process.env);

  function start(role: Role, slot: number, config: Config | null): ChildProcess {
    const self = selfCommand({ flags: role === 'edge' ? edgeFlags : [], program });
    return spawn(self.file, self.args, {
      argv0: 'portico',
      // The app's directory and environment are the worker's alone: the edge runs nothing of the user's.
      ...(config === null ? {} : { cwd: config.chdir }),
      env: {
        ...ownEnvironment,
        ...self.env,
        ...(config === null ? {} : config.env),
        PORTICO_ROLE: role,
        PORTICO_SLOT: String(slot),
      },
      ...(identity === null ? {} : identity),
      // A worker's channel is descriptor 3: see ipc/channel.ts.
      stdio: [
        'ignore',
        options.output === 'stderr' ? 2 : 'inherit',
        'inherit',
        role === 'edge' ? 'ipc' : 'pipe',
      ],
      windowsHide: true,
    });
  }

  /** Exactly one 'exit' follows, also when the process could not be started. */
  function watch(role: Role, id: number, child: ChildProcess, forget: () => void): void {
    let isOver = false;
    const over = (code: number | null, signal: string | null, failure: string | null): void => {
      if (isOver) return;
      isOver = true;
      forget();
      onEvent({ kind: 'exit', role, id, code, signal, failure });
    };
    child.once('exit', (code, signal) => over(code, signal, null));
    child.on('error', (error) => {
      // Also emitted when a signal or a message could not be sent: then the process still runs.
      if (child.pid === undefined) over(null, null, `it cannot be started: ${error.message}`);
    });
    if (child.pid !== undefined) onEvent({ kind: 'spawned', role, id, pid: child.pid });
  }

  return {
    spawnEdge(id, slot) {
      const child = startOrFail('edge', id, () => start('edge', slot, null));
      if (child === null) return;
      const channel = channelToEdge(child, (message) =>
        onEvent({ kind: 'edge-says', id, message }),
      );
      edges.set(id, { child, channel });
      watch('edge', id, child, () => edges.delete(id));
    },
    spawnWorker(config, assignment) {
      const { id, slot } = assignment;
      if (isProgram(config.workerClass)) return spawnProgram(config, assignment);
      const child = startOrFail('worker', id, () => start('worker', slot, config));
      if (child === null) return;
      if (config.workerScheduling === 'batch' && child.pid !== undefined)
        scheduleAsBatch(child.pid);
      const channel = channelToWorker(child.stdio[workerChannelFd] as Duplex, {
        onMessage: (message) => onEvent({ kind: 'worker-says', id, message }),
        onNoise: (what) =>
          onNotice(
            `${workerName(assignment.app, slot)} (pid ${child.pid}) said ${what} on its channel: ignored`,
          ),
      });
      workers.set(id, { child, channel });
      watch('worker', id, child, () => {
        channel.close();
        workers.delete(id);
      });
      channel.send({ type: 'configure', config: withoutSecrets(config), assignment });
    },
    tellEdge(id, message, handle) {
      const channel = edges.get(id)?.channel;
      if (handle === undefined) channel?.send(message);
      else channel?.sendHandle(message, handle);
    },
    tellWorker: (id, message) =>
      programs.has(id) ? programs.get(id)?.tell(message) : workers.get(id)?.channel.send(message),
    kill(role, id, signal) {
      const program = role === 'worker' ? programs.get(id) : undefined;
      if (program !== undefined) return program.kill(signal);
      const child = (role === 'edge' ? edges : workers).get(id)?.child;
      // A process that could not be started has pid 0 inside libuv until its 'error' is out:
      // kill() would reach the whole process group, ourselves and our parent's among them.
      if (child?.pid !== undefined) child.kill(signal);
    },
    abandon() {
      for (const program of programs.values()) program.abandon();
      for (const { child, channel } of [...edges.values(), ...workers.values()]) {
        channel.close();
        child.unref();
      }
    },
  };

  function spawnProgram(config: Config, assignment: WorkerAssignment): void {
    const { id } = assignment;
    let isOver = false;
    const program = startProgram({
      ...{ config, assignment, identity, env: ownEnvironment },
      server: options.serverOf(config),
      stdout: options.output === 'stderr' ? process.stderr : process.stdout,
      onSpawned(pid) {
        if (config.workerScheduling === 'batch') scheduleAsBatch(pid);
        onEvent({ kind: 'spawned', role: 'worker', id, pid });
      },
      onMessage: (message) => onEvent({ kind: 'worker-says', id, message }),
      onExit(code, signal, failure) {
        isOver = true;
        programs.delete(id);
        onEvent({ kind: 'exit', role: 'worker', id, code, signal, failure });
      },
    });
    if (!isOver) programs.set(id, program);
  }

  function startOrFail(role: Role, id: number, make: () => ChildProcess): ChildProcess | null {
    try {
      return make();
    } catch (cause) {
      // Bad values (a NUL in the environment) are thrown; what the system refuses is an event.
      const failure = `it cannot be started: ${cause instanceof Error ? cause.message : cause}`;
      onEvent({ kind: 'exit', role, id, code: null, signal: null, failure });
      return null;
    }
  }
}

/** The passphrase of a key is for the arbiter alone. */
function withoutOwnSecrets(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(env).filter(([name, value]) => {
      if (name === 'PORTICO_CMD_ARGS') return !isSecretName(value ?? '');
      return !name.startsWith('PORTICO_') || !isSecretName(name);
    }),
  );
}
