// Opens what was located, and reads it whole: what is read is what was checked, or nothing.

import {
  close,
  constants,
  existsSync,
  fstatSync,
  lstatSync,
  open,
  read,
  readlinkSync,
  realpathSync,
  type Stats,
} from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type LocatedFile, sameStats } from './representation.ts';

const openFile = promisify(open);
const readFile = promisify(read);

/** Not so in a chroot without it. */
const hasProc = process.platform === 'linux' && existsSync('/proc/self/fd');

/** No link is followed any more, and a FIFO that has taken the place of the file is not waited for. */
const FLAGS = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

/** The descriptor of this very file, unchanged since it was located; null: it is another by now, or
 *  gone. Throws what opening throws otherwise (EACCES, EMFILE). The caller closes it. */
export async function openChecked(file: LocatedFile): Promise<number | null> {
  let fd: number;
  try {
    fd = await openFile(join(file.root, file.path), FLAGS);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP' || code === 'ENXIO')
      return null;
    throw error;
  }
  try {
    if (isUnchanged(fstatSync(fd), file) && isWhereItWas(fd, join(file.root, file.path))) return fd;
  } catch {
    // As good as gone.
  }
  closeFile(fd);
  return null;
}

/** Whether what is open has this very path: before it was looked at, a directory on the way may have become
 *  a link that leads out of the root. Linux says so of the descriptor itself, 2 µs; elsewhere the name
 *  is asked once more. */
function isWhereItWas(fd: number, path: string): boolean {
  if (hasProc) return readlinkSync(`/proc/self/fd/${fd}`) === path;
  const [byName, open] = [lstatSync(path), fstatSync(fd)];
  return realpathSync(path) === path && byName.ino === open.ino && byName.dev === open.dev;
}

/** The content, all from one descriptor; null when it changed in the meantime. */
export async function readChecked(file: LocatedFile): Promise<Buffer | null> {
  const fd = await openChecked(file);
  if (fd === null) return null;
  try {
    const { size } = file.stats;
    // Not of the pool: a slice would keep 8 KB alive for each small file.
    const content = Buffer.allocUnsafeSlow(size);
    for (let at = 0; at < size; ) {
      const { bytesRead } = await readFile(fd, content, at, size - at, at);
      if (bytesRead === 0) return null;
      at += bytesRead;
    }
    // Written to while it was read: it may be half of one and half of the other.
    return isUnchanged(fstatSync(fd), file) ? content : null;
  } finally {
    closeFile(fd);
  }
}

/** Whether what is open is still what was located. */
function isUnchanged(stats: Stats, file: LocatedFile): boolean {
  return stats.isFile() && sameStats(stats, file.stats);
}

/** isUnchanged() of a descriptor: a file that is written to in place stays the same file. */
export function isStillUnchanged(fd: number, file: LocatedFile): boolean {
  try {
    return isUnchanged(fstatSync(fd), file);
  } catch {
    // A network file system that has lost the file.
    return false;
  }
}

/** In place of a descriptor where none is needed. */
export const NO_FILE = -1;

/** Nothing hangs on how it ends: nothing was written. */
export function closeFile(fd: number): void {
  if (fd !== NO_FILE) close(fd, () => {});
}
