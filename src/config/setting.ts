// What a row of the settings table is.

import type { Config } from './config.ts';
import type { Kind } from './kinds.ts';

export const groups = [
  'App',
  'Sockets',
  'TLS and HTTP/2',
  'ACME',
  'Processes',
  'Connections',
  'Balancing',
  'Routing',
  'Static files',
  'Cache',
  'Compression',
  'Error pages',
  'Logs',
] as const;
export type Group = (typeof groups)[number];

/** What a value may depend on when the Config is made of all values. */
export interface Facts {
  /** Absolute; relative paths of other settings start here. */
  readonly chdir: string;
  /** CPUs that this process may use, from 1. */
  readonly cpus: number;
  readonly workerClass: Config['workerClass'];
  readonly threads: number;
  readonly command: Config['command'];
  /** Certificates are to be had by ACME. */
  readonly acme: boolean;
}

export interface Setting<T = unknown> {
  /** Name in a config file, in camelCase. */
  readonly key: string;
  /** "--worker-class", then other spellings; the first is the one that is shown. */
  readonly flags: readonly string[];
  /** "-k", '' for none. */
  readonly short: string;
  readonly env: string;
  /** Also read from the environment where `env` is not set, made into text of this kind: PORT. */
  readonly alsoEnv?: { readonly name: string; readonly read: (value: string) => string };
  readonly group: Group;
  readonly kind: Kind<T>;
  readonly default: T;
  /** How the default is written where it is not just shown: "auto". */
  readonly defaultText: string;
  /** One line, for help. */
  readonly help: string;
  /** More, for the docs; may be ''. */
  readonly doc: string;
  /** A table of what the value is made of, for the docs; '' for none. */
  readonly table: string;
  /** The names others know it by: "Gunicorn `timeout`". */
  readonly known: string;
  /** Config fields that are made of it; none only for where the config file itself is. */
  readonly fields: readonly (keyof Config)[];
  /** The value as the Config has it. */
  finish(value: T, facts: Facts): Partial<Config>;
}

interface Row<F extends keyof Config, T> {
  readonly group: Group;
  /** Name in a config file, if not the field's. */
  readonly key?: string;
  readonly short?: string;
  /** Further spellings of the flag, all of it: "--log-file". */
  readonly flags?: readonly string[];
  readonly alsoEnv?: Setting['alsoEnv'];
  readonly kind: Kind<T>;
  readonly default: NoInfer<T>;
  readonly defaultText?: string;
  readonly help: string;
  readonly doc?: string;
  readonly table?: string;
  readonly known?: string;
  readonly finish?: (value: T, facts: Facts) => Config[F];
}

/** Needed where the kind's value is not yet what the Config holds. */
type Finished<F extends keyof Config, T> = T extends Config[F]
  ? unknown
  : { readonly finish: (value: T, facts: Facts) => Config[F] };

/** Makes a row for one field of Config. */
export function setting<F extends keyof Config, T>(
  field: F,
  row: Row<F, T> & Finished<F, T>,
): Setting {
  const finish = row.finish;
  const made: Setting<T> = {
    ...names(row.key ?? field, row.flags),
    ...described(row),
    ...(row.alsoEnv === undefined ? {} : { alsoEnv: row.alsoEnv }),
    kind: row.kind,
    default: row.default,
    defaultText: row.defaultText ?? row.kind.show(row.default),
    fields: [field],
    finish: (value, facts) => ({ [field]: finish === undefined ? value : finish(value, facts) }),
  };
  return made as Setting;
}

/** Flag and environment names of a key: workerClass → --worker-class, PORTICO_WORKER_CLASS. */
export function names(key: string, moreFlags: readonly string[] = []) {
  const kebab = key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  return {
    key,
    flags: [`--${kebab}`, ...moreFlags],
    env: `PORTICO_${kebab.replaceAll('-', '_').toUpperCase()}`,
  };
}

function described(
  row: Pick<Row<keyof Config, unknown>, 'short' | 'group' | 'help' | 'doc' | 'table' | 'known'>,
) {
  return {
    short: row.short ?? '',
    group: row.group,
    help: row.help,
    doc: row.doc ?? '',
    table: row.table ?? '',
    known: row.known ?? '',
  };
}
