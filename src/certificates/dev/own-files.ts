// Files for one user alone: written whole or not at all, and not believed once others could have written them.

import { randomBytes } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import { link, lstat, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** What keeps the CA or its certificate from being used, for a person. */
export class DevCertificateFault extends Error {}

/** A chain with its key has 2 KB. */
const bytesMax = 64 * 1024;
const othersMayWrite = 0o022;
const othersMayDoAnything = 0o077;

/** Makes it if it is not there (0700). Throws DevCertificateFault where it is not the user's alone. */
export async function ensureOwnDirectory(dir: string): Promise<void> {
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    const stats = await lstat(dir);
    if (!stats.isDirectory()) throw new DevCertificateFault(`${dir} is not a directory`);
    checkOwner(dir, stats);
    if ((stats.mode & othersMayWrite) !== 0)
      throw new DevCertificateFault(
        `others may write to ${dir}, so what is in it can't be trusted: remove it, or chmod 700 if you know that they did not`,
      );
  } catch (error) {
    throw explained(error, `${dir} cannot be used`);
  }
}

/** null = there is no such file. Throws DevCertificateFault where it is not the user's alone. */
export async function readOwnFile(path: string): Promise<string | null> {
  try {
    const handle = await open(
      path,
      constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
    );
    try {
      // Of what is open, not of what may have the name in a moment.
      const stats = await handle.stat();
      if (!stats.isFile()) throw new DevCertificateFault(`${path} is not a file`);
      checkOwner(path, stats);
      if ((stats.mode & othersMayDoAnything) !== 0)
        throw new DevCertificateFault(
          `others may read or write ${path}: remove it, or chmod 600 if you know that nobody did`,
        );
      if (stats.size > bytesMax)
        throw new DevCertificateFault(`${path} is larger than ${bytesMax} bytes`);
      return await handle.readFile('utf8');
    } finally {
      await handle.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw explained(error, `${path} cannot be read`);
  }
}

/** Puts a file there (0600), in place of one that is. */
export function replaceOwnFile(path: string, text: string): Promise<void> {
  return put(path, text, (temporary) => rename(temporary, path));
}

/** Puts a file there (0600) unless one is; whether it did. Of several that try at once, one does. */
export async function createOwnFile(path: string, text: string): Promise<boolean> {
  let isOurs = true;
  await put(path, text, async (temporary) => {
    try {
      await link(temporary, path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      isOurs = false;
    }
  });
  return isOurs;
}

async function put(
  path: string,
  text: string,
  name: (temporary: string) => Promise<void>,
): Promise<void> {
  const temporary = join(dirname(path), `.${randomBytes(8).toString('hex')}.tmp`);
  try {
    const handle = await open(temporary, 'wx', 0o600);
    try {
      await handle.writeFile(text);
      // A key that was lost to a power cut after it had been trusted would be a nuisance.
      await handle.sync();
    } finally {
      await handle.close();
    }
    await name(temporary);
  } catch (error) {
    throw explained(error, `${path} cannot be written`);
  } finally {
    await rm(temporary, { force: true });
  }
}

function checkOwner(path: string, stats: Stats): void {
  const uid = process.getuid?.();
  if (uid !== undefined && stats.uid !== uid)
    throw new DevCertificateFault(`${path} belongs to another user (uid ${stats.uid})`);
}

function explained(error: unknown, what: string): Error {
  if (error instanceof DevCertificateFault) return error;
  const { code } = error as NodeJS.ErrnoException;
  // A fault of ours keeps its stack.
  if (code === undefined) return error as Error;
  const reasons: Readonly<Record<string, string>> = {
    EACCES: 'permission denied',
    EPERM: 'permission denied',
    EROFS: 'the file system is read-only',
    ENOSPC: 'the disk is full',
    ELOOP: 'it is a symbolic link',
    ENOTDIR: 'a part of the path is not a directory',
    EEXIST: 'it is not a directory',
  };
  return new DevCertificateFault(`${what}: ${reasons[code] ?? code}`);
}
