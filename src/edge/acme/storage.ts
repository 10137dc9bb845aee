// What ACME keeps on disk, for all edges and machines that share the directory.
//
//   …/acme/                                   0700
//     challenges/http-01/TOKEN                what to answer
//     challenges/tls-alpn-01/HOST.pem         key and certificate to answer with (RFC 8737)
//     acme-v02.api.letsencrypt.org-directory/ one for each CA
//       account.key, account.json             0600
//       certificates/HOST.pem                 key, then chain: one file, so that they always fit
//       state/HOST.json                       last error, next try, what the CA says on renewal
//       locks/HOST.lock

import { createPrivateKey, generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { link, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ownDirectory } from '../kept-builds/store.ts';
import type { AccountRecord } from './account.ts';
import type { AcmeCode } from './acme-error.ts';
import type { ChallengeType } from './problem.ts';
import type { Window } from './schedule.ts';

const fileBytesMax = 256 * 1024;
/** No validation takes so long: the file was left by a process that was killed. */
const challengeMsMax = 3_600_000;

export interface KeptPair {
  readonly certPem: string;
  readonly keyPem: string;
  /** Changes whenever the file does. */
  readonly mark: string;
}

/** What all edges should know of a name. */
export interface NameState {
  /** In a row. */
  readonly failures: number;
  /** Wall clock; 0 = at once. */
  readonly nextTryMs: number;
  readonly lastTryMs: number;
  readonly lastError: { readonly code: AcmeCode; readonly text: string } | null;
  /** When the present certificate was had. */
  readonly obtainedMs: number;
  readonly window: Window | null;
  /** When to ask the CA again when to renew. */
  readonly nextLookMs: number;
}

const freshState: NameState = {
  failures: 0,
  nextTryMs: 0,
  lastTryMs: 0,
  lastError: null,
  obtainedMs: 0,
  window: null,
  nextLookMs: 0,
};

export class AcmeStorage {
  readonly dir: string;
  private readonly caDir: string;

  constructor(dir: string, directoryUrl: string) {
    this.dir = dir;
    const { host, pathname } = new URL(directoryUrl);
    this.caDir = join(dir, `${host}${pathname}`.replaceAll(/[^A-Za-z0-9.]+/g, '-').slice(0, 120));
  }

  /** Makes the directories. Throws where they are another's or can't be made. */
  async prepare(): Promise<void> {
    // The way to it stays passable for edges that will run as another user.
    await mkdir(dirname(this.dir), { recursive: true, mode: 0o755 });
    for (const path of [
      this.dir,
      join(this.dir, 'challenges'),
      join(this.dir, 'challenges', 'http-01'),
      join(this.dir, 'challenges', 'tls-alpn-01'),
      this.caDir,
      ...['certificates', 'state', 'locks'].map((name) => join(this.caDir, name)),
    ])
      await ownDirectory(path);
    await this.clearChallenges();
  }

  /** Made by whoever is first: a link fails where a name is taken, so no two use different keys. */
  async accountKey(): Promise<KeyObject> {
    const path = join(this.caDir, 'account.key');
    const known = await readText(path);
    if (known !== null) return createPrivateKey(known);
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const temporary = await writeTemporary(
      path,
      privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    );
    try {
      await link(temporary, path);
    } catch (error) {
      // A file system without links: of two keys made in the same instant the later one stays.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') await rename(temporary, path);
    } finally {
      await rm(temporary, { force: true });
    }
    return createPrivateKey((await readText(path)) ?? '');
  }

  async account(): Promise<AccountRecord | null> {
    const { url, email } = await readJson<AccountRecord>(join(this.caDir, 'account.json'));
    return typeof url === 'string' && typeof email === 'string' ? { url, email } : null;
  }

  async keepAccount(record: AccountRecord): Promise<void> {
    await writeWhole(join(this.caDir, 'account.json'), JSON.stringify(record));
  }

  /** Null where there is none, or none but `mark`, which is known. */
  async certificate(host: string, mark: string): Promise<KeptPair | null> {
    const path = this.certificatePath(host);
    const found = await markOf(path);
    if (found === null || found === mark) return null;
    const text = await readText(path);
    const end = '-----END PRIVATE KEY-----\n';
    const at = text?.indexOf(end) ?? -1;
    if (text === null || at === -1) return null;
    const cut = at + end.length;
    return { keyPem: text.slice(0, cut), certPem: text.slice(cut), mark: found };
  }

  async keepCertificate(host: string, pair: Pick<KeptPair, 'certPem' | 'keyPem'>): Promise<void> {
    await writeWhole(this.certificatePath(host), `${pair.keyPem.trimEnd()}\n${pair.certPem}`);
  }

  async state(host: string): Promise<NameState> {
    const kept = await readJson<NameState>(this.statePath(host));
    return {
      failures: count(kept.failures),
      nextTryMs: count(kept.nextTryMs),
      lastTryMs: count(kept.lastTryMs),
      lastError: typeof kept.lastError?.text === 'string' ? kept.lastError : null,
      obtainedMs: count(kept.obtainedMs),
      window: isWindow(kept.window) ? kept.window : null,
      nextLookMs: count(kept.nextLookMs),
    };
  }

  async keepState(host: string, state: Partial<NameState>): Promise<NameState> {
    const next = { ...freshState, ...(await this.state(host)), ...state };
    await writeWhole(this.statePath(host), JSON.stringify(next));
    return next;
  }

  lockPath(host: string): string {
    return join(this.caDir, 'locks', `${host}.lock`);
  }

  challengePath(type: ChallengeType, name: string): string {
    return join(this.dir, 'challenges', type, type === 'http-01' ? name : `${name}.pem`);
  }

  async keepChallenge(type: ChallengeType, name: string, text: string): Promise<void> {
    await writeWhole(this.challengePath(type, name), text);
  }

  async challenge(type: ChallengeType, name: string): Promise<string | null> {
    return readText(this.challengePath(type, name));
  }

  challengeNow(type: ChallengeType, name: string): string | null {
    try {
      return readFileSync(this.challengePath(type, name), 'utf8');
    } catch (error) {
      return missing(error);
    }
  }

  async dropChallenge(type: ChallengeType, name: string): Promise<void> {
    await rm(this.challengePath(type, name), { force: true });
  }

  private async clearChallenges(): Promise<void> {
    for (const type of ['http-01', 'tls-alpn-01']) {
      const dir = join(this.dir, 'challenges', type);
      for (const name of await readdir(dir)) {
        const found = await stat(join(dir, name)).catch(() => null);
        if (found !== null && Date.now() - found.mtimeMs > challengeMsMax)
          await rm(join(dir, name), { force: true });
      }
    }
  }

  private certificatePath(host: string): string {
    return join(this.caDir, 'certificates', `${host}.pem`);
  }

  private statePath(host: string): string {
    return join(this.caDir, 'state', `${host}.json`);
  }
}

function count(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : 0;
}

function isWindow(value: unknown): value is Window {
  const { startMs, endMs } = (value ?? {}) as Partial<Window>;
  return typeof startMs === 'number' && typeof endMs === 'number' && startMs <= endMs;
}

async function markOf(path: string): Promise<string | null> {
  try {
    const { mtimeMs, size, ino } = await stat(path);
    return `${mtimeMs} ${size} ${ino}`;
  } catch (error) {
    return missing(error);
  }
}

async function readText(path: string): Promise<string | null> {
  try {
    const { size } = await stat(path);
    if (size > fileBytesMax) throw new Error(`${path} is larger than ${fileBytesMax} bytes`);
    return await readFile(path, 'utf8');
  } catch (error) {
    return missing(error);
  }
}

function missing(error: unknown): null {
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
  throw error;
}

/** What can't be read as JSON is as if it were not there: all of it can be had anew. */
async function readJson<T>(path: string): Promise<Partial<T>> {
  try {
    const value: unknown = JSON.parse((await readText(path)) ?? '{}');
    return typeof value === 'object' && value !== null ? (value as Partial<T>) : {};
  } catch (error) {
    if (error instanceof SyntaxError) return {};
    throw error;
  }
}

/** The disk has it before the name points to it: others see the old one or the new one. */
async function writeWhole(path: string, text: string): Promise<void> {
  const temporary = await writeTemporary(path, text);
  try {
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

async function writeTemporary(path: string, text: string): Promise<string> {
  const temporary = `${path}.${randomUUID()}.tmp`;
  const file = await open(temporary, 'wx', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  } finally {
    await file.close();
  }
  return temporary;
}
