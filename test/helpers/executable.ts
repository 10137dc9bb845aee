// Builds single executables for tests, once for each file of tests.

import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { repositoryRoot } from './portico.ts';

/** The Node that executables are made of is the one that runs this: `npm run test:binary` takes turns. */
const node = process.execPath;

export interface Workshop {
  readonly dir: string;
  /** A copy of test/fixtures/executable, to be changed; "node_modules" is found above it. */
  readonly project: string;
  /** Runs `portico build ARGS -o FILE` in the project, and returns the file. */
  build(name: string, ...args: string[]): string;
  /** What the last build printed. */
  printed: string;
  remove(): void;
}

/** Below the repository, for its node_modules. Other users may go through it, but not look. */
export function openWorkshop(): Workshop {
  const dir = mkdtempSync(join(tmpdir(), 'portico-executable-'));
  const project = mkdtempSync(join(repositoryRoot, 'build', 'project-'));
  cpSync(join(repositoryRoot, 'test/fixtures/executable'), project, { recursive: true });
  const workshop: Workshop = {
    dir,
    project,
    printed: '',
    build(name, ...args) {
      // Alone in a directory of its own.
      const file = join(dir, name, 'service');
      mkdirSync(join(dir, name), { recursive: true, mode: 0o755 });
      const main = join(repositoryRoot, 'dist/main.js');
      workshop.printed = execFileSync(
        process.execPath,
        [main, 'build', ...args, '--node', node, '-o', file],
        { cwd: project, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] },
      );
      return file;
    },
    remove() {
      rmSync(dir, { recursive: true, force: true });
      rmSync(project, { recursive: true, force: true });
    },
  };
  execFileSync('chmod', ['711', dir]);
  return workshop;
}
