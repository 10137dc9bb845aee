// Installs what is missing and compiles: dist/ (the program) and, with --tests, build/ (tests and bench).

import { ensureBuilt, ensureProgram } from './lib.mjs';

ensureProgram();
if (process.argv.includes('--tests'))
  ensureBuilt('test', 'build', ['src', 'test', 'bench', 'tsconfig.json']);
