// Installs what is missing and compiles: dist/ (the program) and, with --tests, build/ (tests and bench).
// With --clean nothing of an earlier build is left in dist/: for what is published.

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { ensureBuilt, ensureNative, ensureProgram, root } from './lib.mjs';

if (process.argv.includes('--clean')) rmSync(join(root, 'dist'), { recursive: true, force: true });
ensureProgram();
if (process.argv.includes('--tests')) {
  ensureBuilt('test', 'build', ['src', 'test', 'bench', 'tsconfig.json']);
  ensureNative('build/src/native');
}
