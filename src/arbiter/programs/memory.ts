// The memory of a program and of the processes it has started (Linux; elsewhere it is not known).

import { readProcFile } from '../proc-file.ts';

/** A server with more processes than that is not counted to its end. */
const processesMax = 64;
const pageBytes = 4096;

/** Resident bytes of all of them; pages they share count for each. 0 = not known. */
export function treeRssBytes(pid: number): number {
  if (process.platform !== 'linux') return 0;
  const pids = [pid];
  let bytes = 0;
  // Grows while it is gone through.
  for (const one of pids) {
    const [, resident] = readProcFile(`/proc/${one}/statm`).split(' ');
    bytes += Number(resident ?? 0) * pageBytes;
    const children = readProcFile(`/proc/${one}/task/${one}/children`)
      .split(' ')
      .filter(Boolean)
      .map(Number);
    pids.push(...children.slice(0, processesMax - pids.length));
  }
  return bytes;
}
