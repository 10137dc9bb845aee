// Log files that another user's processes write: the arbiter, as root, makes them and gives them away.

import { closeSync, constants, fchownSync, fstatSync, mkdirSync, openSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Config } from '../config/config.ts';
import type { Identity } from './identity.ts';

const { O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_WRONLY } = constants;

/** Makes the log files that are missing, and gives them to whom edges and workers run as. Returns
 *  what could not be done, for a person to read. */
export function giveLogFiles(
  config: Pick<Config, 'accessLogfile' | 'errorLogfile'>,
  identity: Identity | null,
): string[] {
  if (identity === null) return [];
  const problems: string[] = [];
  for (const file of new Set([config.errorLogfile, config.accessLogfile])) {
    if (file === null || file === '-') continue;
    try {
      give(resolve(file), identity);
    } catch (cause) {
      const { code, message } = cause as NodeJS.ErrnoException;
      // A symbolic link (/dev/stdout is one), or a pipe nobody reads: not made here, so not ours to give.
      if (code === 'ELOOP' || code === 'ENXIO') continue;
      problems.push(`Cannot make ${file} the log file of user ${identity.uid}: ${message}`);
    }
  }
  return problems;
}

function give(path: string, { uid, gid }: Identity): void {
  mkdirSync(dirname(path), { recursive: true });
  // By its descriptor, and never through a link: the directory may belong to the unprivileged user,
  // who would else have any file of root's given to him. A pipe must not be waited for.
  const flags = O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK;
  const fd = openSync(path, flags, 0o644);
  try {
    const stat = fstatSync(fd);
    // With a second name it may be another file, linked here.
    if (!stat.isFile() || stat.nlink !== 1) return;
    if (stat.uid !== uid || stat.gid !== gid) fchownSync(fd, uid, gid);
  } finally {
    closeSync(fd);
  }
}
