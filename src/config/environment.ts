// Reads settings from the environment: PORTICO_*, and the two names every platform sets.

import type { Assignment } from './assignment.ts';
import { nearest } from './did-you-mean.ts';
import type { Setting } from './setting.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** PORTICO_ names that are no settings. */
export const ownNames: ReadonlySet<string> = new Set([
  'PORTICO_ROLE',
  'PORTICO_SLOT',
  'PORTICO_CMD_ARGS',
]);
/** Names for use inside Portico and in its tests. */
const ownPrefix = /^PORTICO_(INTERNAL|TEST)_/;
/** Kubernetes gives every pod such variables for a service that is called "portico". */
const kubernetesName = /^PORTICO_(SERVICE_(HOST|PORT(_\w+)?)|PORT(_\d+_(TCP|UDP)(_\w+)?)?)$/;

/** An empty variable counts as unset: compose files and CI systems make such of undefined ones. */
export function readEnvironment(
  env: Environment,
  settings: readonly Setting[],
): { assignments: Assignment[]; problems: string[] } {
  const assignments: Assignment[] = [];
  const known = new Set<string>();
  for (const { key, env: name, alsoEnv } of settings) {
    known.add(name);
    const origin = (label: string) => ({ from: 'environment', label }) as const;
    const other = alsoEnv === undefined ? undefined : env[alsoEnv.name];
    if (env[name]) assignments.push({ key, raw: env[name], origin: origin(name) });
    else if (alsoEnv !== undefined && other)
      assignments.push({
        key,
        raw: alsoEnv.read(other),
        origin: origin(alsoEnv.name),
        shared: true,
      });
  }
  const problems = Object.keys(env)
    .filter((name) => name.startsWith('PORTICO_') && env[name])
    .filter((name) => !known.has(name) && !ownNames.has(name))
    .filter((name) => !ownPrefix.test(name) && !kubernetesName.test(name))
    .map((name) => {
      const near = nearest(name, known);
      const hint = near === null ? 'see portico --help' : `did you mean ${near}?`;
      return `Unknown environment variable ${name}: ${hint}`;
    });
  return { assignments, problems };
}
