// The runtime directory: the control socket and the workers' sockets. Nobody else can enter or
// change it; what dead instances left is removed.
//
//   …/portico/            0700, or 0711 with --user        (not with --runtime-dir)
//   …/portico/4711/       0700, or 0711 with --user        the runtime directory, by pid
//   …/portico/4711/control.sock     0600
//   …/portico/4711/workers/         0700, owned by --user

import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  rmdirSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { selfCommand } from '../executable/self.ts';
import type { Identity } from './identity.ts';
import { isAlive } from './pidfile.ts';
import { answers, removeSocketFile, unixPathBytesMax } from './sockets.ts';

/** A worker's socket beneath the runtime directory, at its longest: "/workers/1234567-64.sock". */
const longestTail = '/workers/1234567-64.sock';

export type Prepared =
  | { readonly ok: true; readonly path: string; remove(): void }
  | { readonly ok: false; readonly problem: string };

/** Directories that may hold an instance's runtime directory, named by pid. */
export function runtimeBases(): string[] {
  const uid = process.getuid?.() ?? 0;
  const fallback = join(tmpdir(), `portico-${uid}`);
  const xdg = process.env.XDG_RUNTIME_DIR;
  const bases = [];
  if (xdg?.startsWith('/')) bases.push(join(xdg, 'portico'));
  if (uid === 0) bases.push('/run/portico');
  return [...bases, fallback];
}

/** Makes the runtime directory: `wanted` exactly, or one by pid in the first base that can be used. */
export async function prepareRuntimeDir(
  wanted: string | null,
  identity: Identity | null,
): Promise<Prepared> {
  const mode = identity === null ? 0o700 : 0o711;
  if (wanted !== null) {
    const problem = makeOwn(wanted, mode) ?? (await inUse(wanted)) ?? fill(wanted, identity);
    return problem === null ? ready(wanted) : { ok: false, problem };
  }
  const problems: string[] = [];
  for (const base of runtimeBases()) {
    const path = join(base, String(process.pid));
    const problem = makeOwn(base, mode) ?? (await makeFresh(base, path, mode, identity));
    if (problem === null) return ready(path);
    problems.push(problem);
  }
  return { ok: false, problem: `${problems.join('; ')}. Choose one with --runtime-dir` };
}

async function makeFresh(
  base: string,
  path: string,
  mode: number,
  identity: Identity | null,
): Promise<string | null> {
  await removeDead(base);
  // Of a former process with this number: the number is ours now.
  clear(path);
  return makeOwn(path, mode) ?? fill(path, identity);
}

function ready(path: string): Prepared {
  return {
    ok: true,
    path,
    remove: () => clear(path),
  };
}

/** Removes what is ours in a runtime directory, and itself. By name, never a whole tree: `workers`
 *  is the unprivileged user's, who could lead root out of it by a link put there meanwhile. */
function clear(path: string): void {
  removeSocketFile(join(path, 'control.sock'));
  removeWorkerSockets(join(path, 'workers'));
  removeCaches(join(path, 'workers'));
  // Only while they are empty: with --runtime-dir there may be files that are not ours.
  for (const dir of [join(path, 'workers'), path]) {
    try {
      rmdirSync(dir);
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') return;
    }
  }
}

function removeWorkerSockets(workers: string): void {
  for (const name of namesIn(workers)) {
    if (/^\d+(-\d+)?\.sock$/.test(name)) removeSocketFile(join(workers, name));
  }
}

/** Compiled code that workers kept for each other. Whole trees, so they are removed as whoever owns
 *  them: a link that is put there meanwhile leads no further than that user may go anyway. */
function removeCaches(workers: string): void {
  const trees = ['jiti', 'compile-cache'].filter((name) => namesIn(workers).includes(name));
  if (trees.length === 0) return;
  const paths = trees.map((name) => join(workers, name));
  try {
    const { uid, gid } = lstatSync(workers);
    if (uid === process.getuid?.()) for (const path of paths) rmSync(path, { recursive: true });
    else {
      const self = selfCommand({ args: paths });
      const env = { PORTICO_ROLE: 'remove' };
      const options = { uid, gid, cwd: '/', env, stdio: 'ignore', timeout: 10_000 } as const;
      spawnSync(self.file, self.args, options);
    }
  } catch {
    // They stay, and the directory with them: nothing that a stop or a start should fail by.
  }
}

/** Makes the directory if it is missing, and makes sure that only this user can change it. */
function makeOwn(path: string, mode: number): string | null {
  try {
    const isNew = mkdirSync(path, { recursive: true, mode }) !== undefined;
    // Not through a symbolic link: in /tmp anybody may put one where our directory would be.
    const stat = lstatSync(path);
    const uid = process.getuid?.() ?? stat.uid;
    if (!stat.isDirectory()) return `${path} is no directory`;
    if (stat.uid !== uid) return `${path} belongs to another user (${stat.uid})`;
    if ((stat.mode & 0o022) !== 0) return `${path} can be written by other users`;
    // The umask takes from a new one's mode; an old one gets what the workers' user needs to pass.
    const needed = isNew ? mode : stat.mode | (mode & 0o011);
    if (needed !== stat.mode) chmodSync(path, needed & 0o7777);
    return null;
  } catch (cause) {
    return `Cannot make the directory ${path}: ${reasonOf(cause)}`;
  }
}

/** Makes what is in a runtime directory: `workers`, owned by whom the workers run as. */
function fill(path: string, identity: Identity | null): string | null {
  const bytes = Buffer.byteLength(path + longestTail);
  if (bytes > unixPathBytesMax) {
    const most = unixPathBytesMax - longestTail.length;
    return `The runtime directory ${path} is too long for Unix sockets: at most ${most} bytes`;
  }
  const workers = join(path, 'workers');
  try {
    mkdirSync(workers, { recursive: true, mode: 0o700 });
    if (!lstatSync(workers).isDirectory()) return `${workers} is no directory`;
    chmodSync(workers, 0o700);
    if (identity !== null) chownSync(workers, identity.uid, identity.gid);
    removeWorkerSockets(workers);
    return null;
  } catch (cause) {
    return `Cannot make the directory ${workers}: ${reasonOf(cause)}`;
  }
}

/** A directory given by name may be a running instance's. */
async function inUse(path: string): Promise<string | null> {
  const control = join(path, 'control.sock');
  if (statSync(control, { throwIfNoEntry: false }) === undefined) return null;
  if (await answers(control)) return `The runtime directory ${path} is another instance's`;
  removeSocketFile(control);
  return null;
}

/** Removes the directories of instances that have ended without doing so. */
async function removeDead(base: string): Promise<void> {
  for (const { name, path } of instanceDirs(base)) {
    // The second question is for containers that share a base: pids there say nothing here.
    if (isAlive(Number(name)) || (await answers(join(path, 'control.sock')))) continue;
    clear(path);
  }
}

/** Runtime directories beneath a base, of instances that run and of dead ones. */
export function instanceDirs(base: string): { name: string; path: string }[] {
  return namesIn(base)
    .filter((name) => /^\d+$/.test(name))
    .map((name) => ({ name, path: join(base, name) }));
}

function namesIn(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    return [];
  }
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
