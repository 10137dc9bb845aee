// Makes the compressed siblings of one file.

import { lstat, open, readFile, rename, rm, utimes } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { codings } from './codings.ts';
import type { Found } from './find-files.ts';

export interface Made {
  /** Bytes by suffix, of those that were made now. */
  readonly made: ReadonlyMap<string, number>;
  /** There already, and not older than the file. */
  readonly fresh: number;
  /** Not kept, since they would not be smaller. */
  readonly useless: number;
}

/** Rejects where the file or a sibling can't be read or written, or changes meanwhile. */
export async function makeSiblings({ path, stats }: Found): Promise<Made> {
  const made = new Map<string, number>();
  let fresh = 0;
  let useless = 0;
  let content: Buffer | null = null;
  for (const { suffix, compress } of codings) {
    const sibling = `${path}.${suffix}`;
    const there = await lstat(sibling).catch(() => null);
    if (there !== null && !there.isFile()) throw new Error(`${sibling} is not a file`);
    if (there !== null && there.mtimeMs >= stats.mtimeMs) {
      fresh++;
      continue;
    }
    content ??= await readFile(path);
    const compressed = await compress(content);
    if (compressed.length >= content.length) useless++;
    else {
      await put(sibling, compressed, { path, stats });
      made.set(suffix, compressed.length);
    }
  }
  return { made, fresh, useless };
}

/** A server may look at any moment: the sibling is there whole, with its time, or not at all. */
async function put(sibling: string, content: Buffer, { path, stats }: Found): Promise<void> {
  const temporary = join(dirname(sibling), `.${basename(sibling)}.${process.pid}.tmp`);
  try {
    const file = await open(temporary, 'wx', stats.mode & 0o777);
    try {
      await file.writeFile(content);
      await file.chmod(stats.mode & 0o777);
    } finally {
      await file.close();
    }
    // Never older than its file, which may come from the future of another machine's clock.
    const laterMs = Math.ceil(stats.mtimeMs);
    if (laterMs > Date.now()) await utimes(temporary, laterMs / 1000, laterMs / 1000);
    const now = await lstat(path);
    if (now.mtimeMs !== stats.mtimeMs || now.size !== stats.size)
      throw new Error('it changed meanwhile; run this once more');
    await rename(temporary, sibling);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}
