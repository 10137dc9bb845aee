// Settings of routing.

import { resolve } from 'node:path';
import type { RouteConfig } from '../routes/route-config.ts';
import { routeFieldsTable, routeTable } from '../routes/routes.ts';
import { type Setting, setting } from '../setting.ts';
import { upstreamFieldsTable } from '../upstream-config.ts';

export const routeSettings: readonly Setting[] = [
  setting('routes', {
    group: 'Routing',
    flags: ['--route'],
    kind: routeTable,
    default: [],
    help: 'Which requests go elsewhere than to the app, such as /api=http://api:8000; repeatable',
    doc: 'The first route that takes a request has it; what none takes goes on to static files and the app. On the command line a route is `[HOST]/PATH=TARGET` with a target that is text; in a config file it says more. See [routes](routes.md).',
    table: `${routeFieldsTable()}\n\nAn upstream may say:\n\n${upstreamFieldsTable()}`,
    finish: (routes, { chdir }) => routes.map((route) => withPaths(route, chdir)),
    known: 'nginx `server_name`, `location`, `proxy_pass`, `return`, `rewrite`',
  }),
];

/** Paths of files are relative to chdir. */
function withPaths(route: RouteConfig, chdir: string): RouteConfig {
  const { to } = route;
  if (to.kind !== 'upstream' || to.upstream.tls.caFile === null) return route;
  const tls = { ...to.upstream.tls, caFile: resolve(chdir, to.upstream.tls.caFile) };
  return { ...route, to: { kind: 'upstream', upstream: { ...to.upstream, tls } } };
}
