// Where Portico was started, by the name the user knows it by.

import { statSync } from 'node:fs';

/** $PWD where it is the current directory. Unlike process.cwd() it still has symbolic links in it:
 *  after a deploy has moved /srv/current to the next release, a reload finds the new one. */
export function startDirectory(env: Readonly<Record<string, string | undefined>>): string {
  const cwd = process.cwd();
  const named = env.PWD;
  if (named === undefined || !named.startsWith('/')) return cwd;
  try {
    const [a, b] = [statSync(named), statSync(cwd)];
    return a.dev === b.dev && a.ino === b.ino ? named : cwd;
  } catch {
    return cwd;
  }
}
