// Reads a file that must not be large, without waiting for a pipe that nobody writes to.

import { constants } from 'node:fs';
import { open } from 'node:fs/promises';

/** Hundreds of certificates; a bundle of all public CAs has 0.25 MB. */
const bytesMax = 1024 ** 2;

/** The content, or why there is none, for a person. */
export async function readSmallFile(path: string): Promise<Buffer | string> {
  try {
    const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stat = await handle.stat();
      if (!stat.isFile()) return `${path} is not a file`;
      if (stat.size > bytesMax) return `${path} is larger than ${bytesMax} bytes`;
      return await handle.readFile();
    } finally {
      await handle.close();
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return `there is no file ${path}`;
    if (code === 'EACCES') return `${path} cannot be read: permission denied`;
    return `${path} cannot be read (${code})`;
  }
}
