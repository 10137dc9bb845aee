// Puts the files that an executable carries along where the app can load them: a private directory that goes when the
// instance does.

import { createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type Identity, resolveIdentity } from '../arbiter/identity.ts';
import { isAlive } from '../arbiter/pidfile.ts';
import { builtApp } from '../config/built-app.ts';
import type { Config } from '../config/config.ts';
import { setCarriedDir } from '../executable/carried-dir.ts';
import { insideBytes, insideText } from '../executable/inside.ts';
import { withBase } from '../executable/run-part.ts';

/** [path, bytes, SHA-256, whether it may be run], by path; and the contents one after another. */
export const carriedTablePart = 'carried.json';
export const carriedContentPart = 'carried.bin';
/** The app's own code where it has to be a file; it says by tokens where it is. */
export const appModule = 'portico-app.mjs';

/** Numbers of processes mean something in one PID namespace only: containers may share a directory. */
const prefix = `portico-carried-${pidNamespace()}-`;

/** systemd-tmpfiles removes old files from /tmp, but none with this bit (XDG Base Directory Specification). */
const stays = process.platform === 'linux' ? 0o1000 : 0;

export type Carried =
  | { readonly ok: true; remove(): void }
  | { readonly ok: false; readonly problem: string };

/** Puts them there for the processes that are started next, as whoever those will be. */
export function carriedFor(config: Config): Carried {
  if (builtApp === null || !builtApp.hasCarried) return { ok: true, remove: () => {} };
  const identity = resolveIdentity(config);
  return identity.ok ? extract(identity.identity) : identity;
}

/** `identity`: who is to read them besides this user. */
function extract(identity: Identity | null): Carried {
  let dir = '';
  const remove = (): void => rmSync(dir, { recursive: true, force: true });
  try {
    removeDead();
    // Nobody else can have made it, nor look into it: its name is new, and its mode 0700.
    dir = mkdtempSync(join(tmpdir(), `${prefix}${process.pid}-`));
    writeAll(dir, identity);
    setCarriedDir(dir);
    return { ok: true, remove };
  } catch (error) {
    if (dir !== '') remove();
    const reason = (error as Error).message;
    return {
      ok: false,
      problem: `Cannot put the files that this executable carries along into ${tmpdir()}: ${reason}. Choose another directory by TMPDIR`,
    };
  }
}

function writeAll(dir: string, identity: Identity | null): void {
  const table: readonly [string, number, string, number][] = JSON.parse(
    insideText(carriedTablePart) ?? '[]',
  );
  const contents = insideBytes(carriedContentPart) ?? Buffer.alloc(0);
  // The workers of another user read by their group, and change nothing.
  const mode = identity === null ? 0o700 : 0o750;
  const give = (path: string, its: number): void => {
    chmodSync(path, its);
    if (identity !== null) chownSync(path, process.getuid!(), identity.gid);
  };
  const made = new Set<string>();
  const makeDirectory = (path: string): void => {
    if (made.has(path) || path === dirname(dir)) return;
    makeDirectory(dirname(path));
    mkdirSync(path, { recursive: true, mode });
    give(path, mode);
    made.add(path);
  };
  let at = 0;
  for (const [path, bytes, hash, isProgram] of table) {
    const content = contents.subarray(at, at + bytes);
    at += bytes;
    if (createHash('sha256').update(content).digest('hex') !== hash)
      throw new Error(`${path} is not what was built: the executable is damaged`);
    const file = join(dir, path);
    makeDirectory(dirname(file));
    writeFileSync(
      file,
      path === appModule ? withBase(content.toString(), dir) : Buffer.from(content),
      { flag: 'wx' },
    );
    give(file, stays | (isProgram === 1 ? mode : mode & 0o640));
  }
}

function pidNamespace(): string {
  try {
    return /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0] ?? '0';
  } catch {
    return '0';
  }
}

/** What instances left that were killed. */
function removeDead(): void {
  for (const name of readdirSync(tmpdir())) {
    const pid = name.startsWith(prefix) ? Number.parseInt(name.slice(prefix.length), 10) : 0;
    if (!(pid > 0) || isAlive(pid)) continue;
    const path = join(tmpdir(), name);
    try {
      const stat = lstatSync(path);
      if (stat.isDirectory() && stat.uid === process.getuid?.())
        rmSync(path, { recursive: true, force: true });
    } catch {
      // Another start removes it at the same time.
    }
  }
}
