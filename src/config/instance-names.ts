// What the settings say about where a running instance is to be found.

import { isAbsolute } from 'node:path';
import type { Origin } from './assignment.ts';
import { resolveConfig } from './resolve.ts';
import { gather, type LoadInput, readSources } from './sources.ts';

export interface InstanceNames {
  /** Absolute, as is the next. */
  readonly runtimeDir: string | null;
  readonly pidfile: string | null;
  /** What is wrong with a config file that was only found, and not named: it may have more to say. */
  readonly doubts: readonly string[];
}

export type LoadedNames =
  | { readonly ok: true; readonly config: InstanceNames }
  | { readonly ok: false; readonly problems: readonly string[] };

const keys = ['runtimeDir', 'pid', 'chdir'];
const strength: readonly Origin['from'][] = ['default', 'file', 'environment', 'command line'];

/** Where the runtime directory is named by its full path no config file has anything to add. */
export function namedOutright(input: LoadInput): InstanceNames | null {
  const given = gather(input).assignments.findLast(({ key }) => key === 'runtimeDir')?.raw;
  if (typeof given !== 'string' || !isAbsolute(given)) return null;
  return { runtimeDir: given, pidfile: null, doubts: [] };
}

/** Reads what a start would read, and no more of it than says where the instance is: whatever else is
 *  wrong with the settings, an instance must be found that is to be stopped. Never throws. */
export async function loadInstanceNames(input: LoadInput): Promise<LoadedNames> {
  const { assignments, file, fileProblems } = await readSources(input);
  const { config, settled, problems } = resolveConfig(
    assignments.filter(({ key }) => keys.includes(key)),
    { cwd: input.cwd, file, cpus: 1 },
  );
  const named = assignments.some(({ key }) => key === 'config');
  const wrong = [...problems, ...(named && file === null ? fileProblems : [])];
  if (wrong.length > 0) return { ok: false, problems: wrong };
  const strengthOf = (key: string) => strength.indexOf(settled.get(key)!.origin.from);
  // A pidfile that is named here and now says more than a directory in a file.
  const byPid = config.pid !== null && strengthOf('pid') > strengthOf('runtimeDir');
  return {
    ok: true,
    config: {
      runtimeDir: byPid ? null : config.runtimeDir,
      pidfile: config.pid,
      doubts: file === null ? fileProblems : [],
    },
  };
}
