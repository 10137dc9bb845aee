// Watches the directories of hot files, so that an edit shows with the next request.

import { type FSWatcher, watch } from 'node:fs';
import { basename, dirname, join, sep } from 'node:path';

/** A watch takes about 1 KB of kernel memory; what is beyond is looked at once a second instead. */
const WATCHES_MAX = 1024;

export interface WatchEvents {
  /** This file may have changed, come or gone. */
  onFile(path: string): void;
  /** Anything below may have changed. */
  onTree(path: string): void;
}

export class Watches {
  private readonly events: WatchEvents;
  private readonly open = new Map<string, FSWatcher>();

  constructor(events: WatchEvents) {
    this.events = events;
  }

  /** Whether each directory from `root` down to `dir` is watched now. Renaming one is an event of
   *  the one above it, so all of them have to be. */
  cover(root: string, dir: string): boolean {
    for (let at = dir; ; at = dirname(at)) {
      if (!this.add(at)) return false;
      if (at === root) return true;
      if (!at.startsWith(root)) return false;
    }
  }

  private add(dir: string): boolean {
    if (this.open.has(dir)) return true;
    if (this.open.size >= WATCHES_MAX) return false;
    try {
      const watcher = watch(dir, { persistent: false }, (_, name) => this.onEvent(dir, name));
      watcher.on('error', () => this.forget(dir));
      this.open.set(dir, watcher);
      return true;
    } catch {
      // Out of watches (fs.inotify.max_user_watches), or a file system without.
      return false;
    }
  }

  private onEvent(dir: string, name: string | null): void {
    if (name === null) {
      this.forget(dir);
      return;
    }
    // The directory itself was moved or deleted: libuv then gives its own name.
    if (name === basename(dir)) this.forget(dir);
    const path = join(dir, name);
    if (this.open.has(path)) this.forget(path);
    this.events.onFile(path);
  }

  /** Whatever was said of what is below no longer holds. */
  private forget(dir: string): void {
    for (const [path, watcher] of this.open)
      if (path === dir || path.startsWith(dir + sep)) {
        watcher.close();
        this.open.delete(path);
      }
    this.events.onTree(dir);
  }

  close(): void {
    for (const watcher of this.open.values()) watcher.close();
    this.open.clear();
  }
}
