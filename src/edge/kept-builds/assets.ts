// Finds the files of a build that have a hash in their name: what an open tab may still ask for.

import { opendir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { isFingerprinted } from '../static/fingerprint.ts';
import { locate } from '../static/locate.ts';
import { sourceOf } from '../static/representation.ts';

export interface Assets {
  /** Paths below the mount's directory, "/" between, and where each really is. */
  readonly files: ReadonlyMap<string, string>;
  /** There are more than are kept. */
  readonly isCut: boolean;
}

const filesMax = 50_000;
const depthMax = 32;

/** Whether a name has a hash in it, its own or that of the file it is the compressed sibling of. */
export function isHashed(name: string): boolean {
  return isFingerprinted(sourceOf(name) ?? name);
}

/** Hidden names are left out as they are in serving. A link counts where it leads to a file in the
 *  directory; linked directories are not entered, they might lead round in circles. */
export async function findAssets(dir: string): Promise<Assets> {
  const root = await realpath(dir);
  const files = new Map<string, string>();
  let isCut = false;
  const visit = async (segments: readonly string[]): Promise<void> => {
    for await (const entry of await opendir(join(root, ...segments))) {
      if (isCut) return;
      if (entry.name.startsWith('.')) continue;
      const path = [...segments, entry.name];
      if (entry.isDirectory()) {
        if (path.length <= depthMax) await visit(path);
      } else if (isHashed(entry.name)) {
        const real = entry.isFile() ? join(root, ...path) : await linked(dir, path);
        if (real !== null) files.set(path.join('/'), real);
        isCut = files.size >= filesMax;
      }
    }
  };
  await visit([]);
  return { files, isCut };
}

async function linked(dir: string, segments: readonly string[]): Promise<string | null> {
  const located = await locate(dir, segments);
  return located.kind === 'file' ? join(located.root, located.path) : null;
}
