// Where the files of earlier builds are kept, and that nobody else can put anything there.

import { createHash } from 'node:crypto';
import { lstat, mkdir, open, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { StaticMount } from '../../config/config.ts';

/** The directory of one mount in the store; its `files` are what is served. */
export function keptDir(store: string, { dir, prefix }: StaticMount): string {
  const key = createHash('sha256').update(`${dir}\0${prefix}`).digest('hex').slice(0, 16);
  const name = basename(dir).replace(/[^A-Za-z0-9._-]/g, '_');
  return join(store, 'static', `${name}-${key}`);
}

export function keptFiles(store: string, mount: StaticMount): string {
  return join(keptDir(store, mount), 'files');
}

/** The mount as its earlier builds are served: files only, which are there or not. */
export function keptMount(store: string, mount: StaticMount): StaticMount {
  const files = keptFiles(store, mount);
  return {
    ...mount,
    dir: files,
    index: [],
    fallback: null,
    tryFiles: false,
    listing: false,
    keepBuilds: 0,
  };
}

/** Makes the directory if need be. Throws where it is another's: what is in it would be served. */
export async function ownDirectory(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  const stats = await lstat(path);
  if (!stats.isDirectory()) throw new Error(`${path} is not a directory`);
  const uid = process.getuid?.() ?? 0;
  if (stats.uid !== uid) throw new Error(`${path} belongs to user ${stats.uid}`);
  if ((stats.mode & 0o022) !== 0) throw new Error(`${path} can be written by others`);
}

/** Long enough for a large build on a slow disk. */
const staleMs = 60_000;
const waitMs = 5_000;
const lookEveryMs = 100;

/** Takes the lock of a directory; null where another instance is at work there for too long. */
export async function lockDirectory(dir: string): Promise<(() => Promise<void>) | null> {
  const path = join(dir, 'lock');
  const deadlineMs = performance.now() + waitMs;
  for (;;) {
    try {
      const file = await open(path, 'wx', 0o600);
      await file.writeFile(`${process.pid}\n`);
      await file.close();
      return () => rm(path, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    // Of a process that was killed.
    const there = await stat(path).catch(() => null);
    if (there !== null && Date.now() - there.mtimeMs > staleMs) await rm(path, { force: true });
    else if (performance.now() > deadlineMs) return null;
    else await sleep(lookEveryMs);
  }
}
