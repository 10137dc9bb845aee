// What the app finds around it: directory, umask, environment, compile cache.

import Module from 'node:module';
import { dirname, join } from 'node:path';
import type { Config } from '../config/config.ts';
import { markApp } from '../executable/forked.ts';
import type { WorkerAssignment } from '../ipc/messages.ts';
import { BootError } from './boot-error.ts';

/** Before the app loads. User and group were set when the process was started. */
export function enterEnvironment(config: Config): void {
  // An app that starts a Portico of its own starts a command line, not a worker.
  delete process.env.PORTICO_ROLE;
  markApp();
  Object.assign(process.env, config.env);
  // Frameworks cache templates and hide stacks from clients by it. With --reload this is a
  // developer's machine, and it stays unset as under `node app.js`.
  if (!config.reload) process.env.NODE_ENV ??= 'production';
  process.umask(config.umask);
  try {
    process.chdir(config.chdir);
  } catch (error) {
    throw new BootError(
      4,
      `Cannot change to the directory ${config.chdir}: ${(error as Error).message}`,
    );
  }
}

/** A directory of ours below the runtime directory, which nobody else can write. */
export function cacheDirectory(assignment: WorkerAssignment, name: string): string {
  return join(dirname(assignment.socketBase), name);
}

interface CompileCacheApi {
  enableCompileCache?(directory: string): unknown;
  flushCompileCache?(): void;
}

/** --preload: the first worker's compiled code is there for the others (Node 22 and later). */
export function enableCompileCache(directory: string): void {
  if (process.env.NODE_COMPILE_CACHE !== undefined) return;
  (Module as CompileCacheApi).enableCompileCache?.(directory);
}

/** Writes what has been compiled so far, for the workers that start next. */
export function flushCompileCache(): void {
  (Module as CompileCacheApi).flushCompileCache?.();
}
