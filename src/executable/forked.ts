// child_process.fork() of an app that runs in an executable: it starts this program, and means Node.

import Module from 'node:module';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { isInside } from './inside.ts';

/** In the environment of an app: what it forks is a file of its own. */
const mark = 'PORTICO_INTERNAL_APP';

export function markApp(): void {
  if (isInside) process.env[mark] = '1';
}

/** fork() brings a channel along, which nobody else does who starts this program. */
export function isForked(): boolean {
  return isInside && process.env[mark] !== undefined && process.send !== undefined;
}

/** Runs the file that stands first on the command line, as `node FILE` does. It has to be on the disk. */
export async function runForked(): Promise<void> {
  const [executable, , file = '', ...args] = process.argv;
  const path = resolve(file);
  process.argv = [executable!, path, ...args];
  try {
    const loader = Module as unknown as { _load(path: string, parent: null, isMain: true): void };
    loader._load(path, null, true);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_REQUIRE_ASYNC_MODULE') throw error;
    await import(pathToFileURL(path).href);
  }
}
