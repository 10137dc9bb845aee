// Writes package-lock.json anew, complete for every platform and without download addresses, so
// that `npm ci` works from any mirror: npm drops other platforms' packages when it omits addresses itself.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, run } from './lib.mjs';

run('npm', [
  'install',
  '--package-lock-only',
  '--omit-lockfile-registry-resolved=false',
  '--no-audit',
]);
const path = join(root, 'package-lock.json');
const lock = JSON.parse(readFileSync(path, 'utf8'));
for (const entry of Object.values(lock.packages)) delete entry.resolved;
writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`);
