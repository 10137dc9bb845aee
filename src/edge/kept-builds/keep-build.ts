// keepBuilds: keeps the hashed files of the build that a mount has now, and of some before it.

import { copyFile, link, lstat, mkdir, opendir, rename, rm, rmdir, utimes } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import type { StaticMount } from '../../config/config.ts';
import { findAssets } from './assets.ts';
import { readBuilds, withBuild, writeBuilds } from './manifest.ts';
import { keptDir, keptFiles, lockDirectory, ownDirectory } from './store.ts';

export interface Kept {
  /** Files of the present build. */
  readonly files: number;
  /** Builds in the store, the present one among them. */
  readonly builds: number;
  readonly isNew: boolean;
  readonly isCut: boolean;
}

/** Null where another instance is at the same. Throws where files can't be read or written; then
 *  the store is as it was, or has more than its manifest says, which the next time puts right. */
export async function keepBuild(store: string, mount: StaticMount): Promise<Kept | null> {
  const dir = keptDir(store, mount);
  const filesDir = keptFiles(store, mount);
  await ownDirectory(dir);
  await ownDirectory(filesDir);
  const unlock = await lockDirectory(dir);
  if (unlock === null) return null;
  try {
    const before = await readBuilds(dir);
    const { files, isCut } = await findAssets(mount.dir);
    const names = [...files.keys()].sort();
    // A directory that is being emptied and filled again is no build, and must not push one out.
    if (names.length === 0) return { files: 0, builds: before.length, isNew: false, isCut };
    const earlier = mount.keepBuilds;
    const builds = withBuild(before, names, { nowMs: Date.now(), earlier });
    // Files, then the manifest, then what is no longer wanted: whatever a crash leaves is served
    // rightly, and cleared away the next time.
    for (const [name, source] of files) await keepFile(source, join(filesDir, ...name.split('/')));
    await writeBuilds(dir, builds);
    await prune(filesDir, new Set(builds.flatMap((build) => build.files)));
    const isNew = !before.includes(builds[0]!);
    return { files: names.length, builds: builds.length, isNew, isCut };
  } finally {
    await unlock();
  }
}

/** By a hard link, which costs no space and survives the deletion of its source; by a copy where the
 *  store is on another device, or the kernel guards links to what others own. */
async function keepFile(source: string, target: string): Promise<void> {
  const [from, there] = await Promise.all([
    lstat(source).catch(() => null),
    lstat(target).catch(() => null),
  ]);
  // Gone, or no file any more, since it was found: then it is not of this build.
  if (from === null || !from.isFile()) return;
  if (there !== null && there.size === from.size && secondsOf(there) === secondsOf(from)) return;
  await mkdir(dirname(target), { recursive: true, mode: 0o700 });
  const temporary = `${target}.${process.pid}.tmp`;
  try {
    try {
      await link(source, temporary);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') return;
      if (code === 'EEXIST') throw error;
      await copyFile(source, temporary);
      await utimes(temporary, from.atimeMs / 1000, from.mtimeMs / 1000);
    }
    // A link to a link would lead anywhere.
    if ((await lstat(temporary)).isFile()) await rename(temporary, target);
  } finally {
    // Also after rename(), which does nothing where both names are the same file.
    await rm(temporary, { force: true });
  }
}

/** A copy's time is exact to the microsecond at best. */
function secondsOf({ mtimeMs }: { readonly mtimeMs: number }): number {
  return Math.floor(mtimeMs / 1000);
}

/** Removes files that no build has, and directories that are empty then. */
async function prune(filesDir: string, wanted: ReadonlySet<string>): Promise<void> {
  const visit = async (dir: string): Promise<void> => {
    for await (const entry of await opendir(dir)) {
      const path = join(dir, entry.name);
      if (entry.isDirectory()) {
        await visit(path);
        await rmdir(path).catch(() => {});
      } else if (!wanted.has(relative(filesDir, path).split(sep).join('/')))
        await rm(path, { force: true });
    }
  };
  await visit(filesDir);
}
