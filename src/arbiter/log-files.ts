// Log files that another user's processes write: the arbiter, as root, makes them and gives them away.

import {
  closeSync,
  constants,
  fchownSync,
  fstatSync,
  mkdirSync,
  openSync,
  readlinkSync,
} from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Config } from '../config/config.ts';
import type { Identity } from './identity.ts';
import { followTrusted } from './trusted-path.ts';

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
      // A pipe nobody reads: not made here, so not ours to give.
      if (code === 'ENXIO') continue;
      problems.push(`Cannot make ${file} the log file of user ${identity.uid}: ${message}`);
    }
  }
  return problems;
}

function give(path: string, { uid, gid }: Identity): void {
  // A directory on the way may belong to the unprivileged user, who would else have any file of root's
  // given to him by a link. So links are followed here, and only root's own.
  const real = followTrusted(path);
  if (real === null) return;
  mkdirSync(dirname(real), { recursive: true });
  // By its descriptor; a pipe must not be waited for.
  const flags = O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK;
  const fd = openSync(real, flags, 0o644);
  try {
    const stat = fstatSync(fd);
    // With a second name it may be another file, linked here.
    if (!stat.isFile() || stat.nlink !== 1) return;
    if (!isStill(fd, real)) throw new Error(`${real} has become a symbolic link meanwhile`);
    if (stat.uid !== uid || stat.gid !== gid) fchownSync(fd, uid, gid);
  } finally {
    closeSync(fd);
  }
}

/** Whether what was opened is what was found: a directory on the way may have been replaced by a link
 *  between the two. Linux alone can say; elsewhere only the last name is sure (O_NOFOLLOW). */
function isStill(fd: number, path: string): boolean {
  return process.platform !== 'linux' || readlinkSync(`/proc/self/fd/${fd}`) === path;
}
