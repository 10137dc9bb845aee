// Keeps hot files in memory and true to the disk: by watching their directories, and by looking again now and then.

import { realpath, stat } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';
import type { StaticMount } from '../../config/config.ts';
import { type BlockStore, closeAll, HotCache, type HotFile, type Loaded } from './hot-cache.ts';
import { COPIED_BYTES_MAX, HotContent } from './hot-content.ts';
import { blocksInside, isInsideDir } from './inside.ts';
import { KeptFile } from './kept-file.ts';
import { LentPages } from './lent-pages.ts';
import { readChecked } from './open-checked.ts';
import { type Described, type Representation, sameDescribed, sourceOf } from './representation.ts';
import { Watches } from './watches.ts';

/** How long a file is believed to be as it was when nobody has said otherwise. */
const BELIEVED_MS = 1000;
/** Looks a second at files whose directories are watched, which is for what a watch doesn't tell:
 *  other hosts' writes to a network file system, writes through another hard link. */
const LOOKS_PER_SECOND = 200;

interface MountState {
  readonly mount: StaticMount;
  readonly index: number;
  /** The real directory; '' when it is not there. */
  root: string;
  /** dev:ino of it: it may be renamed away with another put in its place. */
  identity: string;
  checkedMs: number;
  /** A look under way, as all who come meanwhile want it. */
  looking: Promise<string> | null;
}

interface Load {
  readonly promise: Promise<HotFile | null>;
  isStale: boolean;
}

export interface ToLoad {
  readonly mount: StaticMount;
  readonly segments: readonly string[];
  readonly described: Described;
  /** Larger contents are not kept, only what is sent before them. */
  readonly smallBytesMax: number;
}

export class HotFiles {
  private readonly cache: HotCache;
  private readonly pages = new LentPages();
  private readonly states: Map<StaticMount, MountState>;
  private readonly byIndex: readonly MountState[];
  private readonly watches: Watches;
  private readonly loads = new Map<string, Load>();
  private readonly onChange: () => void;
  private isOff: boolean;
  private looksLeft = 0;
  private looksSinceMs = 0;

  constructor(
    mounts: readonly StaticMount[],
    options: { readonly cacheBytes: number; readonly onChange: () => void },
  ) {
    this.cache = new HotCache(options.cacheBytes);
    this.isOff = options.cacheBytes === 0;
    this.onChange = options.onChange;
    this.byIndex = mounts.map((mount, index) => ({
      mount,
      index,
      root: '',
      identity: '',
      checkedMs: Number.NEGATIVE_INFINITY,
      looking: null,
    }));
    this.states = new Map(this.byIndex.map((state) => [state.mount, state]));
    this.watches = new Watches({
      onFile: (path) => this.onFile(path),
      onTree: (path) => this.onTree(path),
    });
  }

  keyOf(mount: StaticMount, segments: readonly string[]): string {
    return `${this.states.get(mount)!.index}:${segments.join('/')}`;
  }

  /** The file this path has led to, if it may be sent without a look at the disk. */
  current(path: string, nowMs: number): HotFile | null {
    const file = this.cache.find(path);
    if (file === undefined) return null;
    const state = this.byIndex[file.mount]!;
    // Whoever comes while another looks is served as before.
    if (nowMs - state.checkedMs >= BELIEVED_MS && state.looking === null) return null;
    file.wasUsed = true;
    if (nowMs - file.checkedMs < BELIEVED_MS) return file;
    if (file.isWatched && !this.mayLook(nowMs)) return file;
    file.checkedMs = nowMs;
    return null;
  }

  private mayLook(nowMs: number): boolean {
    if (nowMs - this.looksSinceMs >= 1000) {
      this.looksSinceMs = nowMs;
      this.looksLeft = LOOKS_PER_SECOND;
    }
    if (this.looksLeft === 0) return false;
    this.looksLeft--;
    return true;
  }

  /** The file in memory, if it is what was found on disk just now. */
  confirmed(key: string, described: Described): HotFile | null {
    const file = this.cache.get(key);
    if (file === undefined) return null;
    if (!sameDescribed(file.described, described)) {
      this.cache.drop(key);
      return null;
    }
    file.checkedMs = performance.now();
    file.wasUsed = true;
    return file;
  }

  link(path: string, file: HotFile): void {
    this.cache.link(path, file);
  }

  /** The path leads to no file any more, or to another. */
  forget(path: string): void {
    const file = this.cache.find(path);
    if (file !== undefined) this.cache.drop(file.key);
  }

  /** Reads a file into memory; whoever asks for it meanwhile waits for the same read. Null: it
   *  changed while it was read. */
  load(key: string, of: ToLoad): Promise<HotFile | null> {
    const under = this.loads.get(key);
    if (under !== undefined && !under.isStale) return under.promise;
    const load: Load = { promise: this.read(key, of, () => load.isStale), isStale: false };
    this.loads.set(key, load);
    const done = (): void => {
      if (this.loads.get(key) === load) this.loads.delete(key);
    };
    load.promise.then(done, done);
    return load.promise;
  }

  private async read(
    key: string,
    { mount, segments, described, smallBytesMax }: ToLoad,
    isStale: () => boolean,
  ): Promise<HotFile | null> {
    const state = this.states.get(mount)!;
    const { file } = described.plain;
    // Before it is read: of what changes from here on the watch will tell.
    const isWatched =
      !this.isOff &&
      file.inside === undefined &&
      file.root === state.root &&
      isWithoutLinks(described, segments) &&
      this.watches.cover(file.root, dirname(join(file.root, file.path)));
    const checkedMs = performance.now();
    const all: Loaded[] = [];
    let bytes = 0;
    for (const representation of [described.plain, ...described.coded]) {
      const read = await contentOf(representation, smallBytesMax);
      if (read === 'changed') return null;
      // What is inside the executable is in memory anyway, unless it moves to be lent.
      const size = read?.length ?? 0;
      if (representation.file.inside === undefined || size > COPIED_BYTES_MAX) bytes += size;
      const content = read === null ? null : new HotContent(read, this.pages);
      const blocks = content === null ? this.blocksOf(representation, () => hot) : null;
      const isLarge = content === null && representation.file.inside === undefined;
      const kept = isLarge ? new KeptFile(representation.file) : null;
      all.push({ representation, content, blocks, kept });
    }
    const [plain, ...coded] = all as [Loaded, ...Loaded[]];
    const hot: HotFile = {
      key,
      mount: state.index,
      described,
      plain,
      coded,
      bytes,
      isWatched,
      checkedMs,
      wasUsed: false,
      paths: [],
    };
    if (!this.isOff && !isStale()) this.cache.put(hot);
    // Nothing would close it.
    if (this.cache.get(key) !== hot) closeAll(all);
    return hot;
  }

  /** Where the parts of a large file are kept; null where they would push out too much else. */
  private blocksOf({ file }: Representation, owner: () => HotFile): BlockStore | null {
    if (file.inside !== undefined) return blocksInside(file.inside);
    if (this.isOff || !this.cache.mayHold(file.stats.size)) return null;
    const blocks: Buffer[] = [];
    return {
      get: (index) => blocks[index],
      put: (index, block) => {
        if (blocks[index] === undefined && this.cache.grow(owner(), block.length))
          blocks[index] = block;
      },
    };
  }

  /** The real directory of a mount. It is looked up once a second at most: a release may be switched
   *  by a link above it, of which no watch below tells. '' where there is none. */
  async rootOf(mount: StaticMount): Promise<string> {
    const state = this.states.get(mount)!;
    const nowMs = performance.now();
    if (nowMs - state.checkedMs < BELIEVED_MS) return state.root;
    if (isInsideDir(mount.dir)) {
      state.checkedMs = nowMs;
      state.root = mount.dir;
      return mount.dir;
    }
    state.looking ??= this.lookAt(state, nowMs).finally(() => {
      state.looking = null;
    });
    return state.looking;
  }

  private async lookAt(state: MountState, nowMs: number): Promise<string> {
    const { mount } = state;
    let root = '';
    let identity = '';
    try {
      root = await realpath(mount.dir);
      const { dev, ino } = await stat(root);
      identity = `${dev}:${ino}`;
    } catch {
      // Then nothing of it is served either.
    }
    state.checkedMs = nowMs;
    if (identity !== state.identity || root !== state.root) this.dropMount(state);
    state.root = root;
    state.identity = identity;
    return root;
  }

  private dropMount({ index }: MountState): void {
    this.dropKeys((key) => key.startsWith(`${index}:`));
  }

  private onFile(path: string): void {
    const source = sourceOf(path);
    for (const state of this.byIndex) {
      this.touch(keyAt(state, path));
      if (source !== null) this.touch(keyAt(state, source));
    }
    this.onChange();
  }

  private touch(key: string | null): void {
    if (key === null) return;
    const load = this.loads.get(key);
    if (load !== undefined) load.isStale = true;
    this.cache.drop(key);
  }

  private onTree(path: string): void {
    for (const state of this.byIndex) {
      if (state.root === path || state.root.startsWith(path + sep)) this.dropMount(state);
      const key = keyAt(state, path);
      if (key !== null) this.dropKeys((other) => other.startsWith(`${key}/`));
    }
    this.onChange();
  }

  private dropKeys(isGone: (key: string) => boolean): void {
    for (const [key, load] of this.loads) if (isGone(key)) load.isStale = true;
    this.cache.dropWhere(isGone);
  }

  close(): void {
    this.isOff = true;
    this.watches.close();
    this.cache.dropWhere(() => true);
  }
}

function keyAt(state: MountState, path: string): string | null {
  const { root, index } = state;
  if (root === '' || !path.startsWith(root + sep)) return null;
  return `${index}:${path
    .slice(root.length + 1)
    .split(sep)
    .join('/')}`;
}

/** A link on the way to a file can be changed where no watch is. */
function isWithoutLinks({ plain, coded }: Described, segments: readonly string[]): boolean {
  const path = segments.join(sep);
  return (
    plain.file.path === path &&
    coded.every(({ file }) => file.root === plain.file.root && sourceOf(file.path) === path)
  );
}

async function contentOf(
  { file }: Representation,
  bytesMax: number,
): Promise<Buffer | null | 'changed'> {
  if (file.stats.size > bytesMax) return null;
  if (file.inside !== undefined) return file.inside.content;
  return (await readChecked(file)) ?? 'changed';
}
