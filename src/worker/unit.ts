// One event loop that serves the app: the worker's main thread, or one of its threads.

import cluster from 'node:cluster';
import type { Config } from '../config/config.ts';
import type { WorkerAssignment } from '../ipc/messages.ts';
import { useNative } from '../native/native.ts';
import type { Log } from '../telemetry/log.ts';
import type { App } from './adapt-app.ts';
import { BootError } from './boot-error.ts';
import { createDispatch } from './dispatch.ts';
import { cacheDirectory } from './environment.ts';
import { findApp } from './find-app.ts';
import { captureListen } from './listen-capture.ts';
import { createPlainHttp } from './plain-http.ts';
import { type Load, type Serving, serve } from './serve.ts';
import { createHttpCount, serveHttp } from './serve-http.ts';

/** What an app may take to close after its last request, however much of the deadline is left. */
const closeMsMax = 5_000;

export interface UnitOptions {
  readonly config: Config;
  readonly assignment: WorkerAssignment;
  readonly socketPath: string;
  readonly log: Log;
  /** The channel that keeps the event loop alive, whatever the app does. */
  readonly keepAlive: { ref(): void; unref(): void };
  readonly onTaken: (taken: number) => void;
  /** The app has closed its server: it wants to be replaced. */
  readonly onAppClosed: () => void;
}

export interface Unit {
  readonly app: string;
  load(): Load;
  /** Sockets closed, requests done or cut, the app's own close() done. Resolves to the cut ones. */
  drain(withinMs: number): Promise<number>;
  destroy(): void;
}

/** Loads the app and listens; rejects with a BootError. */
export async function startUnit(options: UnitOptions): Promise<Unit> {
  const { config, assignment, log } = options;
  useNative(config.nativeIo);
  const capture = captureListen({ bind: config.bind, log });
  cluster.once('fork', () => {
    log.warning(
      'the app forks a node:cluster of its own: its processes are not served; take that out, the workers of Portico are in its place',
    );
  });
  let idleReason = new BootError(
    4,
    `${config.module} does not finish loading: it awaits something that never comes.`,
  );
  const found = findApp({
    config,
    capture,
    cacheDir: cacheDirectory(assignment, 'jiti'),
    log,
    onWaiting: (reason) => {
      idleReason = reason;
    },
  });
  const app = await unlessIdle(found, options.keepAlive, () => idleReason);
  capture.serve(app.server, options.onAppClosed);
  const { socketPath, onTaken } = options;
  const { handle, answer } = createDispatch(app.server, log);
  let serving: Serving;
  if (config.workerClass === 'http') {
    const count = createHttpCount(answer, onTaken);
    const plain = createPlainHttp(app.server, count.answer, log);
    serving = await serveHttp({ socketPath, plain, count, log });
  } else {
    const plain = createPlainHttp(app.server, answer, log);
    serving = await serve({ socketPath, handle, plain, log, onTaken });
  }
  return {
    app: app.kind,
    load: serving.load,
    async drain(withinMs) {
      const endMs = performance.now() + withinMs;
      const cut = await serving.drain(withinMs);
      capture.finish();
      await closeApp(app, Math.min(endMs - performance.now(), closeMsMax), log);
      return cut;
    },
    destroy: serving.destroy,
  };
}

/** Rejects when the event loop has nothing left to do before `work` is done: then it never will
 *  be. Node ends such a process; here the channel would keep it waiting for good. */
async function unlessIdle<T>(
  work: Promise<T>,
  keepAlive: { ref(): void; unref(): void },
  reason: () => BootError,
): Promise<T> {
  let onIdle: () => void = () => {};
  const idle = new Promise<never>((_, reject) => {
    onIdle = () => {
      keepAlive.ref();
      reject(reason());
    };
  });
  process.once('beforeExit', onIdle);
  keepAlive.unref();
  try {
    return await Promise.race([work, idle]);
  } finally {
    keepAlive.ref();
    process.off('beforeExit', onIdle);
  }
}

async function closeApp(app: App, withinMs: number, log: Log): Promise<void> {
  if (app.close === null || withinMs <= 0) return;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(() => {
      log.warning('the app did not close in time');
      resolve();
    }, withinMs);
  });
  try {
    await Promise.race([app.close(), late]);
  } catch (error) {
    log.error('the app failed to close', { err: error });
  } finally {
    clearTimeout(timer);
  }
}
