// Finds the file of an app's MODULE: a path from the working directory, or a package.

import { statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';

const endings = ['', '.js', '.mjs', '.cjs', '.ts', '.mts', '.cts'];

/** Absolute path, or null when there is nothing of that name. */
export function locateModule(module: string, dir: string): string | null {
  for (const ending of endings) {
    const path = resolve(dir, module + ending);
    if (isFile(path)) return path;
  }
  try {
    const fromDir = createRequire(join(dir, 'portico'));
    // A directory with package.json or index.js, then a package in node_modules.
    if (!module.startsWith('.')) return fromDir.resolve(module);
    return fromDir.resolve(resolve(dir, module));
  } catch {
    return null;
  }
}

function isFile(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
