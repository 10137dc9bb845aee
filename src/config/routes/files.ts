// Whether the files that routes name are there, and what is wrong with those of passwords.

import { readFileSync, statSync } from 'node:fs';
import { parseHtpasswd } from './passwords.ts';
import type { RouteConfig } from './route-config.ts';

const PASSWORD_FILE_BYTES_MAX = 1024 ** 2;

/** `fileFault`: null when the path is a file that can be read. */
export function routeFileFaults(
  routes: readonly RouteConfig[],
  fileFault: (path: string) => string | null,
): { name: string; why: string }[] {
  return routes.flatMap(({ name, to, auth }) => {
    const caFile = to.kind === 'upstream' ? to.upstream.tls.caFile : null;
    const why =
      (caFile === null ? null : fileFault(caFile)) ?? passwordFault(auth?.file ?? null, fileFault);
    return why === null ? [] : [{ name, why }];
  });
}

function passwordFault(file: string | null, fileFault: (path: string) => string | null) {
  if (file === null) return null;
  const fault = fileFault(file);
  if (fault !== null) return fault;
  if (statSync(file).size > PASSWORD_FILE_BYTES_MAX) return `${file} is too large`;
  const { faults } = parseHtpasswd(readFileSync(file, 'utf8'));
  return faults.length === 0 ? null : `${file}, ${faults.join('; ')}`;
}
