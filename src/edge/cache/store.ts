// The store: responses by URL and variant, bounded by bytes, the least recently used URL goes first.

import { LRUCache } from 'lru-cache';
import type { Entry } from './entry.ts';
import { originOf } from './key.ts';

/** All that is kept of one URL. */
export interface Resource {
  readonly key: string;
  /** What the responses vary by, as the newest of them says. */
  readonly vary: readonly string[];
  /** By variantKey(); the oldest first. */
  readonly variants: Map<string, Entry>;
  bytes: number;
}

/** Variants of one URL. A client that sends random values for a field that Vary names pushes out
 *  others of this URL only. */
const variantsMax = 16;

export class Store {
  readonly bytesMax: number;
  entries = 0;
  private readonly resources: LRUCache<string, Resource>;
  private readonly byTag = new Map<string, Set<string>>();

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
    this.resources = new LRUCache({
      maxSize: bytesMax,
      sizeCalculation: (resource) => resource.bytes,
      dispose: (resource) => this.dropped(resource),
    });
  }

  get bytes(): number {
    return this.resources.calculatedSize;
  }

  get(key: string): Resource | undefined {
    return this.resources.get(key);
  }

  put(key: string, vary: readonly string[], variant: string, entry: Entry): void {
    const before = this.resources.peek(key);
    const isAlike = before !== undefined && sameNames(before.vary, vary);
    const variants = isAlike ? new Map(before.variants) : new Map<string, Entry>();
    variants.delete(variant);
    variants.set(variant, entry);
    let bytes = 2 * key.length;
    for (const [name, kept] of variants) bytes += kept.bytes + 2 * name.length;
    // Half of the memory is not for one URL.
    for (const [name, kept] of variants) {
      if (variants.size === 1) break;
      if (variants.size <= variantsMax && bytes <= this.bytesMax / 2) break;
      variants.delete(name);
      bytes -= kept.bytes + 2 * name.length;
    }
    if (bytes > this.bytesMax) return;
    const resource: Resource = { key, vary, variants, bytes };
    // Replacing disposes of the former one, so what is counted and indexed comes after.
    this.resources.set(key, resource);
    this.entries += variants.size;
    for (const { tags } of variants.values()) for (const tag of tags) this.addTag(tag, key);
  }

  /** Forgets a URL; returns how many responses that were. */
  delete(key: string): number {
    const count = this.resources.peek(key)?.variants.size ?? 0;
    this.resources.delete(key);
    return count;
  }

  /** Forgets a path and query whatever the scheme and host. */
  deletePath(target: string): number {
    let count = 0;
    for (const key of [...this.resources.keys()])
      if (
        key.length > target.length &&
        key.endsWith(target) &&
        originOf(key).length + target.length === key.length
      )
        count += this.delete(key);
    return count;
  }

  /** Forgets each URL that has a response with the tag. */
  deleteTag(tag: string): number {
    let count = 0;
    for (const key of [...(this.byTag.get(tag) ?? [])]) count += this.delete(key);
    return count;
  }

  clear(): number {
    const count = this.entries;
    this.resources.clear();
    return count;
  }

  private dropped(resource: Resource): void {
    this.entries -= resource.variants.size;
    for (const { tags } of resource.variants.values())
      for (const tag of tags) {
        const keys = this.byTag.get(tag);
        if (keys?.delete(resource.key) && keys.size === 0) this.byTag.delete(tag);
      }
  }

  private addTag(tag: string, key: string): void {
    const keys = this.byTag.get(tag);
    if (keys === undefined) this.byTag.set(tag, new Set([key]));
    else keys.add(key);
  }
}

function sameNames(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name, at) => name === b[at]);
}
