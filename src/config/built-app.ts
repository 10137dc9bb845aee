// What `portico build` has put into this executable besides Portico: an app, its settings, its static files.

import { insideText, isInside } from '../executable/inside.ts';
import { welcomeModule } from '../executable/own-modules.ts';
import { runPart } from '../executable/run-part.ts';
import type { Assignment } from './assignment.ts';
import type { Config, StaticMount } from './config.ts';
import { settingsOf } from './config-code.ts';
import { fromObject } from './config-file.ts';
import { mountFields } from './static-mounts.ts';

/** Made by cli/build/, and JSON in the part of this name. */
export const builtAppPart = 'app.json';

export interface BuiltApp {
  /** Null: there are static files only. */
  readonly app: {
    /** MODULE as it was given. */
    readonly module: string;
    readonly export: string | null;
    /** Where it was below the project: its path below the base. */
    readonly file: string;
    /** cjs: it runs from inside. esm: it waits for something while it loads, which only a module
     *  on the disk may do, so it is one of the carried files. */
    readonly format: 'cjs' | 'esm';
  } | null;
  /** In the order of precedence, the strongest last. */
  readonly settings: readonly { readonly key: string; readonly raw: unknown }[];
  /** The config file is code, which runs at each start. */
  readonly hasConfigCode: boolean;
  /** Their directories are names of trees in the executable. */
  readonly static: readonly StaticMount[];
  /** Files that have to be on the disk to be of use. */
  readonly hasCarried: boolean;
}

/** Settings that are used up by the build, or mean nothing where the app can't change. */
export const keysBuiltIn: readonly string[] = [
  'app',
  'config',
  'chdir',
  'static',
  'preload',
  'reload',
];

export const builtApp: BuiltApp | null = isInside
  ? JSON.parse(insideText(builtAppPart) ?? 'null')
  : null;

/** Settings of the build. Runs its config file where that is code; throws what that throws. */
export async function builtAssignments(): Promise<Assignment[]> {
  if (builtApp === null) return [];
  const assignments: Assignment[] = [];
  const origin = { from: 'file', label: 'the executable' } as const;
  if (builtApp.hasConfigCode) {
    const values = fromObject(
      await settingsOf(
        runPart('config.js', { base: process.execPath, file: 'portico.config.js', isMain: false }),
      ),
    );
    for (const { key, raw } of values)
      if (raw !== undefined && !keysBuiltIn.includes(key)) assignments.push({ key, raw, origin });
  }
  return [...assignments, ...builtApp.settings.map(({ key, raw }) => ({ key, raw, origin }))];
}

/** The settings with the app and the static files of the executable. */
export function withBuiltApp(config: Config): Config {
  if (builtApp === null) return config;
  const given = config.static.map((mount) => {
    const inside = builtApp?.static.find(({ prefix }) => prefix === mount.prefix);
    return inside === undefined ? mount : laidOver(mount, inside);
  });
  const others = builtApp.static.filter(({ prefix }) =>
    given.every((mount) => mount.prefix !== prefix),
  );
  const app = builtApp.app;
  return {
    ...config,
    module: app === null ? welcomeModule : app.module,
    export: app === null ? null : app.export,
    static: [...given, ...others],
  };
}

/** The directory is another one; whatever else is not said of it stays. */
function laidOver(mount: StaticMount, inside: StaticMount): StaticMount {
  const said = mountFields
    .filter((row) => String(mount[row.field]) !== String(row.default))
    .map((row) => [row.field, mount[row.field]]);
  return { ...inside, ...Object.fromEntries(said), dir: mount.dir };
}
