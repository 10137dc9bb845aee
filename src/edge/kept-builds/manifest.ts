// What the store of a mount holds: its builds, newest first. Written whole or not at all.

import { open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

export interface Build {
  /** When it was first seen, ms since 1970. */
  readonly atMs: number;
  /** Sorted paths. */
  readonly files: readonly string[];
}

const manifestBytesMax = 64 * 1024 ** 2;

/** No builds where there is no manifest, or none that can be read: the store is only ever a copy. */
export async function readBuilds(dir: string): Promise<Build[]> {
  try {
    const text = await readFile(join(dir, 'manifest.json'), 'utf8');
    if (text.length > manifestBytesMax) return [];
    const { builds } = JSON.parse(text) as { builds?: unknown };
    return Array.isArray(builds) ? builds.filter(isBuild) : [];
  } catch {
    return [];
  }
}

function isBuild(value: unknown): value is Build {
  const { atMs, files } = (value ?? {}) as Partial<Build>;
  return (
    typeof atMs === 'number' &&
    Array.isArray(files) &&
    files.every((file) => typeof file === 'string')
  );
}

/** The disk has it before the name points to it: a crash leaves the old one or the new one. */
export async function writeBuilds(dir: string, builds: readonly Build[]): Promise<void> {
  const temporary = join(dir, `manifest.${process.pid}.tmp`);
  try {
    const file = await open(temporary, 'w', 0o600);
    try {
      await file.writeFile(`${JSON.stringify({ version: 1, builds })}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, join(dir, 'manifest.json'));
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** The builds with this one as the current one: new, moved to the front (a rollback), or there. */
export function withBuild(
  builds: readonly Build[],
  files: readonly string[],
  options: { readonly nowMs: number; readonly earlier: number },
): readonly Build[] {
  const isSame = (build: Build) =>
    build.files.length === files.length && build.files.every((file, at) => file === files[at]);
  const known = builds.find(isSame);
  const others = builds.filter((build) => build !== known);
  return [known ?? { atMs: options.nowMs, files }, ...others].slice(0, options.earlier + 1);
}
