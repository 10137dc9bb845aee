// The static files of an executable: a table of where each one is, and their contents one after another.

import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { relative, sep } from 'node:path';
import type { StaticMount } from '../../config/config.ts';
import { filesBelow } from './carried-parts.ts';
import { BuildFault } from './fault.ts';
import type { Parts } from './own-parts.ts';

/** Of the Base64 of SHA-256: 72 bits tell the versions of a file apart. */
const hashLength = 12;

/** The mounts as the executable has them, and the parts that they are served from. */
export function staticParts(mounts: readonly StaticMount[]): {
  mounts: StaticMount[];
  parts: Parts;
  files: number;
} {
  const contents: Buffer[] = [];
  const offsets = new Map<string, number>();
  let end = 0;
  let count = 0;
  const table: Record<string, [string, number, number, string][]> = {};
  const made = mounts.map((mount, index): StaticMount => {
    if (statSync(mount.dir, { throwIfNoEntry: false })?.isDirectory() !== true)
      throw new BuildFault(`Cannot use static ${mount.prefix}=${mount.dir}: it is no directory`);
    const dir = `inside:${index}`;
    table[dir] = servedFiles(mount).map((file) => {
      const content = readFileSync(file);
      const hash = createHash('sha256').update(content).digest('base64url');
      let offset = offsets.get(hash);
      // Two mounts of one directory, or a file that is there twice.
      if (offset === undefined) {
        offset = end;
        offsets.set(hash, offset);
        contents.push(content);
        end += content.length;
      }
      count++;
      const path = relative(mount.dir, file).split(sep).join('/');
      return [path, offset, content.length, hash.slice(0, hashLength)];
    });
    // An executable knows one build only.
    return { ...mount, dir, keepBuilds: 0 };
  });
  const parts: Parts = new Map();
  if (mounts.length > 0) {
    parts.set('static.json', Buffer.from(JSON.stringify(table)));
    parts.set('static.bin', Buffer.concat(contents));
  }
  return { mounts: made, parts, files: count };
}

/** What a client could be given; and of compressed siblings those that are no older than their source. */
function servedFiles({ dir, dotfiles }: StaticMount): string[] {
  const all = filesBelow(
    dir,
    (name) => dotfiles === 'allow' || !name.startsWith('.') || name === '.well-known',
  );
  return all.filter((file) => {
    const source = file.replace(/\.(br|zst|gz)$/, '');
    if (source === file || !all.includes(source)) return true;
    return statSync(file).mtimeMs >= statSync(source).mtimeMs;
  });
}
