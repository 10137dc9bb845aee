// Loads the app that is inside the executable.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { builtApp } from '../config/built-app.ts';
import { carriedDir } from '../executable/carried-dir.ts';
import { runPart } from '../executable/run-part.ts';
import { BootError, describeError } from './boot-error.ts';
import type { LoadedModule } from './load-app.ts';

/** Throws a BootError with the app's own error in it. */
export async function loadBuiltApp(): Promise<LoadedModule> {
  const app = builtApp?.app ?? null;
  if (app === null) throw new BootError(4, 'There is no app in this executable.');
  const base = carriedDir() ?? process.execPath;
  const file = join(base, app.file);
  process.argv[1] = file;
  try {
    const exports: unknown =
      app.format === 'cjs'
        ? runPart('app.js', { base, file: app.file, isMain: true })
        : await import(pathToFileURL(file).href);
    return { file, exports };
  } catch (error) {
    throw new BootError(4, `Cannot load ${app.module}\n${describeError(error)}${hint(error)}`);
  }
}

/** What can be wrong with a build, and not with the app. */
function hint(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'MODULE_NOT_FOUND' || code === 'ERR_MODULE_NOT_FOUND')
    return '\nWhat is loaded by a name that is only known when it runs is not in the executable: name its package when it is built, portico build --external NAME';
  if (code === 'ERR_DLOPEN_FAILED' && /operation not permitted|failed to map/i.test(message ?? ''))
    return `\n${mountHint(carriedDir() ?? '')}`;
  return '';
}

function mountHint(dir: string): string {
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n');
  const noexec = mounts.some((line) => {
    const [, point = '/', , options = ''] = line.split(' ');
    return dir.startsWith(point === '/' ? point : `${point}/`) && options.includes('noexec');
  });
  return `${dir} is on a file system that runs no code${noexec ? ' (noexec)' : ''}: name another directory by TMPDIR`;
}
