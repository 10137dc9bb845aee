// Puts parts into a copy of a Node binary: one file that runs them.

import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { bootSource } from '../../executable/self.ts';
import { type BaseNode, findPreparer, fuse, ownTarget } from './base-node.ts';
import { BuildFault } from './fault.ts';
import type { Parts } from './own-parts.ts';
import { findInjector } from './tools.ts';

/** Writes the executable to `output`, which is there whole or not at all. Where a file is replaced that
 *  is running, whoever runs it keeps it. */
export function assemble(
  parts: Parts,
  { base, output, projectDir }: { base: BaseNode; output: string; projectDir: string },
): void {
  mkdirSync(dirname(output), { recursive: true });
  // Beside it: a rename does not go from one file system to another.
  const dir = mkdtempSync(join(dirname(output), '.portico-build-'));
  try {
    const made = join(dir, 'executable');
    writeParts(dir, parts);
    const config = { ...seaConfig([...parts.keys()]), output: 'blob' };
    if (base.target === ownTarget && hasBuildSea(base)) {
      writeConfig(dir, { ...config, executable: base.file, output: made });
      run(dir, base.file, ['--build-sea', 'sea.json']);
    } else {
      writeConfig(dir, config);
      run(dir, findPreparer(base), ['--experimental-sea-config', 'sea.json']);
      copyFileSync(base.file, made);
      chmodSync(made, 0o755);
      const injected = [made, 'NODE_SEA_BLOB', 'blob', '--sentinel-fuse', fuse];
      if (isDarwin(base)) injected.push('--macho-segment-name', 'NODE_SEA');
      run(dir, process.execPath, [findInjector(projectDir), ...injected]);
    }
    chmodSync(made, 0o755);
    renameSync(made, output);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

export function isDarwin({ target }: BaseNode): boolean {
  return target.startsWith('darwin-');
}

/** From 25.5 on Node does it all by itself. */
function hasBuildSea({ version }: BaseNode): boolean {
  const [major, minor] = version.split('.').map(Number) as [number, number];
  return major > 25 || (major === 25 && minor >= 5);
}

/** Paths are relative, and so the same wherever it is built: that of the main script is kept. */
function seaConfig(names: readonly string[]): Record<string, unknown> {
  return {
    main: 'boot.js',
    disableExperimentalSEAWarning: true,
    // Both would make the bytes depend on the machine, and a snapshot has had holes (CVE-2026-106074).
    useSnapshot: false,
    useCodeCache: false,
    assets: Object.fromEntries([...names].sort().map((name) => [name, fileName(name)])),
  };
}

function fileName(part: string): string {
  return `part-${part.replaceAll('/', '-')}`;
}

function writeParts(dir: string, parts: Parts): void {
  writeFileSync(join(dir, 'boot.js'), bootSource('portico.js'));
  for (const [name, content] of parts) writeFileSync(join(dir, fileName(name)), content);
}

function writeConfig(dir: string, config: Record<string, unknown>): void {
  writeFileSync(join(dir, 'sea.json'), JSON.stringify(config));
}

function run(dir: string, program: string, args: readonly string[]): void {
  const { status, signal, error, stdout, stderr } = spawnSync(program, args, {
    cwd: dir,
    env: { PATH: process.env.PATH ?? '' },
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 300_000,
  });
  if (status === 0) return;
  const how = error?.message ?? (signal === null ? `exit code ${status}` : signal);
  throw new BuildFault(
    `${[program, ...args].join(' ')} failed (${how})\n${(stderr + stdout).trim()}`,
  );
}
