// The apps' pools: each app has its workers and its queue, and none waits for another's.

import { appsOf } from '../config/apps.ts';
import { type Config, topApp } from '../config/config.ts';
import type { Failure } from '../errors/failure.ts';
import type { EdgeStatus, WorkerAddress } from '../ipc/messages.ts';
import type { Log } from '../telemetry/log.ts';
import { Pool } from './balancer/pool.ts';
import { connectWorker } from './upstream/worker-link.ts';

export class Pools {
  private config: Config;
  private readonly log: Log;
  /** Those of apps that are in the settings no more stay: what they have in flight ends. */
  private readonly byApp = new Map<string, Pool>();

  constructor(config: Config, log: Log) {
    this.config = config;
    this.log = log;
  }

  of(app: string): Pool {
    const known = this.byApp.get(app);
    if (known !== undefined) return known;
    const pool = new Pool({ settings: this.config, connect: connectWorker, log: this.log });
    this.byApp.set(app, pool);
    return pool;
  }

  configure(config: Config): void {
    this.config = config;
    for (const pool of this.byApp.values()) pool.settings = config;
  }

  admit(worker: WorkerAddress): void {
    this.of(worker.app).admit(worker);
  }

  withdraw(workerId: number, onWithdrawn: () => void): void {
    for (const pool of this.byApp.values()) {
      if (!pool.withdraw(workerId)) continue;
      pool.whenIdle(workerId, onWithdrawn);
      return;
    }
    onWithdrawn();
  }

  gone(workerId: number): void {
    for (const pool of this.byApp.values()) pool.gone(workerId);
  }

  refuse(reason: Failure): void {
    for (const pool of this.byApp.values()) pool.refuse(reason);
  }

  spent(): ReturnType<Pool['spent']> {
    return [...this.byApp.values()].flatMap((pool) => pool.spent(this.config.edges));
  }

  get queued(): number {
    return [...this.byApp.values()].reduce((sum, pool) => sum + pool.queued, 0);
  }

  /** Of the app that has the fewest: the whole is ready when each is, and without apps at once. */
  get workersReady(): number {
    return Math.min(...appsOf(this.config).map(({ name }) => this.of(name).workersReady));
  }

  status(): EdgeStatus['workers'] {
    return [...this.byApp.values()].flatMap((pool) => pool.status());
  }
}

/** The app that requests go to which no route takes. */
export function firstApp(config: Config): string {
  return appsOf(config)[0]?.name ?? topApp;
}
