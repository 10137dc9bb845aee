// The apps of the settings: that of the top level, and those with a name of their own.

import { type AppConfig, type AppOwn, appFields, type Config, topApp } from './config.ts';

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
export function ownOf(config: Config): AppOwn {
  return Object.fromEntries(appFields.map((field) => [field, config[field]])) as AppOwn;
}

/** "worker 2" of the top level's app, "worker api 2" of one with a name. */
export function workerName(app: string, slot: number): string {
  return app === topApp ? `worker ${slot}` : `worker ${app} ${slot}`;
}
