// A thread beside the app's event loop: when that stands still it asks it where, and tells the arbiter.

import { writeSync } from 'node:fs';
import { Session } from 'node:inspector';
import { workerData } from 'node:worker_threads';
import type { FromWorker } from '../ipc/messages.ts';
import type { HangThreadData } from './hang-watch.ts';
import { type Inspected, looksMax, looksPerTimeout, readStuckStack } from './stuck-stack.ts';

const { turns, timeoutMs, channelFd } = workerData as HangThreadData;
const everyMs = Math.ceil(timeoutMs / looksPerTimeout);

/** The channel is full only while the arbiter does not read: it is not waited for long. */
const writesMax = 100;
const pauseMs = 10;

let seen = -1;
let looks = 0;

setInterval(() => {
  const now = Atomics.load(turns, 0);
  if (now !== seen) looks = 0;
  seen = now;
  if (++looks === looksMax) void explain();
}, everyMs);

async function explain(): Promise<void> {
  const session = new Session();
  session.connectToMainThread();
  const inspected: Inspected = {
    post: (method) => session.post(method),
    onEvent: (listener) =>
      session.on('inspectorNotification', ({ method, params }) => listener(method, params)),
  };
  const stack = await readStuckStack(inspected, timeoutMs);
  session.disconnect();
  // Not stuck, only late on a busy machine.
  if (Atomics.load(turns, 0) !== seen) return;
  say({ type: 'stuck', silentMs: looksMax * everyMs, stack: stack ?? '' });
}

/** The main thread writes to the channel when its event loop turns, and so not now. */
function say(message: FromWorker): void {
  const line = Buffer.from(`${JSON.stringify(message)}\n`);
  const sleeper = new Int32Array(new SharedArrayBuffer(4));
  let at = 0;
  for (let writes = 0; at < line.length && writes < writesMax; writes++) {
    try {
      at += writeSync(channelFd, line, at);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return;
      Atomics.wait(sleeper, 0, 0, pauseMs);
    }
  }
}
