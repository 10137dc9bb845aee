// Files that an executable carries along: packages as they are, and what the app is to find beside itself.

import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { basename, join, relative, sep } from 'node:path';
import { carriedContentPart, carriedTablePart } from '../carried.ts';
import { belowBase } from './app-bundle.ts';
import { targetOf } from './base-node.ts';
import { BuildFault } from './fault.ts';
import type { Parts } from './own-parts.ts';

/** Path below the base, and content. */
export type CarriedFiles = Map<string, { readonly content: Buffer; readonly isProgram: boolean }>;

/** What no running package reads. */
const leftOut = /\.(md|markdown|map|d\.[cm]?ts|o|a|c|cc|cpp|h|hpp|tsbuildinfo)$/i;

/** All of a package but the packages in it, which have places of their own. */
export function addPackage(
  files: CarriedFiles,
  { place, dir, target }: { place: string; dir: string; target: string },
): void {
  for (const file of filesBelow(dir, (name) => name !== 'node_modules' && name !== 'obj.target')) {
    const path = relative(dir, file);
    const made = /^prebuilds[\\/]([a-z0-9]+-[a-z0-9]+)/.exec(path)?.[1];
    const isOthers = made !== undefined && made !== target;
    if (!isOthers && !leftOut.test(file)) addFile(files, join(place, path), file);
  }
}

/** A file or a directory of the project, at the place it has there. */
export function addPath(files: CarriedFiles, root: string, path: string): void {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) throw new BuildFault(`Cannot include ${path}: it is not there`);
  const all = stat.isDirectory() ? filesBelow(path, () => true) : [path];
  for (const file of all) addFile(files, belowBase(root, file), file);
}

function addFile(files: CarriedFiles, place: string, file: string): void {
  const content = readFileSync(file);
  const isProgram = (statSync(file).mode & 0o100) !== 0 || file.endsWith('.node');
  files.set(place.split(sep).join('/'), { content, isProgram });
}

/** Links are followed, but not out of the directory nor round in circles. */
export function filesBelow(dir: string, wants: (name: string) => boolean): string[] {
  const root = realpathSync(dir);
  const found: string[] = [];
  const walk = (at: string, depth: number): void => {
    for (const name of readdirSync(at).sort()) {
      if (!wants(name)) continue;
      const path = join(at, name);
      const isLink = lstatSync(path).isSymbolicLink();
      const stat = statSync(path, { throwIfNoEntry: false });
      if (stat === undefined) continue;
      if (isLink && !realpathSync(path).startsWith(root + sep)) continue;
      if (stat.isDirectory()) {
        if (depth >= depthMax) throw new BuildFault(`${path} is too deep: is a link a circle?`);
        walk(path, depth + 1);
      } else if (stat.isFile()) found.push(path);
    }
  };
  walk(dir, 0);
  return found;
}

const depthMax = 64;

/** Machine code must be the target's, at least one of what is in a package. */
export function checkAddons(files: CarriedFiles, place: string, target: string): void {
  const addons = [...files].filter(
    ([path]) => path.startsWith(`${place}/`) && path.endsWith('.node'),
  );
  const of = addons.map(([path, { content }]) => ({ path, target: targetOf(content) }));
  if (of.length === 0 || of.some((addon) => addon.target === target)) return;
  throw new BuildFault(
    `${place} has native code for ${of[0]!.target ?? 'another system'} (${basename(of[0]!.path)}), and none for ${target}: install it for that, or build there`,
  );
}

export function carriedParts(files: CarriedFiles): Parts {
  const table: (string | number)[][] = [];
  const contents: Buffer[] = [];
  for (const [path, { content, isProgram }] of [...files].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const hash = createHash('sha256').update(content).digest('hex');
    table.push([path, content.length, hash, isProgram ? 1 : 0]);
    contents.push(content);
  }
  return new Map([
    [carriedTablePart, Buffer.from(JSON.stringify(table))],
    [carriedContentPart, Buffer.concat(contents)],
  ]);
}
