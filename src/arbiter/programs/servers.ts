// The Python servers that were found for the settings in use.

import { appsOf, configFor } from '../../config/apps.ts';
import type { Config } from '../../config/config.ts';
import type { Identity } from '../identity.ts';
import { findServer, type Server } from './find-server.ts';
import { pythonFault } from './recipe.ts';

export interface Servers {
  /** Looks again at each start and reload: a deploy may have put another Python there. Resolves to what
   *  is wrong; then nothing is kept of it. */
  find(config: Config, identity: Identity | null): Promise<string | null>;
  of(config: Config): Server | null;
}

export function createServers(): Servers {
  const found = new Map<string, Server>();
  const keyOf = ({ workerClass, python, pythonServer, chdir, env }: Config): string =>
    JSON.stringify([workerClass, python, pythonServer, chdir, env]);
  const findFor = async (config: Config, identity: Identity | null): Promise<string | null> => {
    const { workerClass } = config;
    if (workerClass !== 'wsgi' && workerClass !== 'asgi') return null;
    const looked = await findServer(config, identity);
    if (!looked.ok) return looked.problem;
    const fault = pythonFault({ config, server: looked.server });
    if (fault === null) found.set(keyOf(config), looked.server);
    return fault;
  };
  return {
    async find(config, identity) {
      for (const app of appsOf(config)) {
        const problem = await findFor(configFor(config, app), identity);
        if (problem !== null) return problem;
      }
      return null;
    },
    of: (config) => found.get(keyOf(config)) ?? null,
  };
}
