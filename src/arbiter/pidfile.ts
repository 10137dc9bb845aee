// The pidfile: written whole or not at all, never over a running instance's, removed only if it is ours.

import { linkSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';

export type Written = { readonly ok: true } | { readonly ok: false; readonly problem: string };

/** Writes this process's id. A pidfile whose process is gone is replaced. */
export function writePidfile(path: string): Written {
  const draft = `${path}.${process.pid}`;
  try {
    writeFileSync(draft, `${process.pid}\n`, { mode: 0o644 });
    // Two starts at once: link() fails for one of them, where a rename would not.
    for (let tries = 0; tries < 3; tries += 1) {
      if (tryLink(draft, path)) return { ok: true };
      const pid = readPid(path);
      // Our own number is a container's former life: its first process always gets the same one.
      if (pid !== null && pid !== process.pid && isAlive(pid)) {
        return { ok: false, problem: `Already running with pid ${pid} (pidfile ${path})` };
      }
      remove(path);
    }
    return { ok: false, problem: `Cannot write the pidfile ${path}: another start is under way` };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    return { ok: false, problem: `Cannot write the pidfile ${path}: ${reason}` };
  } finally {
    remove(draft);
  }
}

export function removePidfile(path: string): void {
  if (readPid(path) === process.pid) remove(path);
}

/** Whether a process with the number exists, be it another user's. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw cause;
  }
}

function readPid(path: string): number | null {
  try {
    const pid = Number(readFileSync(path, 'utf8').trim());
    return Number.isSafeInteger(pid) && pid > 0 ? pid : null;
  } catch {
    return null;
  }
}

function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Not there.
  }
}
