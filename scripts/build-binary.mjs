// Builds Portico itself as one executable: `npm run build:binary [-- -o FILE] [--node PATH|VERSION] [--target OS-CPU]`.

import { ensureProgram, root } from './lib.mjs';

ensureProgram();
const { buildOwnExecutable } = await import('../dist/cli/build/own-executable.js');
process.exitCode = await buildOwnExecutable(process.argv.slice(2), root);
