// Finds the file of an app's MODULE: a file relative to the app's directory, or a package.

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createJiti } from 'jiti';
import { nearest } from './did-you-mean.ts';

const extensions = ['.js', '.mjs', '.cjs', '.ts', '.mts', '.cts'];

export type Located = { readonly file: string } | { readonly problem: string };

/** The absolute path of the module's file, or what was looked for in vain. */
export function locateModule(module: string, chdir: string): Located {
  const path = resolve(chdir, module);
  const file =
    asFile(path) ?? asDirectory(path) ?? (isPathLike(module) ? null : asPackage(module, chdir));
  if (file !== null) return { file };
  return { problem: `Cannot find the module "${module}" in ${chdir}.${hint(path)}` };
}

function isPathLike(module: string): boolean {
  return module.startsWith('.') || module.startsWith('/');
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

function asFile(path: string): string | null {
  return [path, ...extensions.map((extension) => path + extension)].find(isFile) ?? null;
}

/** A directory stands for its package.json's "main" or its index, as with `node DIR`. */
function asDirectory(path: string): string | null {
  const manifest = join(path, 'package.json');
  if (existsSync(manifest)) {
    try {
      const { main } = JSON.parse(readFileSync(manifest, 'utf8')) as { main?: unknown };
      const file = typeof main === 'string' ? asFile(resolve(path, main)) : null;
      if (file !== null) return file;
    } catch {
      // A broken package.json has no main.
    }
  }
  return asFile(join(path, 'index'));
}

function asPackage(name: string, chdir: string): string | null {
  const from = join(chdir, 'package.json');
  try {
    return createRequire(from).resolve(name);
  } catch {
    // Packages that export only to "import" are unknown to require.resolve.
  }
  try {
    const url = createJiti(from).esmResolve(name);
    return url.startsWith('file:') ? fileURLToPath(url) : null;
  } catch {
    return null;
  }
}

function hint(path: string): string {
  try {
    const names = readdirSync(dirname(path)).filter((name) =>
      extensions.some((extension) => name.endsWith(extension)),
    );
    const near = nearest(basename(path), names);
    return near === null ? '' : ` Did you mean "${near}"?`;
  } catch {
    return ` The directory ${dirname(path)} does not exist.`;
  }
}
