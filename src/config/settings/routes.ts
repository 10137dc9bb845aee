// Settings of routing.

import { resolve } from 'node:path';
import { fieldRowsTable } from '../field-rows.ts';
import type { RouteConfig } from '../routes/route-config.ts';
import { routeFieldsTable, routeTable } from '../routes/routes.ts';
import { type Setting, setting } from '../setting.ts';
import { type UpstreamConfig, upstreamFields } from '../upstream-config.ts';

export const routeSettings: readonly Setting[] = [
  setting('routes', {
    group: 'Routing',
    flags: ['--route'],
    kind: routeTable,
    default: [],
    help: 'Which requests go elsewhere than to the app, such as /api=http://api:8000; repeatable',
    doc: 'The first route that takes a request has it; what none takes goes on to static files and the app. On the command line a route is `[HOST]/PATH=TARGET` with a target that is text; in a config file it says more. See [routes](routes.md).',
    table: `${routeFieldsTable()}\n\nAn upstream may say:\n\n${fieldRowsTable(upstreamFields)}`,
    finish: (routes, { chdir }) => routes.map((route) => withPaths(route, chdir)),
    known: 'nginx `server_name`, `location`, `proxy_pass`, `return`, `rewrite`',
  }),
];

/** Paths of files are relative to chdir. */
function withPaths(route: RouteConfig, chdir: string): RouteConfig {
  const { to, auth } = route;
  const file = auth?.file ?? null;
  return {
    ...route,
    auth: auth === null || file === null ? auth : { ...auth, file: resolve(chdir, file) },
    to: to.kind === 'upstream' ? { ...to, upstream: withCaPath(to.upstream, chdir) } : to,
  };
}

function withCaPath(upstream: UpstreamConfig, chdir: string): UpstreamConfig {
  const { caFile } = upstream.tls;
  if (caFile === null) return upstream;
  return { ...upstream, tls: { ...upstream.tls, caFile: resolve(chdir, caFile) } };
}
