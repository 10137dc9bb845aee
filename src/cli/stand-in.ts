// What stands in for the app when files are given and no app is: a page that says so.

import type { Config } from '../config/config.ts';
import { deepFreeze } from '../config/resolve.ts';
import { welcomeModule } from '../executable/own-modules.ts';

/** The config with an app in it, if it has files and no app. With routes there is nothing beside them and files: no
 *  request would come to it. */
export function withStandIn(config: Config): Config {
  if (config.module !== null || config.apps.length > 0) return config;
  if (config.static.length === 0 || config.routes.length > 0) return config;
  return deepFreeze({
    ...config,
    module: welcomeModule,
    export: 'default',
    // It has next to nothing to do.
    workers: 1,
    workerClass: 'async',
    threads: 1,
    preload: false,
    reload: false,
  });
}
