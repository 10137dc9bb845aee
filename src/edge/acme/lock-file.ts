// A lock on a directory that machines share: one file with its owner in it, who changes it all the time.
// A lock that stands still for long enough, by the watch of who waits, is taken over: clocks of
// different machines are never compared.

import { randomUUID } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { link, open, readFile, rename, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { AcmeError } from './acme-error.ts';

export interface Lock {
  /** Throws when somebody has taken over (this process stood still for too long). */
  check(): Promise<void>;
  release(): Promise<void>;
}

export interface LockTimes {
  /** How often the owner changes the file. */
  readonly beatMs: number;
  /** Many beats: a busy machine must not lose its lock. */
  readonly staleMs: number;
}

export const usualTimes: LockTimes = { beatMs: 5_000, staleMs: 40_000 };

/** One stall of the one who looks must not pass for one of the owner. */
const looksMin = 3;
const lockBytesMax = 4096;

interface Owner {
  readonly id: string;
  readonly pid: number;
  /** Names the machine's boot and the space its pids are of; '' where they can't be known. */
  readonly place: string;
}

export class LockFile {
  private readonly path: string;
  private readonly times: LockTimes;
  private seen = { text: '', sinceMs: 0, looks: 0 };

  constructor(path: string, times: LockTimes = usualTimes) {
    this.path = path;
    this.times = times;
  }

  /** Null while another has it: ask again later. */
  async tryTake(): Promise<Lock | null> {
    return (await this.create()) ?? ((await this.clearStale()) ? await this.create() : null);
  }

  private async create(): Promise<Lock | null> {
    const owner = { id: randomUUID(), pid: process.pid, place: ownPlace() };
    try {
      const file = await open(this.path, 'wx', 0o600);
      try {
        await file.writeFile(textOf(owner, 0));
      } finally {
        await file.close();
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return null;
      throw error;
    }
    return hold(this.path, owner, this.times.beatMs);
  }

  /** Removes a lock whose owner is dead, or has not stirred for as long as this one has looked. */
  private async clearStale(): Promise<boolean> {
    const text = await textAt(this.path);
    if (text === null) return true;
    const now = performance.now();
    if (text !== this.seen.text) this.seen = { text, sinceMs: now, looks: 0 };
    this.seen.looks++;
    const { sinceMs, looks } = this.seen;
    const stoodStill = now - sinceMs >= this.times.staleMs && looks >= looksMin;
    if (!stoodStill && !isDead(text)) return false;
    // Out of the way under a name of its own: of two that come to this point only one finds it.
    const moved = `${this.path}.${randomUUID()}.stale`;
    try {
      await rename(this.path, moved);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
      throw error;
    }
    // Somebody else did the same and has taken it since: that one keeps it.
    const wasStale = (await textAt(moved)) === text;
    if (!wasStale) await link(moved, this.path).catch(() => {});
    await rm(moved, { force: true });
    return wasStale;
  }
}

function hold(path: string, owner: Owner, beatMs: number): Lock {
  let beat = 0;
  let isLost = false;
  let last: Promise<void> = Promise.resolve();
  const stir = async (): Promise<void> => {
    if (isLost) return;
    try {
      const file = await open(path, 'r+');
      try {
        // By one handle: what is written goes to what was looked at, whatever has that name by now.
        const { buffer, bytesRead } = await file.read(
          Buffer.alloc(lockBytesMax),
          0,
          lockBytesMax,
          0,
        );
        if (ownerOf(buffer.toString('utf8', 0, bytesRead))?.id !== owner.id) isLost = true;
        else await file.write(textOf(owner, ++beat), 0);
      } finally {
        await file.close();
      }
    } catch (error) {
      // A disk that fails for a moment is no loss of the lock.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') isLost = true;
    }
  };
  let isStirring = false;
  const timer = setInterval(() => {
    // A disk that hangs gathers no queue.
    if (isStirring) return;
    isStirring = true;
    last = last.then(stir).finally(() => {
      isStirring = false;
    });
  }, beatMs);
  timer.unref();
  return {
    async check() {
      last = last.then(stir);
      await last;
      if (isLost)
        throw new AcmeError('ACME_STORAGE', 'another instance has taken over the lock', {
          remedy: 'Nothing: that instance goes on. This one stood still for too long.',
        });
    },
    async release() {
      clearInterval(timer);
      await last;
      const text = await textAt(path);
      if (text !== null && ownerOf(text)?.id === owner.id) await rm(path, { force: true });
    },
  };
}

/** As long at each beat, so that a later one covers an earlier one. */
function textOf({ id, pid, place }: Owner, beat: number): string {
  const at = { id, pid, place, host: hostname(), beat: String(beat).padStart(10, '0') };
  return `${JSON.stringify(at)}\n`;
}

async function textAt(path: string): Promise<string | null> {
  try {
    return (await readFile(path, 'utf8')).slice(0, lockBytesMax);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

function ownerOf(text: string): Owner | null {
  try {
    const { id, pid, place } = JSON.parse(text) as Partial<Owner>;
    const fits = typeof id === 'string' && typeof pid === 'number' && typeof place === 'string';
    return fits ? { id, pid, place } : null;
  } catch {
    return null;
  }
}

/** Of this machine since it was started, and among the pids that are seen from here. */
function isDead(text: string): boolean {
  const owner = ownerOf(text);
  if (owner === null || owner.place === '' || owner.place !== ownPlace()) return false;
  if (!Number.isSafeInteger(owner.pid) || owner.pid <= 0) return false;
  try {
    process.kill(owner.pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

/** '' on other systems than Linux: there only standing still tells. */
function ownPlace(): string {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return `${boot} ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return '';
  }
}
