// Runs one command of the program to its end, in a directory made for the test.

import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type Owner, repositoryRoot } from './portico.ts';

export interface Ran {
  /** Exit code, or the name of the signal. */
  readonly code: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command that hangs would hang the whole run. */
const deadlineMs = 30_000;

/** Starts `portico ARGS` in `cwd` with no setting in its environment but those of `env`. */
export function portico(
  args: readonly string[],
  options: { cwd: string; env?: Readonly<Record<string, string>> },
): Promise<Ran> {
  const inherited = Object.entries(process.env).filter(
    ([name]) =>
      !/^(PORTICO_.*|PORT|WEB_CONCURRENCY|PWD|NODE_OPTIONS|NODE_TEST_CONTEXT)$/.test(name),
  );
  return new Promise((done, fail) => {
    const child = spawn(process.execPath, [join(repositoryRoot, 'dist/main.js'), ...args], {
      cwd: options.cwd,
      env: { ...Object.fromEntries(inherited), ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: deadlineMs,
      killSignal: 'SIGKILL',
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.once('error', fail);
    child.once('close', (code, signal) => done({ code: signal ?? code ?? '', stdout, stderr }));
  });
}

/** A new directory with these files in it, which goes with the test or suite. */
export function directoryOf(t: Owner, files: Readonly<Record<string, string>>): string {
  // macOS: /var is a symbolic link, and the program shows real paths.
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'portico-cli-')));
  t.after(async () => rmSync(dir, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(join(dir, name), text);
  }
  return dir;
}
