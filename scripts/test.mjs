// Runs the tests. Arguments name groups or files: `npm test -- unit`.

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { root } from './lib.mjs';

const groups = ['unit', 'simulation', 'fuzz', 'integration', 'process', 'parity'];
const asked = process.argv.slice(2);

/** Compiled test files of a group, or the one file that was named. */
function filesOf(name) {
  if (name.endsWith('.ts')) return [join(root, 'build', name.replace(/\.ts$/, '.js'))];
  const dir = name === 'tidy' ? join(root, 'build/test') : join(root, 'build/test', name);
  if (!existsSync(dir)) return [];
  return readdirSync(dir, { recursive: name !== 'tidy' })
    .filter((file) => file.endsWith('.test.js'))
    .map((file) => join(dir, file))
    .sort();
}

const files = (asked.length > 0 ? asked : ['tidy', ...groups]).flatMap(filesOf);
if (files.length === 0) {
  console.error(`portico: no such tests; groups: tidy, ${groups.join(', ')}`);
  process.exit(1);
}
// One more than there are CPUs: a good part of the time a test waits, for a process to start or to leave.
const atOnce = availableParallelism() + 1;
const { status } = spawnSync(
  process.execPath,
  [
    '--test',
    `--test-concurrency=${atOnce}`,
    '--test-reporter=spec',
    '--test-reporter-destination=stdout',
    `--test-reporter=${join(root, 'scripts/skipped.mjs')}`,
    '--test-reporter-destination=stdout',
    ...files,
  ],
  { stdio: 'inherit', cwd: root },
);
process.exit(status ?? 1);
