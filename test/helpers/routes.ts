// Routes for tests, written as in a config file.

import { Unfit } from '../../src/config/kinds.ts';
import type { RouteConfig } from '../../src/config/routes/route-config.ts';
import { routeTable } from '../../src/config/routes/routes.ts';

/** Throws what is wrong with them. */
export function routes(...given: readonly object[]): RouteConfig[] {
  const read = routeTable.read(given);
  if (read instanceof Unfit) throw new Error(faultsOf(read).join('\n'));
  return read;
}

/** What is wrong with a `routes` setting; none where it will do. */
export function routeFaults(raw: unknown): string[] {
  const read = routeTable.read(raw);
  return read instanceof Unfit ? faultsOf(read) : [];
}

function faultsOf({ hint, parts }: Unfit): string[] {
  return parts.length === 0 ? [hint] : parts.map((part) => part.hint);
}
