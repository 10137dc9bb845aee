// Static files that are inside the executable: looked up in a table, and sent from the memory it is mapped to.

import { insideBytes, insideText } from '../../executable/inside.ts';
import { BLOCK_BYTES, type BlockStore } from './hot-cache.ts';
import type { Located } from './locate.ts';

/** A mount's directory begins with this where it is a tree of the executable. */
const scheme = 'inside:';
/** The table and the contents, one after another, as `portico build` has written them. */
const tablePart = 'static.json';
const contentPart = 'static.bin';

export interface InsideFile {
  /** Not a copy: it costs no memory of ours, however large it is. */
  readonly content: Buffer;
  /** Of the content; there is no time of the last change, or each build would have bytes of its own. */
  readonly hash: string;
}

interface Tree {
  readonly files: Map<string, { readonly offset: number; readonly size: number; hash: string }>;
  /** Names of what is in each directory, in order; '' is the top. */
  readonly directories: Map<string, { name: string; isDirectory: boolean }[]>;
}

export function isInsideDir(dir: string): boolean {
  return dir.startsWith(scheme);
}

/** As locate() finds it on the disk. There are no links, and nothing changes. */
export function locateInside(dir: string, segments: readonly string[]): Located {
  const tree = trees().get(dir);
  const path = segments.join('/');
  const file = tree?.files.get(path);
  if (file !== undefined) {
    const { offset, size, hash } = file;
    const stats = { dev: 0, ino: 0, size, mtimeMs: 0, ctimeMs: 0 };
    const inside = { content: contents().subarray(offset, offset + size), hash };
    return { kind: 'file', root: dir, path, stats, inside };
  }
  return { kind: tree?.directories.has(path) === true ? 'directory' : 'missing' };
}

/** What is in a directory, for a listing. */
export function namesInside(dir: string, segments: readonly string[]) {
  return trees().get(dir)?.directories.get(segments.join('/')) ?? [];
}

/** All parts of a large file are there at any time. */
export function blocksInside({ content }: InsideFile): BlockStore {
  return {
    get: (index) => content.subarray(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES),
    put: () => {},
  };
}

let allContents: Buffer | null = null;
let allTrees: Map<string, Tree> | null = null;

function contents(): Buffer {
  allContents ??= insideBytes(contentPart) ?? Buffer.alloc(0);
  return allContents;
}

/** By the names that mounts have for them. */
function trees(): Map<string, Tree> {
  if (allTrees !== null) return allTrees;
  // [path, offset, bytes, hash], by path.
  const table: Record<string, readonly [string, number, number, string][]> = JSON.parse(
    insideText(tablePart) ?? '{}',
  );
  allTrees = new Map(Object.entries(table).map(([dir, files]) => [dir, treeOf(files)]));
  return allTrees;
}

function treeOf(files: readonly (readonly [string, number, number, string])[]): Tree {
  const tree: Tree = { files: new Map(), directories: new Map([['', []]]) };
  const add = (path: string, isDirectory: boolean): void => {
    const at = path.lastIndexOf('/');
    const above = at === -1 ? '' : path.slice(0, at);
    if (!tree.directories.has(above)) {
      tree.directories.set(above, []);
      add(above, true);
    }
    tree.directories.get(above)!.push({ name: path.slice(at + 1), isDirectory });
  };
  for (const [path, offset, size, hash] of files) {
    tree.files.set(path, { offset, size, hash });
    add(path, false);
  }
  return tree;
}
