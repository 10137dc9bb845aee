// Worker class "threads": the app in N worker_threads, each with an event loop and a socket of its
// own. The main thread serves nothing; it speaks with the arbiter for all of them.

import type { Worker } from 'node:worker_threads';
import type { Config } from '../config/config.ts';
import { startThread } from '../executable/self.ts';
import type { WorkerAssignment } from '../ipc/messages.ts';
import type { Body, BodyOptions } from './body.ts';
import { BootError, type BootExitCode, describeError } from './boot-error.ts';
import { heartbeatIntervalMs } from './heartbeat.ts';
import type { Load } from './serve.ts';

/** What a thread is started with. */
export interface ThreadData {
  readonly config: Config;
  readonly assignment: WorkerAssignment;
  /** 1 … threads. */
  readonly index: number;
  readonly socketPath: string;
}

export type FromThread =
  | { readonly type: 'ready'; readonly app: string }
  | { readonly type: 'boot-failed'; readonly exitCode: BootExitCode; readonly reason: string }
  | { readonly type: 'beat'; readonly load: Load }
  | { readonly type: 'retire'; readonly reason: string }
  /** The answer to 'drain'; the thread ends after it. */
  | { readonly type: 'drained'; readonly cut: number };

export type ToThread =
  | { readonly type: 'drain'; readonly withinMs: number }
  | { readonly type: 'reopen-logs' };

interface Thread {
  readonly index: number;
  readonly worker: Worker;
  readonly socketPath: string;
  load: Load;
  beatMs: number;
  app: string;
  onDrained: (cut: number) => void;
}

/** Resolves when every thread is ready; rejects with the first one's BootError. */
export async function startThreads(options: BodyOptions): Promise<Body> {
  const { config, assignment } = options;
  const threads: Thread[] = [];
  let draining = false;
  const hooks: ThreadHooks = {
    onBeat: () => {
      const taken = threads.reduce(
        (sum, { load }) => sum + load.served + load.inFlight + load.upgraded,
        0,
      );
      if (assignment.maxRequests > 0 && taken >= assignment.maxRequests) {
        options.onRetire(`served ${taken} requests`);
      }
    },
    onRetire: options.onRetire,
    onDeath: (reason) => {
      if (!draining) {
        options.log.critical(reason);
        options.onDeath(reason);
      }
    },
  };
  const ready = Array.from({ length: config.threads }, (_, at) => {
    const index = at + 1;
    const socketPath = `${assignment.socketBase}-${index}.sock`;
    return runThread({ config, assignment, index, socketPath }, threads, hooks);
  });
  await Promise.all(ready);

  // Two intervals: a thread's beat and this thread's look at it are not in step.
  const beatMsMax = 2 * heartbeatIntervalMs(config.timeoutMs) + 50;
  const send = (message: ToThread): void => {
    for (const { worker } of threads) worker.postMessage(message);
  };
  return {
    app: threads[0]?.app ?? '',
    sockets: threads.map(({ socketPath }) => socketPath),
    protocol: 'link',
    load: () => sumLoads(threads),
    // One thread that hangs is a worker that hangs.
    isAlive: () => threads.every(({ beatMs }) => performance.now() - beatMs <= beatMsMax),
    async drain(withinMs) {
      draining = true;
      const drained = threads.map(
        (thread) =>
          new Promise<number>((resolve) => {
            thread.onDrained = resolve;
            // A thread that hangs doesn't answer: what it has in flight is cut with the process.
            setTimeout(
              () => resolve(thread.load.inFlight + thread.load.upgraded),
              withinMs + 500,
            ).unref();
          }),
      );
      send({ type: 'drain', withinMs });
      const cuts = await Promise.all(drained);
      return cuts.reduce((sum, cut) => sum + cut, 0);
    },
    destroy() {
      draining = true;
    },
    reopenLogs: () => send({ type: 'reopen-logs' }),
  };
}

interface ThreadHooks {
  onBeat(): void;
  onRetire(reason: string): void;
  onDeath(reason: string): void;
}

function runThread(data: ThreadData, threads: Thread[], hooks: ThreadHooks): Promise<void> {
  const worker = startThread('thread', {
    workerData: data,
    name: `worker ${data.assignment.slot} thread ${data.index}`,
  });
  const thread: Thread = {
    index: data.index,
    worker,
    socketPath: data.socketPath,
    load: { inFlight: 0, upgraded: 0, served: 0, takenMs: 0 },
    beatMs: 0,
    app: '',
    onDrained: () => {},
  };
  threads.push(thread);
  return new Promise((resolve, reject) => {
    const onMessage = (message: FromThread): void => {
      switch (message.type) {
        case 'ready':
          thread.app = message.app;
          thread.beatMs = performance.now();
          resolve();
          break;
        case 'boot-failed':
          reject(new BootError(message.exitCode, message.reason));
          break;
        case 'beat':
          thread.load = message.load;
          thread.beatMs = performance.now();
          hooks.onBeat();
          break;
        case 'retire':
          hooks.onRetire(message.reason);
          break;
        case 'drained':
          thread.onDrained(message.cut);
          break;
        default:
          unreachable(message);
      }
    };
    worker.on('message', onMessage);
    // The error of a thread comes before its exit.
    let cause = '';
    worker.on('error', (error) => {
      cause = `\n${describeError(error)}`;
    });
    worker.on('exit', (code) => {
      hooks.onDeath(`thread ${data.index} ended with code ${code}, and the worker with it${cause}`);
    });
  });
}

function sumLoads(threads: readonly Thread[]): Load {
  return threads.reduce(
    (sum, { load }) => ({
      inFlight: sum.inFlight + load.inFlight,
      upgraded: sum.upgraded + load.upgraded,
      served: sum.served + load.served,
      takenMs: Math.max(sum.takenMs, load.takenMs),
    }),
    { inFlight: 0, upgraded: 0, served: 0, takenMs: 0 },
  );
}

function unreachable(value: never): never {
  throw new Error(`not handled: ${String(value)}`);
}
