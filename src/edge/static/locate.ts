// From the segments of a request path to a file that is really inside the mount's directory.

import { lstatSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { type InsideFile, isInsideDir, locateInside } from './inside.ts';

/** What tells a file from another, and from what it was before. */
export interface FileStats {
  readonly dev: number;
  readonly ino: number;
  readonly size: number;
  readonly mtimeMs: number;
  readonly ctimeMs: number;
}

export type Located =
  /** `path`: relative to `root`, both free of symbolic links when they were looked at. */
  | {
      readonly kind: 'file';
      readonly root: string;
      readonly path: string;
      readonly stats: FileStats;
      /** Where it is inside the executable. */
      readonly inside?: InsideFile;
    }
  | { readonly kind: 'directory' }
  | { readonly kind: 'missing' }
  /** Something is there that is not for serving; for the log, the client sees it as missing. */
  | { readonly kind: 'refused'; readonly why: string };

/** Looks up `segments` under `dir`. Symbolic links are followed and must end inside the real
 *  directory; the directory itself may be one (a release that is switched by a link), so it is
 *  resolved each time. What is returned has no links in it any more. Somebody with write
 *  access to the directory may put one there at that very moment: against that the opener asks the
 *  descriptor where it is (open-checked.ts). `knownRoot`: the real directory, where that was
 *  looked up within the last second. */
export async function locate(
  dir: string,
  segments: readonly string[],
  knownRoot = '',
): Promise<Located> {
  if (isInsideDir(dir)) return locateInside(dir, segments);
  try {
    const root = knownRoot === '' ? await realpath(dir) : knownRoot;
    const real = await realpath(join(root, ...segments));
    if (!isInside(root, real))
      return { kind: 'refused', why: 'a symbolic link leaves the directory' };
    // Never opened before this: opening a FIFO waits, opening a device may do anything.
    // Sync: 2 µs in place of 30 by libuv's threads; the kernel has it at hand from the line above.
    const stats = lstatSync(real);
    if (stats.isDirectory()) return { kind: 'directory' };
    if (!stats.isFile()) return { kind: 'refused', why: 'not a regular file' };
    return { kind: 'file', root, path: relative(root, real), stats };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENAMETOOLONG')
      return { kind: 'missing' };
    return { kind: 'refused', why: code ?? String(error) };
  }
}

function isInside(root: string, path: string): boolean {
  return path === root || path.startsWith(root.endsWith(sep) ? root : root + sep);
}
