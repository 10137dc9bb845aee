// From MODULE[:EXPORT] to the app that answers requests: what the module exports, or the server
// on which it calls listen() itself.

import type { Server } from 'node:http';
import { builtApp } from '../config/built-app.ts';
import type { Config } from '../config/config.ts';
import { locateModule } from '../config/module-file.ts';
import { welcomeModule } from '../executable/own-modules.ts';
import type { Log } from '../telemetry/log.ts';
import { type App, adaptApp, callFactory, describeValue, expectedApps } from './adapt-app.ts';
import { BootError, describeError } from './boot-error.ts';
import { loadBuiltApp } from './built-app.ts';
import type { Capture } from './listen-capture.ts';
import { type LoadedModule, loadModule } from './load-app.ts';
import {
  type ExportSpec,
  listExports,
  lookUp,
  missingExport,
  parseExport,
  usualNames,
} from './pick-export.ts';

export interface FindOptions {
  readonly config: Config;
  readonly capture: Capture;
  readonly cacheDir: string;
  readonly log: Log;
  /** There is no app yet; it may still listen. Told with what is wrong if it never does. */
  readonly onWaiting: (reason: BootError) => void;
}

/** Loads the module and finds its app; throws a BootError with what the operator needs to know. */
export async function findApp(options: FindOptions): Promise<App> {
  const { config, capture, log } = options;
  if (config.module === null)
    throw new BootError(4, 'No MODULE is given: there is no app to load.');
  if (config.module === welcomeModule) {
    const { welcome } = await import('./welcome-app.ts');
    return (await adaptApp(welcome))!;
  }
  const spec = config.export === null ? null : parseExport(config.export);
  const module =
    config.module === builtApp?.app?.module
      ? await loadBuiltApp()
      : await load(config.module, options);
  if (spec !== null) return namedApp(module, spec);
  // What the app listens with is the whole of it: it may have wrapped what it exports.
  const listening = capture.current() ?? (await usualApp(module));
  if (listening !== null) return 'kind' in listening ? listening : serverApp(listening);
  log.debug('the module exports no app: waiting until it listens');
  options.onWaiting(nothingFound(module));
  return serverApp(await capture.listening);
}

async function load(name: string, { config, cacheDir }: FindOptions): Promise<LoadedModule> {
  const located = locateModule(name, config.chdir);
  if ('problem' in located) throw new BootError(4, located.problem);
  const { file } = located;
  process.argv[1] = file;
  return loadModule({ file, cacheDir });
}

function nothingFound(module: LoadedModule): BootError {
  return new BootError(
    4,
    `${module.file} has no app: it exports none (as ${usualNames.join(', ')}) and calls listen() on no server. ${expectedApps} ${listExports(module)}`,
  );
}

function serverApp(server: Server): App {
  return { kind: 'listening server', server, close: null };
}

async function namedApp(module: LoadedModule, spec: ExportSpec): Promise<App> {
  const name = spec.path.join('.');
  let value = lookUp(module, spec.path);
  if (value === undefined) throw missingExport(module, spec);
  const app = await inApp(module, async () => {
    if (spec.args !== null) value = await callFactory(name, value, spec.args);
    return adaptApp(value);
  });
  if (app !== null) return app;
  throw new BootError(
    4,
    `Cannot serve the export "${name}" of ${module.file}: it is ${describeValue(await value)}. ${expectedApps} ${listExports(module)}`,
  );
}

/** The first of the usual names that is an app. What a module exports under them besides an app
 *  (`module.exports = {}` is a "default") is passed over: it may still listen. */
async function usualApp(module: LoadedModule): Promise<App | null> {
  for (const name of usualNames) {
    const app = await inApp(module, () => adaptApp(lookUp(module, [name])));
    if (app !== null) return app;
  }
  return null;
}

/** Runs code of the app (a factory, ready(), init()); what it throws is the app's failure to load. */
async function inApp<T>(module: LoadedModule, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof BootError) throw error;
    throw new BootError(4, `Cannot start the app of ${module.file}\n${describeError(error)}`);
  }
}
