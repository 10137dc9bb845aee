// How Portico starts itself in another role: as a process or as a thread, from its files or from inside one executable.

import { existsSync } from 'node:fs';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker, type WorkerOptions } from 'node:worker_threads';
import { isInside } from './inside.ts';

export interface SelfCommand {
  readonly file: string;
  readonly args: readonly string[];
  /** To be put into the environment of the process. */
  readonly env: Readonly<Record<string, string>>;
}

/** Of a running process the file it was started from, also when another has been put in its place: an
 *  arbiter and its children are of one build. */
const runningFile = '/proc/self/exe';

/** The command that starts this program with `args`. What it is to become PORTICO_ROLE says. `flags`
 *  are Node's; `program`: another main.js in place of ours. */
export function selfCommand(options: {
  readonly flags?: readonly string[];
  readonly args?: readonly string[];
  readonly program?: string | undefined;
}): SelfCommand {
  const { flags = [], args = [], program = ownProgram() } = options;
  if (!isInside)
    return {
      file: process.execPath,
      args: [...flags, ...process.execArgv, program, ...args],
      env: {},
    };
  // Node takes no flags from the command line of a single executable: they would be ours.
  const all = [...flags, process.env.NODE_OPTIONS ?? ''].join(' ').trim();
  return {
    file: existsSync(runningFile) ? runningFile : process.execPath,
    args,
    env: all === '' ? {} : { NODE_OPTIONS: all },
  };
}

/** main.js, beside this folder. */
function ownProgram(): string {
  const ending = extname(fileURLToPath(import.meta.url));
  return fileURLToPath(new URL(`../main${ending}`, import.meta.url));
}

/** Files of src/ that are programs of threads. */
const threadFiles = {
  thread: 'worker/thread',
  'hang-thread': 'worker/hang-thread',
  'password-thread': 'edge/routes/password-thread',
} as const;
export type ThreadName = keyof typeof threadFiles;

export function startThread(name: ThreadName, options: WorkerOptions): Worker {
  if (!isInside) return new Worker(new URL(`../${threadFiles[name]}.js`, import.meta.url), options);
  return new Worker(bootSource(`${name}.js`), { ...options, eval: true });
}

/** The first code that runs in an executable: it runs a part as a module. The main script of an
 *  executable may only require() what is built in, and on Node 26 not import() at all; code that is
 *  compiled as a module of the disk may do both. Its path is one at which there is nothing. */
export function bootSource(part: string): string {
  return `'use strict';
const { getAsset } = require('node:sea');
const Module = require('node:module');
const name = process.execPath + '/portico.cjs';
const program = new Module(name);
program.filename = name;
program.paths = [];
program._compile(getAsset(${JSON.stringify(part)}, 'utf8'), name);
`;
}
