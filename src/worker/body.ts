// What serves in a worker process: one event loop, or several threads, seen alike by main.ts.

import { performance } from 'node:perf_hooks';
import type { Config } from '../config/config.ts';
import type { WorkerAssignment, WorkerProtocol } from '../ipc/messages.ts';
import type { Log } from '../telemetry/log.ts';
import type { Load } from './serve.ts';
import { startUnit } from './unit.ts';

export interface Body {
  /** What the app is, for the log. */
  readonly app: string;
  readonly sockets: readonly string[];
  readonly protocol: WorkerProtocol;
  load(): Load;
  /** False while a heartbeat would be a lie: the arbiter then ends the process after `timeout`. */
  isAlive(): boolean;
  /** Serves no new links, lets requests end, closes the app. Resolves to how many requests were cut. */
  drain(withinMs: number): Promise<number>;
  destroy(): void;
  reopenLogs(): void;
}

export interface BodyOptions {
  readonly config: Config;
  readonly assignment: WorkerAssignment;
  readonly log: Log;
  readonly keepAlive: { ref(): void; unref(): void };
  readonly onRetire: (reason: string) => void;
  /** What serves has died of an error it did not catch. */
  readonly onDeath: (reason: string) => void;
}

/** The app in this process's own event loop: worker classes async, sync and http. */
export async function startSingle(options: BodyOptions): Promise<Body> {
  const { config, assignment, log } = options;
  const socketPath = `${assignment.socketBase}.sock`;
  const unit = await startUnit({
    config,
    assignment,
    socketPath,
    log,
    keepAlive: options.keepAlive,
    onTaken: (taken) => {
      if (taken === assignment.maxRequests) options.onRetire(`served ${taken} requests`);
    },
    onAppClosed: () => options.onRetire('the app closed its server'),
  });
  return {
    app: unit.app,
    sockets: [socketPath],
    protocol: config.workerClass === 'http' ? 'http' : 'link',
    load: unit.load,
    // A sync worker of Gunicorn's doesn't notify its arbiter while it works on a request, and so
    // `timeout` limits the request: the same here, though this event loop is free to notify.
    isAlive() {
      const { inFlight, takenMs } = unit.load();
      if (config.workerClass !== 'sync' || config.timeoutMs === 0 || inFlight === 0) return true;
      return performance.now() - takenMs <= config.timeoutMs;
    },
    drain: unit.drain,
    destroy: unit.destroy,
    reopenLogs: () => {},
  };
}
