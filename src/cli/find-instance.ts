// Finds the running instance that a command is meant for.

import { readFileSync } from 'node:fs';
import { findInstances, type Instance } from '../arbiter/control/client.ts';
import { isAlive } from '../arbiter/pidfile.ts';
import type { InstanceNames } from '../config/instance-names.ts';

export type FoundInstance =
  | { readonly ok: true; readonly runtimeDir: string }
  | { readonly ok: false; readonly problem: string };

/** By its runtime directory, by its pidfile, or the only one that runs. */
export async function findInstance(
  name: Pick<InstanceNames, 'runtimeDir' | 'pidfile'>,
): Promise<FoundInstance> {
  if (name.runtimeDir !== null) return { ok: true, runtimeDir: name.runtimeDir };
  const instances = await findInstances();
  if (name.pidfile !== null) return byPidfile(name.pidfile, instances);
  if (instances.length === 1) return { ok: true, runtimeDir: instances[0]!.runtimeDir };
  const fault =
    instances.length === 0
      ? 'No instance of Portico runs as this user'
      : `${instances.length} instances of Portico run as this user (pids ${instances.map(({ pid }) => pid).join(', ')})`;
  const how =
    instances.length === 0
      ? 'if it was started with --runtime-dir or a config file, name that'
      : 'name one with --pid, --runtime-dir or --config';
  return { ok: false, problem: `${fault}: ${how}` };
}

function byPidfile(path: string, instances: readonly Instance[]): FoundInstance {
  let text: string;
  try {
    text = readFileSync(path, 'utf8').trim();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const problem =
      code === 'ENOENT'
        ? `No instance of Portico runs with the pidfile ${path}: there is none`
        : `Cannot read the pidfile ${path} (${code})`;
    return { ok: false, problem };
  }
  const hit = instances.find(({ pid }) => String(pid) === text);
  if (hit !== undefined) return { ok: true, runtimeDir: hit.runtimeDir };
  if (/^[1-9]\d*$/.test(text) && isAlive(Number(text))) {
    const problem = `pid ${text} (in ${path}) runs, but its control socket is not in the usual place: name its --runtime-dir`;
    return { ok: false, problem };
  }
  return {
    ok: false,
    problem: `No instance of Portico runs with the pid in ${path}: if it was started with --runtime-dir, name that`,
  };
}
