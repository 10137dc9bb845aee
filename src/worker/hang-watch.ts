// Has the event loop of this process watched by a thread, which can say where it hangs once it does.

import { startThread } from '../executable/self.ts';
import type { Log } from '../telemetry/log.ts';
import { looksPerTimeout } from './stuck-stack.ts';

/** What the thread is started with. */
export interface HangThreadData {
  /** Its first number grows as long as the event loop turns. */
  readonly turns: Int32Array;
  readonly timeoutMs: number;
  readonly channelFd: number;
}

/** Costs a thread with a JavaScript heap of its own, 6 to 11 MB; a blocked event loop can't start one. */
export function watchForHang(options: {
  readonly timeoutMs: number;
  readonly channelFd: number;
  readonly log: Log;
}): void {
  const { timeoutMs, channelFd } = options;
  if (timeoutMs === 0) return;
  const turns = new Int32Array(new SharedArrayBuffer(4));
  setInterval(
    () => Atomics.add(turns, 0, 1),
    Math.min(1000, timeoutMs / looksPerTimeout / 2),
  ).unref();
  const data: HangThreadData = { turns, timeoutMs, channelFd };
  const thread = startThread('hang-thread', {
    workerData: data,
    name: 'portico: hang watch',
    // Nothing that NODE_OPTIONS or the command line would load: it is not the app.
    env: {},
    execArgv: [],
  });
  thread.unref();
  // Out of memory, say. The worker serves all the same.
  thread.on('error', (error) => options.log.warning('nobody watches for hangs', { err: error }));
}
