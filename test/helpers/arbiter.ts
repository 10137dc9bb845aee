// Runs the arbiter as a process, with fake children, and looks at what it does.

import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { TestContext } from 'node:test';
import { askArbiter } from '../../src/arbiter/control/client.ts';
import type { Reply, Request, Status } from '../../src/arbiter/control/protocol.ts';
import type { Config } from '../../src/config/config.ts';
import { testConfig } from './config.ts';
import { statusOf } from './status.ts';
import { until } from './until.ts';

/** What the fake edge answers to any request. */
export interface EdgeView {
  readonly pid: number;
  readonly config: Config;
  readonly workers: readonly { readonly id: number; readonly slot: number; readonly pid: number }[];
  /** Kinds of the messages it got, in order. */
  readonly log: readonly string[];
}

export interface ArbiterProcess {
  readonly pid: number;
  readonly dir: string;
  readonly runtimeDir: string;
  /** All it and its children printed so far. */
  log(): string;
  /** Changes the settings that the next reload reads. */
  setConfig(changes: Partial<Config>): void;
  /** What the next reload reads, as text. */
  setConfigText(text: string): void;
  signal(name: NodeJS.Signals): void;
  ask(request: Request): Promise<Reply>;
  status(): Promise<Status>;
  /** Waits until the status is as wanted, and returns it. */
  statusIs(what: string, isRight: (status: Status) => boolean): Promise<Status>;
  logged(pattern: RegExp): Promise<void>;
  /** Asks the edge over the first address, or the one given. */
  edge(url?: string): Promise<EdgeView>;
  /** Pids of workers that serve, by slot. */
  serving(): Promise<number[]>;
  readonly exited: Promise<number | NodeJS.Signals>;
}

export interface ArbiterOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Default true: a runtime directory of its own in the test's directory. */
  readonly ownRuntimeDir?: boolean;
  readonly uid?: number;
  readonly gid?: number;
  /** Default true. */
  readonly waits?: boolean;
}

export const fakeChild = resolve('test/fixtures/fake-child.mjs');

/** A directory that is gone after the test. */
export function tempDir(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'portico-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** Starts the arbiter with fake children and waits until it runs. */
export async function startArbiter(
  t: TestContext,
  changes: Partial<Config> = {},
  options: ArbiterOptions = {},
): Promise<ArbiterProcess> {
  const { env = {}, ownRuntimeDir = true, uid, gid, waits = true } = options;
  const dir = tempDir(t);
  // For those tests whose processes run as somebody else.
  chmodSync(dir, 0o755);
  const runtimeDir = ownRuntimeDir ? join(dir, 'run') : (changes.runtimeDir ?? '');
  const file = join(dir, 'config.json');
  let config = testConfig({ runtimeDir: runtimeDir === '' ? null : runtimeDir, ...changes });
  writeFileSync(file, JSON.stringify(config));
  const main = resolve(import.meta.dirname, 'arbiter-main.js');
  const child = spawn(process.execPath, [main, file, fakeChild], {
    cwd: dir,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
  });
  const { log, exited } = follow(child);
  t.after(async () => {
    await endProcess(child, exited);
    if (process.env.ARBITER_LOG) t.diagnostic(`it printed:\n${log().slice(-4000)}`);
  });

  const status = () => statusOf(runtimeDir);
  const statusIs: ArbiterProcess['statusIs'] = (what, isRight) =>
    until(what, async () => {
      const now = await status();
      return isRight(now) ? now : null;
    }).catch((cause) => {
      throw new Error(`${cause}; it printed:\n${log()}`);
    });
  const arbiter: ArbiterProcess = {
    pid: child.pid as number,
    dir,
    runtimeDir,
    log,
    setConfig(next) {
      config = { ...config, ...next };
      writeFileSync(file, JSON.stringify(config));
    },
    setConfigText: (text) => writeFileSync(file, text),
    signal: (name) => void child.kill(name),
    ask: (request) => askArbiter(runtimeDir, request),
    status,
    statusIs,
    logged: (pattern) =>
      until(`the log to match ${pattern}`, () => (pattern.test(log()) ? true : null)).then(
        () => {},
        (cause) => {
          throw new Error(`${cause}; it printed:\n${log()}`);
        },
      ),
    async edge(url) {
      const address = url ?? log().match(/Listening at: (http:\S+)/)?.[1];
      return (await (await fetch(address ?? '')).json()) as EdgeView;
    },
    async serving() {
      const { workers } = await status();
      return workers.filter(({ phase }) => phase === 'serving').map(({ pid }) => pid as number);
    },
    exited,
  };
  if (waits) await arbiter.logged(/Listening at: /);
  return arbiter;
}

/** Whether the process has ended, be it that nobody has reaped it. */
export function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === 'ESRCH';
  }
  try {
    return /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return process.platform === 'linux';
  }
}

function follow(child: ChildProcess): {
  log: () => string;
  exited: Promise<number | NodeJS.Signals>;
} {
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
    });
  }
  const exited = new Promise<number | NodeJS.Signals>((done) => {
    child.once('exit', (code, signal) => done(signal ?? code ?? 1));
  });
  return { log: () => printed, exited };
}

async function endProcess(child: ChildProcess, exited: Promise<unknown>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGQUIT');
  const hard = setTimeout(() => child.kill('SIGKILL'), 8000);
  await exited;
  clearTimeout(hard);
}
