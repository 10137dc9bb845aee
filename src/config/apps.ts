// The apps of the settings: that of the top level, and those with a name of their own.

import { type AppConfig, type Config, topApp } from './config.ts';

/** What an app may set for itself; all else is the same for all. */
export const appFields = [
  'module',
  'export',
  'chdir',
  'env',
  'preload',
  'workers',
  'workerClass',
  'threads',
  'command',
  'python',
  'pythonServer',
  'workerConnections',
  'maxRequests',
  'maxRequestsJitter',
  'timeoutMs',
  'hangStack',
  'gracefulTimeoutMs',
] as const satisfies readonly (keyof Config)[];

/** All of them, that of the top level first; the first is the one that requests go to that no route takes. */
export function appsOf(config: Config): readonly AppConfig[] {
  return config.module === null
    ? config.apps
    : [{ name: topApp, ...ownOf(config) }, ...config.apps];
}

/** The settings as if that app were the only one. */
export function configFor(config: Config, app: AppConfig): Config {
  const { name, ...own } = app;
  return name === topApp ? config : { ...config, ...own };
}

/** Its own part of settings that are those of an app alone. */
export function ownOf(config: Config): Pick<Config, (typeof appFields)[number]> {
  return Object.fromEntries(appFields.map((field) => [field, config[field]])) as Pick<
    Config,
    (typeof appFields)[number]
  >;
}

/** "worker 2" of the top level's app, "worker api 2" of one with a name. */
export function workerName(app: string, slot: number): string {
  return app === topApp ? `worker ${slot}` : `worker ${app} ${slot}`;
}
