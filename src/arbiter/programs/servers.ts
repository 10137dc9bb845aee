// The Python servers that were found for the settings in use.

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
  return {
    async find(config, identity) {
      const { workerClass } = config;
      if (workerClass !== 'wsgi' && workerClass !== 'asgi') return null;
      const looked = await findServer(config, identity);
      if (!looked.ok) return looked.problem;
      const fault = pythonFault({ config, server: looked.server });
      if (fault === null) found.set(keyOf(config), looked.server);
      return fault;
    },
    of: (config) => found.get(keyOf(config)) ?? null,
  };
}
