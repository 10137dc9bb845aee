// Tells the arbiter that this worker's event loop turns.

import type { FromWorker } from '../ipc/messages.ts';
import type { Body } from './body.ts';

/** Three beats in each timeout, so that one that is late or two that are lost kill nobody; at
 *  least one a second, for the numbers that `portico status` shows. */
export function heartbeatIntervalMs(timeoutMs: number): number {
  return timeoutMs === 0 ? 1000 : Math.min(1000, timeoutMs / 3);
}

/** Beats until stopped. */
export function startHeartbeat(options: {
  readonly body: Body;
  readonly everyMs: number;
  readonly send: (message: FromWorker) => void;
}): { stop(): void } {
  const { body, send } = options;
  const beat = (): void => {
    if (!body.isAlive()) return;
    const { inFlight, served } = body.load();
    send({ type: 'heartbeat', inFlight, served, rssBytes: process.memoryUsage.rss() });
  };
  const timer = setInterval(beat, options.everyMs);
  return { stop: () => clearInterval(timer) };
}
