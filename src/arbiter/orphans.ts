// As process 1 of a container: waits for the processes that others have left behind, which else stay as zombies.
//
// The kernel gives a process whose parent has ended to process 1. Node waits for the processes it has started, by their
// numbers, and for no others. Which zombie is whose Node does not say; but its own are gone a turn after they ended.

import { readdirSync } from 'node:fs';
import { native } from '../native/native.ts';
import { readProcFile } from './proc-file.ts';

/** Between two looks: many turns of the event loop, and what ends meanwhile is seen in one look. */
const lookMs = 200;

/** Null where there is nothing to do, or no way to: another process is number 1. */
export function reapOrphans(isFirst = process.pid === 1): { close(): void } | null {
  const kernel = native;
  if (!isFirst || kernel === null) return null;
  let timer: NodeJS.Timeout | null = null;
  let seen = new Set<number>();
  const look = (): void => {
    const now = zombiesOf(process.pid);
    // Seen twice: nobody else waits for it.
    for (const pid of now) if (seen.has(pid) && kernel.waitFor(pid) === pid) now.delete(pid);
    seen = now;
    timer = now.size > 0 ? setTimeout(look, lookMs) : null;
  };
  const onChild = (): void => {
    timer ??= setTimeout(look, lookMs);
  };
  process.on('SIGCHLD', onChild);
  // What ended before.
  onChild();
  return {
    close() {
      process.off('SIGCHLD', onChild);
      if (timer !== null) clearTimeout(timer);
    },
  };
}

/** Ended children of `parent` that nobody has waited for. */
function zombiesOf(parent: number): Set<number> {
  const found = new Set<number>();
  for (const name of processes()) {
    if (!/^\d+$/.test(name)) continue;
    const [state, parentPid] = stateOf(name);
    if (state === 'Z' && Number(parentPid) === parent) found.add(Number(name));
  }
  return found;
}

function processes(): string[] {
  try {
    return readdirSync('/proc');
  } catch {
    // Not mounted, or no descriptor is left: no reason to end, with all the children.
    return [];
  }
}

/** Fields 3 and 4 of /proc/PID/stat, proc_pid_stat(5); the name before may hold anything. */
function stateOf(pid: string): string[] {
  const stat = readProcFile(`/proc/${pid}/stat`);
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ', 2);
}
