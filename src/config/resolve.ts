// Makes a Config of all that was given: the last source wins, every value is checked, nothing is kept back.

import { dirname, resolve } from 'node:path';
import { ownOf } from './apps.ts';
import { type Assignment, defaultOrigin, type Origin, problem } from './assignment.ts';
import type { AppConfig, Config, WorkerClass } from './config.ts';
import { Unfit } from './kinds.ts';
import type { Facts } from './setting.ts';
import type { AppSettings } from './settings/apps.ts';
import { settings, settingsByKey } from './settings.ts';

export interface Surroundings {
  /** Where Portico was started. */
  readonly cwd: string;
  /** Absolute path of the config file that was read. */
  readonly file: string | null;
  readonly cpus: number;
}

/** A setting's value before it became part of the Config, and where it came from. */
export interface Settled {
  readonly value: unknown;
  readonly origin: Origin;
}

export interface Resolved {
  readonly config: Config;
  readonly settled: ReadonlyMap<string, Settled>;
  readonly problems: readonly string[];
}

/** `assignments` in order of precedence, the strongest last. Keys must be known. Where a value will
 *  not do its default stands in, so that `config` is whole even when there are problems. */
export function resolveConfig(
  assignments: readonly Assignment[],
  surroundings: Surroundings,
): Resolved {
  const problems: string[] = [];
  const settled = new Map<string, Settled>();
  for (const { key, default: value } of settings)
    settled.set(key, { value, origin: defaultOrigin });
  for (const [index, { key, raw, origin, shared }] of assignments.entries()) {
    if (shared && assignments.slice(index + 1).some((other) => other.key === key)) continue;
    const { kind } = settingsByKey.get(key)!;
    const value = kind.read(raw);
    // A value that a stronger source hides must do as well: it may be next in force.
    if (value instanceof Unfit) {
      const whole = { raw, hint: value.hint };
      for (const unfit of value.parts.length > 0 ? value.parts : [whole])
        problems.push(problem(key, unfit.raw, origin, kind.expected, unfit.hint));
    } else settled.set(key, { value, origin });
  }
  const facts = factsOf(settled, surroundings, problems);
  const config = Object.assign(
    {},
    ...settings.map(({ key, finish }) => finish(settled.get(key)!.value, facts)),
  ) as Config;
  const apps = resolveApps(assignments, { surroundings, settled, config, problems });
  return { config: { ...config, apps }, settled, problems };
}

interface Whole {
  readonly surroundings: Surroundings;
  readonly settled: ReadonlyMap<string, Settled>;
  readonly config: Config;
  readonly problems: string[];
}

/** Each app's settings are those of the top level with its own as the last word. */
function resolveApps(assignments: readonly Assignment[], whole: Whole): AppConfig[] {
  const { surroundings, settled, config, problems } = whole;
  const { value, origin } = settled.get('apps')!;
  const common = assignments.filter(({ key }) => !['apps', 'app', 'command'].includes(key));
  const known = new Set(problems);
  return (value as readonly (readonly [string, AppSettings])[]).map(([name, own]) => {
    const label = `app ${name} of ${origin.label}`;
    const asked = Object.entries(own)
      .filter(([, raw]) => raw !== undefined)
      .map(([key, raw]): Assignment => ({ key, raw, origin: { ...origin, label } }));
    const resolved = resolveConfig([...common, ...asked], surroundings);
    problems.push(...resolved.problems.filter((one) => !known.has(one)));
    if (resolved.config.module === null) problems.push(`Cannot use ${label}: it has no module`);
    const env = { ...config.env, ...resolved.config.env };
    return { name, ...ownOf(resolved.config), env };
  });
}

function factsOf(
  settled: ReadonlyMap<string, Settled>,
  { cwd, file, cpus }: Surroundings,
  problems: string[],
): Facts {
  const chdir = settled.get('chdir')!;
  const base = chdir.origin.from === 'file' && file !== null ? dirname(file) : cwd;
  const threads = settled.get('threads')!.value as number;
  const given = settled.get('workerClass')!;
  let workerClass = given.value as WorkerClass;
  if (threads > 1 && workerClass === 'async' && given.origin.from !== 'default')
    problems.push(
      `Cannot use workerClass "async" (from ${given.origin.label}) with threads ${threads} (from ${settled.get('threads')!.origin.label}): leave one of them out, or use workerClass threads`,
    );
  const command = settled.get('command')!.value as Config['command'];
  // Who names a program means it.
  if (command !== null && given.origin.from === 'default') workerClass = 'command';
  if (workerClass === 'command') problems.push(...commandFaults(settled));
  const ofNode = ['async', 'sync', 'threads'].includes(workerClass);
  // Gunicorn does so for sync; here no class at all is async, which has no use for threads.
  if (threads > 1 && ofNode) workerClass = 'threads';
  else if (threads > 1 && workerClass !== 'wsgi')
    problems.push(
      `Cannot use threads ${threads} (from ${settled.get('threads')!.origin.label}) with workerClass ${workerClass}: it has none`,
    );
  const acme = (settled.get('acme')!.value as readonly string[]).length > 0;
  return { chdir: resolve(base, chdir.value as string), cpus, workerClass, threads, command, acme };
}

function commandFaults(settled: ReadonlyMap<string, Settled>): string[] {
  const app = settled.get('app')!;
  if (settled.get('command')!.value === null)
    return [
      `Cannot use workerClass command (from ${settled.get('workerClass')!.origin.label}) without a command: portico -k command -- CMD … {socket}`,
    ];
  return app.value === null
    ? []
    : [`Cannot use an app (from ${app.origin.label}) with a command: one of them is served`];
}

/** Freezes plain data through and through. */
export function deepFreeze<T>(value: T): T {
  if (value !== null && typeof value === 'object' && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const part of Object.values(value)) deepFreeze(part);
  }
  return value;
}
