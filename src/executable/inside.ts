// What a single executable holds besides Node: whether this program is one, and the parts put into it.

import { getAsset, getRawAsset, isSea } from 'node:sea';
import { fileURLToPath } from 'node:url';

/** The code of Portico, bundled into one CommonJS file; its presence says that this is an executable
 *  of ours, and not some other one that Portico was made part of. */
const bundleName = 'portico.js';

/** Whether this process runs from one executable that holds all there is of Portico. */
export const isInside: boolean = isSea() && has(bundleName);

/** The path that code from inside goes by. There is nothing there on the disk, nor can anybody put
 *  something there: the executable is a file, and no directory. */
export function insidePath(name: string): string {
  return `${process.execPath}/${name}`;
}

/** What errors name when they come from our own code: begin of paths. */
export const ownCode: string = isInside
  ? insidePath('portico.cjs')
  : fileURLToPath(new URL('../', import.meta.url)).slice(0, -1);

export function insideText(name: string): string | null {
  return has(name) ? getAsset(name, 'utf8') : null;
}

/** A view of the part, in the memory where the kernel has mapped the executable: no copy is made, and
 *  writing to it would end the process. */
export function insideBytes(name: string): Buffer | null {
  return has(name) ? Buffer.from(getRawAsset(name) as ArrayBuffer) : null;
}

function has(name: string): boolean {
  if (!isSea()) return false;
  try {
    getRawAsset(name);
    return true;
  } catch {
    return false;
  }
}
