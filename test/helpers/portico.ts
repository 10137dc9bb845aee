// Starts the whole program, as a user would, and stops it when the test is over.

import { type ChildProcess, spawn } from 'node:child_process';
import { chownSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { Watchers } from './watchers.ts';

export const repositoryRoot = resolve(import.meta.dirname, '../../..');

/** Whose end is the program's end: a test's context, or a suite's `cleanup()`. */
export interface Owner {
  after(act: () => Promise<void>): void;
  diagnostic?(message: string): void;
}

export interface PorticoProcess {
  /** "http://127.0.0.1:PORT" (or https) of the first TCP bind. */
  readonly origin: string;
  readonly port: number;
  /** The arbiter's. */
  readonly pid: number;
  readonly runtimeDir: string;
  /** All it printed so far, standard output and error together. */
  log(): string;
  /** Resolves when what it printed since `from` (a length of log()) matches; rejects after `deadlineMs`. */
  logged(
    pattern: RegExp,
    options?: { from?: number; deadlineMs?: number },
  ): Promise<RegExpMatchArray>;
  signal(name: NodeJS.Signals): void;
  /** Exit code (or the name of the signal that ended it). */
  readonly exited: Promise<number | NodeJS.Signals>;
}

export interface PorticoOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** The config file has a bind. */
  readonly ownBind?: boolean;
  /** Nothing of our environment reaches it, PATH neither. */
  readonly bare?: boolean;
  /** Started as this user. */
  readonly uid?: number;
  /** Default 20,000. */
  readonly readyMs?: number;
}

/** Starts `portico ARGS` on a free port unless a bind is among them, and waits for its URL line. */
export async function startPortico(
  t: Owner,
  args: readonly string[],
  options: PorticoOptions = {},
): Promise<PorticoProcess> {
  const program = [process.execPath, join(repositoryRoot, 'dist/main.js')] as const;
  return start(t, [...program, ...withBind(args, options)], options);
}

function withBind(args: readonly string[], options: PorticoOptions): readonly string[] {
  const hasBind = options.ownBind || args.some((arg) => /^(-b|--bind)/.test(arg));
  return hasBind ? args : ['--bind', '127.0.0.1:0', ...args];
}

async function start(
  t: Owner,
  command: readonly [string, ...string[]],
  options: PorticoOptions,
): Promise<PorticoProcess> {
  const program = spawnProgram(t, command, options);
  const [, url] = await program.logged(/Listening at: (https?:\/\/[^\s,]+)/, {
    deadlineMs: options.readyMs ?? 20_000,
  });
  const { origin, port } = new URL(url as string);
  return { ...program, origin, port: Number(port) };
}

/** The same for a single executable: alone, in its directory. */
export function startExecutable(
  t: Owner,
  command: readonly [string, ...string[]],
  options: PorticoOptions = {},
): Promise<PorticoProcess> {
  const [file, ...args] = command;
  return start(t, [file, ...withBind(args, options)], {
    cwd: dirname(file),
    bare: true,
    ...options,
  });
}

/** Starts the program and waits for nothing: for starts that fail, and for one-shot commands. */
export function spawnPortico(t: Owner, args: readonly string[], options: PorticoOptions = {}) {
  const program = [process.execPath, join(repositoryRoot, 'dist/main.js')] as const;
  return spawnProgram(t, [...program, ...args], options);
}

/** The same for a command that starts the program by other means: npx, a shell, a supervisor. */
export function spawnProgram(
  t: Owner,
  [file, ...args]: readonly [string, ...string[]],
  options: PorticoOptions = {},
) {
  const runtimeDir = mkdtempSync(join(tmpdir(), 'portico-test-'));
  if (options.uid !== undefined) chownSync(runtimeDir, options.uid, options.uid);
  const child = spawn(file, args, {
    cwd: options.cwd ?? repositoryRoot,
    env: {
      ...(options.bare ? {} : process.env),
      PORTICO_RUNTIME_DIR: join(runtimeDir, 'run'),
      ...options.env,
    },
    ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let printed = '';
  const watchers = new Watchers();
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
      watchers.tell();
    });
  }
  const exited = new Promise<number | NodeJS.Signals>((done) =>
    child.once('close', (code, signal) => {
      done(signal ?? code ?? 1);
      watchers.tell();
    }),
  );
  t.after(async () => {
    await end(child, exited);
    rmSync(runtimeDir, { recursive: true, force: true });
    // A failed test shows what the program said.
    t.diagnostic?.(`portico printed:\n${printed.slice(-4000)}`);
  });
  const logged: PorticoProcess['logged'] = (pattern, { from = 0, deadlineMs = 10_000 } = {}) => {
    const report = () => `waiting for ${pattern}; portico printed:\n${printed}`;
    const find = () => {
      const match = printed.slice(from).match(pattern);
      if (match === null && (child.exitCode !== null || child.signalCode !== null))
        throw new Error(`it ended, ${report()}`);
      return match;
    };
    return watchers.until(find, { deadlineMs, report });
  };
  return {
    pid: child.pid as number,
    runtimeDir: join(runtimeDir, 'run'),
    log: () => printed,
    logged,
    signal: (name: NodeJS.Signals) => void child.kill(name),
    exited,
  };
}

async function end(child: ChildProcess, exited: Promise<unknown>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGINT');
  const hard = setTimeout(() => child.kill('SIGKILL'), 5000);
  await exited;
  clearTimeout(hard);
}

/** An owner for what a whole suite shares: `after(() => suite.end())`. */
export function suiteOwner(): Owner & { end(): Promise<void> } {
  const acts: (() => Promise<void>)[] = [];
  return {
    after: (act) => void acts.push(act),
    async end() {
      for (const act of acts.reverse()) await act();
    },
  };
}
