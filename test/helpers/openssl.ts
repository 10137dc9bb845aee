// Asks the real openssl, in a directory of its own.

import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

export interface Openssl {
  readonly dir: string;
  /** Writes a file into the directory and returns its path. */
  file(name: string, content: string | Buffer): string;
  path(name: string): string;
  /** Runs `openssl ARGS` there; resolves with what it printed (both outputs), rejects where it fails. */
  run(...args: readonly string[]): Promise<string>;
}

export function openssl(t: TestContext): Openssl {
  const dir = mkdtempSync(join(tmpdir(), 'portico-openssl-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return {
    dir,
    path: (name) => join(dir, name),
    file(name, content) {
      writeFileSync(join(dir, name), content, { mode: 0o600 });
      return join(dir, name);
    },
    run: (...args) =>
      new Promise((done, fail) => {
        execFile('openssl', args, { cwd: dir, timeout: 20_000 }, (error, stdout, stderr) => {
          if (error === null) done(stdout + stderr);
          else fail(new Error(`openssl ${args.join(' ')}: ${error.message}\n${stdout}${stderr}`));
        });
      }),
  };
}
