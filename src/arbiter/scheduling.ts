// How Linux's scheduler treats workers: as batch tasks, which don't push a running process aside when they wake.
//
// A worker wakes for each batch of requests the edge hands it. A normal task may then take the edge's processor in
// the middle of its turn, so that turns get short, batches small and caches cold: 33 µs of CPU a request instead of
// 29, and a tenth fewer requests a second (docs/decisions.md, "Speed"). The share of time stays that of a normal task.

import { execFile } from 'node:child_process';
import { native } from '../native/native.ts';

const chrtTimeoutMs = 5_000;

/** chrt(1) of util-linux or BusyBox has been found missing. */
let isWithoutChrt = process.platform !== 'linux';

/** Makes the main thread of `pid` a SCHED_BATCH task, as are threads and processes it starts from then on (sched(7)).
 *  A system that does not have it or does not allow it keeps its normal tasks: nothing but speed hangs on it. */
export function scheduleAsBatch(pid: number): void {
  if (native?.scheduleAsBatch(pid) === 0 || isWithoutChrt) return;
  const args = ['-b', '-p', '0', String(pid)];
  execFile('chrt', args, { timeout: chrtTimeoutMs }, (error) => {
    if (error?.code === 'ENOENT') isWithoutChrt = true;
  });
}
