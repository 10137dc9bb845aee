// A pool and the requests it forwards, for tests that play client and worker.

import { afterEach } from 'node:test';
import { Forward, type ForwardSettings } from '../../src/edge/balancer/forward.ts';
import { Pool, type PoolSettings } from '../../src/edge/balancer/pool.ts';
import { failure } from '../../src/errors/failure.ts';
import type { WorkerProtocol } from '../../src/ipc/messages.ts';
import type { Log } from '../../src/telemetry/log.ts';
import { ScriptedExchange, type ScriptedOptions } from './scripted-exchange.ts';
import { ScriptedLink, type ScriptedStream } from './scripted-link.ts';
import { workerAddress } from './worker-address.ts';

const quiet: Log = {
  trace() {},
  debug() {},
  info() {},
  warning() {},
  error() {},
  critical() {},
  reopen() {},
};

const pools: Pool[] = [];
afterEach(() => {
  for (const pool of pools.splice(0)) pool.destroy(failure('SHUTTING_DOWN'));
});

/** A pool, with client and workers played by the test. */
export class PoolBench {
  readonly links: ScriptedLink[] = [];
  readonly pool: Pool;
  settings: ForwardSettings = { responseTimeoutMs: 0, spool: false, responseSteps: [] };

  constructor(settings: Partial<PoolSettings> = {}) {
    this.pool = new Pool({
      settings: { queueSize: 10, queueTimeoutMs: 60_000, ...settings },
      connect: (options) => {
        const link = new ScriptedLink(options);
        this.links.push(link);
        return link;
      },
      log: quiet,
    });
    pools.push(this.pool);
  }

  /** Admits a worker whose links are up. */
  admit(id: number, capacity = 100, sockets = 1, protocol: WorkerProtocol = 'link'): void {
    const before = this.links.length;
    const paths = Array.from({ length: sockets }, (_, index) => `/run/${id}-${index}.sock`);
    this.pool.admit(workerAddress({ id, sockets: paths, capacity, protocol }));
    for (const link of this.links.slice(before)) link.up();
  }

  send(options: ScriptedOptions = {}): ScriptedExchange {
    const exchange = new ScriptedExchange(options);
    new Forward(exchange, exchange.request, this.pool, this.settings).run();
    return exchange;
  }

  /** The streams of all links, in the order of the links. */
  get streams(): ScriptedStream[] {
    return this.links.flatMap((link) => link.streams);
  }
}
