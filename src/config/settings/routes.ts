// Settings of routing.

import { routeFieldsTable, routeTable } from '../routes/routes.ts';
import { type Setting, setting } from '../setting.ts';

export const routeSettings: readonly Setting[] = [
  setting('routes', {
    group: 'Routing',
    flags: ['--route'],
    kind: routeTable,
    default: [],
    help: 'Which requests go elsewhere than to the app; repeatable',
    doc: 'The first route that takes a request has it; what none takes goes on to static files and the app. On the command line `/old={…}` can only name a target that is text; in a config file a route says more. See [routes](routes.md).',
    table: routeFieldsTable(),
    known: 'nginx `server_name`, `location`, `proxy_pass`, `return`, `rewrite`',
  }),
];
