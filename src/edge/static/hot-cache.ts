// The hot files in memory, bounded by bytes: found by request path in one look, thrown out when not asked for.

import type { HotContent } from './hot-content.ts';
import type { KeptFile } from './kept-file.ts';
import type { Described, Representation } from './representation.ts';

/** A representation with its content; null: too large to be kept as one. */
export interface Loaded {
  readonly representation: Representation;
  readonly content: HotContent | null;
  /** Parts of a large content, by their number; null: they are read for each request. */
  readonly blocks: BlockStore | null;
  /** Where a content that is too large is read from; null: it is not, or inside the executable. */
  readonly kept: KeptFile | null;
}

/** Parts of BLOCK_BYTES of one large file, the last one shorter; any of them may be missing. */
export interface BlockStore {
  get(index: number): Buffer | undefined;
  put(index: number, block: Buffer): void;
}

/** One write to a socket takes about as much before it waits. */
export const BLOCK_BYTES = 512 * 1024;

/** A file ready to be sent. */
export interface HotFile {
  readonly key: string;
  /** Index of its mount. */
  readonly mount: number;
  readonly described: Described;
  readonly plain: Loaded;
  /** In the order of described.coded. */
  readonly coded: readonly Loaded[];
  bytes: number;
  /** All directories from the root to it are watched. */
  readonly isWatched: boolean;
  /** When it was last known to be as it is on disk. */
  checkedMs: number;
  /** Asked for since the last look of the evictor. */
  wasUsed: boolean;
  /** Raw request paths that lead to it. */
  readonly paths: string[];
}

/** Spellings of one file that are remembered; others take the long way. */
const PATHS_MAX = 4;
/** Heads, stats, map slots: what a file takes beside its content. */
const OVERHEAD_BYTES = 4096;

/**
 * Second chance, not least recently used: a hit sets a flag and moves nothing (lru-cache moves its
 * entry in a list at each hit). Eviction passes over those asked for since it last came by.
 */
export class HotCache {
  private readonly bytesMax: number;
  private bytes = 0;
  private readonly byKey = new Map<string, HotFile>();
  private readonly byPath = new Map<string, HotFile>();

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  /** By the path as it stands in the request target, without the query. */
  find(path: string): HotFile | undefined {
    return this.byPath.get(path);
  }

  get(key: string): HotFile | undefined {
    return this.byKey.get(key);
  }

  get size(): number {
    return this.byKey.size;
  }

  get usedBytes(): number {
    return this.bytes;
  }

  /** No file may take more than a quarter: else one would push out all others. */
  mayHold(bytes: number): boolean {
    return bytes + OVERHEAD_BYTES <= this.bytesMax / 4;
  }

  put(file: HotFile): void {
    this.drop(file.key);
    if (!this.mayHold(file.bytes)) return;
    this.byKey.set(file.key, file);
    this.bytes += file.bytes + OVERHEAD_BYTES;
    this.evict();
  }

  /** A part of the file was read; false when the file is no longer here. */
  grow(file: HotFile, bytes: number): boolean {
    if (this.byKey.get(file.key) !== file) return false;
    file.bytes += bytes;
    this.bytes += bytes;
    file.wasUsed = true;
    this.evict();
    return true;
  }

  private evict(): void {
    for (const [key, other] of this.byKey) {
      if (this.bytes <= this.bytesMax) break;
      if (other.wasUsed) {
        other.wasUsed = false;
        this.byKey.delete(key);
        this.byKey.set(key, other);
      } else this.drop(key);
    }
  }

  /** From now on `path` leads to the file, if that is kept. */
  link(path: string, file: HotFile): void {
    if (this.byKey.get(file.key) !== file || file.paths.length >= PATHS_MAX) return;
    const former = this.byPath.get(path);
    if (former === file) return;
    if (former !== undefined) former.paths.splice(former.paths.indexOf(path), 1);
    this.byPath.set(path, file);
    file.paths.push(path);
  }

  /** `path` may lead elsewhere by now. */
  unlink(path: string): void {
    const file = this.byPath.get(path);
    if (file === undefined) return;
    this.byPath.delete(path);
    file.paths.splice(file.paths.indexOf(path), 1);
  }

  drop(key: string): void {
    const file = this.byKey.get(key);
    if (file === undefined) return;
    this.byKey.delete(key);
    this.bytes -= file.bytes + OVERHEAD_BYTES;
    for (const path of file.paths) this.byPath.delete(path);
    file.paths.length = 0;
    closeAll([file.plain, ...file.coded]);
  }

  dropWhere(isGone: (key: string) => boolean): void {
    for (const key of [...this.byKey.keys()]) if (isGone(key)) this.drop(key);
  }
}

/** They are kept no longer; answers under way go on. */
export function closeAll(all: readonly Loaded[]): void {
  for (const { content, kept } of all) {
    content?.close();
    kept?.close();
  }
}
