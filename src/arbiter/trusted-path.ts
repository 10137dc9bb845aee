// Where a path leads, following only symbolic links that nobody but root could have put there.

import { lstatSync, readlinkSync, type Stats } from 'node:fs';
import { dirname, join } from 'node:path';

/** What Linux follows as well before it says ELOOP (path_resolution(7)). */
const linksMax = 40;

/** The path without links, of something that need not be there yet; null where it leads into /proc: to
 *  what a process has open (/dev/stdout). Throws where a link is in a directory that others can write. */
export function followTrusted(path: string): string | null {
  const rest = path.split('/').filter((name) => name !== '');
  let at = '/';
  let dir = lstatSync(at);
  let isTrusted = true;
  let links = 0;
  while (rest.length > 0) {
    const name = rest.shift()!;
    if (name === '.') continue;
    if (name === '..') {
      at = dirname(at);
      dir = lstatSync(at);
      continue;
    }
    const next = join(at, name);
    const entry = lstatSync(next, { throwIfNoEntry: false });
    if (entry === undefined) return join(next, ...rest);
    isTrusted &&= isRoots(dir, entry);
    if (!entry.isSymbolicLink()) {
      at = next;
      dir = entry;
      continue;
    }
    if (at === '/proc' || at.startsWith('/proc/')) return null;
    if (!isTrusted)
      throw new Error(`${next} is a symbolic link in a directory that others can write`);
    if (++links > linksMax) throw new Error(`${path} leads through too many symbolic links`);
    const target = readlinkSync(next);
    if (target.startsWith('/')) {
      at = '/';
      dir = lstatSync(at);
    }
    rest.unshift(...target.split('/').filter((part) => part !== ''));
  }
  return at;
}

/** Whether root alone can put another entry in this one's place. In a directory with the sticky bit (/tmp)
 *  everyone can make entries, but only the owner of one can take it away. */
function isRoots(dir: Stats, entry: Stats): boolean {
  if (dir.uid !== 0) return false;
  return (dir.mode & 0o022) === 0 || ((dir.mode & 0o1000) !== 0 && entry.uid === 0);
}
