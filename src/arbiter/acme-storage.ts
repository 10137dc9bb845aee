// The directory of ACME's keys and certificates, for edges that run as another user: the arbiter, as root,
// makes it and gives it away, with what an earlier run as root has left in it.

import { lchownSync, lstatSync, mkdirSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Config } from '../config/config.ts';
import type { Identity } from './identity.ts';

/** Deeper than what ACME keeps (challenges/http-01/TOKEN, CA/certificates/HOST.pem). */
const depthMax = 4;

/** Returns what could not be done, for a person to read. */
export function giveAcmeStorage(
  { acme, acmeStorage }: Pick<Config, 'acme' | 'acmeStorage'>,
  identity: Identity | null,
): string[] {
  if (identity === null || acme.length === 0) return [];
  const problem = (why: string) => [
    `Cannot give ${acmeStorage} to user ${identity.uid}, so ACME cannot use it: ${why}`,
  ];
  try {
    // Whoever may change the path could lead root elsewhere. Then the edge makes the directory itself.
    if (!isRootsPath(dirname(acmeStorage))) return [];
    // Others must be able to pass, whatever the umask: it is a path, not a secret.
    mkdirSync(dirname(acmeStorage), { recursive: true, mode: 0o755 });
    try {
      mkdirSync(acmeStorage, { mode: 0o700 });
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause;
    }
    const stat = lstatSync(acmeStorage);
    if (!stat.isDirectory()) return problem('it is not a directory');
    const closed = closedAbove(acmeStorage);
    if (closed !== null) return problem(`other users cannot pass through ${closed} (chmod o+x)`);
    if (stat.uid === identity.uid) return [];
    // Only what is root's alone is walked: where somebody else may write, a file of root's may be
    // linked to.
    if (stat.uid !== 0 || (stat.mode & 0o022) !== 0)
      return problem(`it belongs to user ${stat.uid}, or others can write to it`);
    give(acmeStorage, identity, 0);
    return [];
  } catch (cause) {
    return problem((cause as Error).message);
  }
}

/** What is inside first: until the last step nobody else can get in. */
function give(dir: string, identity: Identity, depth: number): void {
  for (const name of readdirSync(dir)) {
    const path = join(dir, name);
    const stat = lstatSync(path);
    if (stat.isDirectory() && stat.uid === 0 && depth < depthMax) give(path, identity, depth + 1);
    // A second name could be that of a file elsewhere.
    else if (stat.isFile() && stat.nlink === 1) lchownSync(path, identity.uid, identity.gid);
  }
  lchownSync(dir, identity.uid, identity.gid);
}

/** Whether only root can change what the path leads to, as far as it is there. */
function isRootsPath(path: string): boolean {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  const isRoots =
    stat === undefined || (stat.uid === 0 && stat.isDirectory() && isClosed(stat.mode));
  return isRoots && (dirname(path) === path || isRootsPath(dirname(path)));
}

/** A directory on the way that only root may enter; null = none. Groups are not looked at: whoever has
 *  set them up knows that he did. */
function closedAbove(path: string): string | null {
  const above = dirname(path);
  if (above === path) return null;
  return (lstatSync(above).mode & 0o011) === 0 ? above : closedAbove(above);
}

/** Nobody but the owner can rename what is in it. */
function isClosed(mode: number): boolean {
  return (mode & 0o022) === 0 || (mode & 0o1000) !== 0;
}
