// The settings: one table, from which flags, environment names, checks, help, --print-config and docs are made.

import type { Setting } from './setting.ts';
import { acmeSettings } from './settings/acme.ts';
import { appSettings } from './settings/app.ts';
import { appsSettings } from './settings/apps.ts';
import { cacheSettings } from './settings/cache.ts';
import { compressionSettings } from './settings/compression.ts';
import { connectionSettings } from './settings/connections.ts';
import { errorSettings } from './settings/errors.ts';
import { logSettings } from './settings/logs.ts';
import { processSettings } from './settings/processes.ts';
import { programSettings } from './settings/programs.ts';
import { routeSettings } from './settings/routes.ts';
import { staticSettings } from './settings/static.ts';
import { tlsSettings } from './settings/tls.ts';
import { upgradeSettings } from './settings/upgrades.ts';

export const settings: readonly Setting[] = [
  ...appSettings,
  ...appsSettings,
  ...tlsSettings,
  ...acmeSettings,
  ...processSettings,
  ...programSettings,
  ...connectionSettings,
  ...upgradeSettings,
  ...routeSettings,
  ...staticSettings,
  ...cacheSettings,
  ...compressionSettings,
  ...errorSettings,
  ...logSettings,
];

export const settingsByKey: ReadonlyMap<string, Setting> = new Map(
  settings.map((setting) => [setting.key, setting]),
);
