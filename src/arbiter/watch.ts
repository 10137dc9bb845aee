// --reload: notices when the app's files change. Every directory is watched by itself, because the
// recursive watch of Node watches node_modules too.

import { type FSWatcher, readdirSync, watch } from 'node:fs';
import { join, relative, sep } from 'node:path';

/** Directories watched at most; inotify gives a user some ten thousand. */
const directoriesMax = 4096;
/** An editor or a compiler writes several files one after another: they are one change. */
const quietMs = 200;
/** Files that change all the time (a build that watches) don't put the reload off for ever. */
const patienceMs = 1000;

/** Directories of what is installed, and of what Python makes when it loads. */
const others: ReadonlySet<string> = new Set(['node_modules', '__pycache__', 'venv']);

export interface WatchOptions {
  readonly dir: string;
  /** Absolute paths of files and directories that do not count: logs, sockets, the pidfile. */
  readonly ignored: readonly string[];
  onChange(path: string): void;
  onProblem(text: string): void;
}

/** Watches until the returned function is called. */
export function watchFiles(options: WatchOptions): () => void {
  const { dir, ignored, onChange, onProblem } = options;
  const watchers = new Map<string, FSWatcher>();
  let timer: NodeJS.Timeout | null = null;
  let firstChangeMs = 0;
  let isFull = false;

  function counts(path: string): boolean {
    const parts = relative(dir, path).split(sep);
    if (parts.some((part) => others.has(part) || part.startsWith('.'))) return false;
    // What editors and apps leave beside the sources.
    if (/(~|\.(log|pid|sock|tmp|swp|sqlite3?|db)(-\w+)?)$/.test(path)) return false;
    return !ignored.some((other) => path === other || path.startsWith(other + sep));
  }

  function watchDir(path: string): void {
    if (watchers.has(path) || !(path === dir || counts(path))) return;
    if (watchers.size >= directoriesMax) {
      if (!isFull) onProblem(`More than ${directoriesMax} directories: not all are watched`);
      isFull = true;
      return;
    }
    let names: string[];
    try {
      // First the watch, then the list: what is made in between is seen by one of them.
      const watcher = watch(path, (_kind, name) => {
        if (name !== null) changed(join(path, name));
      });
      watcher.on('error', () => forget(path));
      watchers.set(path, watcher);
      names = readdirSync(path, { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map((entry) => entry.name);
    } catch (cause) {
      // A directory that is gone again; but none at all is worth a word.
      if (path === dir) onProblem(`Cannot watch ${dir}: ${cause}`);
      return;
    }
    for (const name of names) watchDir(join(path, name));
  }

  function forget(path: string): void {
    watchers.get(path)?.close();
    watchers.delete(path);
  }

  function changed(path: string): void {
    if (!counts(path)) return;
    // A directory that is gone closes its watch, one that is new gets one.
    forget(path);
    if (isDirectory(path)) watchDir(path);
    const now = performance.now();
    if (timer === null) firstChangeMs = now;
    else clearTimeout(timer);
    const waitMs = Math.max(0, Math.min(quietMs, firstChangeMs + patienceMs - now));
    timer = setTimeout(() => {
      timer = null;
      onChange(relative(dir, path));
    }, waitMs);
    timer.unref();
  }

  watchDir(dir);
  return () => {
    if (timer !== null) clearTimeout(timer);
    for (const path of [...watchers.keys()]) forget(path);
  };
}

function isDirectory(path: string): boolean {
  try {
    readdirSync(path);
    return true;
  } catch {
    return false;
  }
}
