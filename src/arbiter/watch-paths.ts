// Notices when files are replaced, also behind symbolic links, as certbot and Kubernetes replace them.

import { type FSWatcher, readlinkSync, statSync, watch } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/** Certificate and key are written one after the other. */
const quietMs = 200;
/** A directory in which something changes all the time. */
const patienceMs = 1000;
/** What is not good after a change may be half of one: a script that copies two files, slowly. */
const confirmMs = 2000;
/** Not every file system tells of changes: NFS, some containers' mounts. */
const recheckMs = 60_000;
/** As many as the kernel follows. */
const linksMax = 40;

/** Calls `check` soon after the files have changed, and once at first, until the returned function is
 *  called. Where it says that they are not good, it is asked again, at last and if need be with true. */
export function watchPaths(
  paths: readonly string[],
  check: (isFinal: boolean) => Promise<boolean>,
): () => void {
  const watchers = new Map<string, FSWatcher>();
  let seen = '';
  let isOver = false;
  let isBusy = false;
  let isDue = false;
  let firstEventMs = 0;
  let timer: NodeJS.Timeout | null = null;

  function later(ms: number): void {
    if (timer !== null) clearTimeout(timer);
    timer = setTimeout(() => {
      timer = null;
      void look();
    }, ms);
    timer.unref();
  }

  function changed(): void {
    const now = performance.now();
    if (timer === null) firstEventMs = now;
    later(Math.max(0, Math.min(quietMs, firstEventMs + patienceMs - now)));
  }

  async function look(): Promise<void> {
    isDue = true;
    if (isBusy) return;
    isBusy = true;
    while (isDue && !isOver) {
      isDue = false;
      // First the watches, then the look: what changes in between is seen by one of them.
      follow();
      const print = fingerprint(paths);
      if (print === seen) continue;
      seen = print;
      if (await check(false)) continue;
      await new Promise<void>((done) => setTimeout(done, confirmMs).unref());
      if (isOver) break;
      if (fingerprint(paths) === print) await check(true);
      else isDue = true;
    }
    isBusy = false;
  }

  /** Watches the directories that the paths lead through now. */
  function follow(): void {
    const wanted = new Set(paths.flatMap((path) => [...directories(path)]));
    for (const [dir, watcher] of watchers) {
      if (wanted.has(dir)) continue;
      watcher.close();
      watchers.delete(dir);
    }
    for (const dir of wanted) {
      if (watchers.has(dir)) continue;
      try {
        const watcher = watch(dir, { persistent: false }, changed);
        watcher.on('error', () => {
          watcher.close();
          watchers.delete(dir);
        });
        watchers.set(dir, watcher);
      } catch {
        // Gone, closed to us, or the limit of watches is reached: the look once a minute remains.
      }
    }
  }

  const ticker = setInterval(() => void look(), recheckMs).unref();
  void look();
  return () => {
    isOver = true;
    clearInterval(ticker);
    if (timer !== null) clearTimeout(timer);
    for (const watcher of watchers.values()) watcher.close();
  };
}

/** The directory of the file and of each symbolic link on the way to it. */
function directories(path: string): Set<string> {
  const found = new Set([dirname(path)]);
  let at = '/';
  let rest = path.split('/').filter((part) => part !== '');
  for (let links = 0; rest.length > 0 && links <= linksMax; ) {
    const next = join(at, rest[0]!);
    rest = rest.slice(1);
    let target: string;
    try {
      target = readlinkSync(next);
    } catch {
      at = next;
      continue;
    }
    links += 1;
    found.add(at);
    rest = [
      ...resolve(at, target)
        .split('/')
        .filter((part) => part !== ''),
      ...rest,
    ];
    at = '/';
  }
  return found.add(dirname(at));
}

function fingerprint(paths: readonly string[]): string {
  return paths
    .map((path) => {
      try {
        const { dev, ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
        return [dev, ino, size, mtimeNs, ctimeNs].join();
      } catch (error) {
        return (error as NodeJS.ErrnoException).code;
      }
    })
    .join(';');
}
