// Says why a route does not take a request, in words. Pure; asks the same conditions as the table.

import type { RouteConfig } from '../config/routes/route-config.ts';
import { showPath } from '../config/routes/routes.ts';
import type { RequestHead } from '../http/exchange.ts';
import { fieldValue } from '../http/fields.ts';
import { canonicalHost } from '../http/host.ts';
import { compilePath, takesPath } from './path-rule.ts';
import { readPath } from './readings.ts';
import { takesHeader, takesHost, takesMethod } from './route-table.ts';

/** Null: it takes it. */
export function whyNot(route: RouteConfig, request: RequestHead): string | null {
  const { hosts, paths, methods, headers } = route.match;
  const { method, target, fields } = request;
  const host = canonicalHost(fieldValue(fields, 'host') ?? '');
  if (hosts.length > 0 && !hosts.some((one) => takesHost(one, host)))
    return `the host is ${host === '' ? 'not given' : host}, not ${oneOf(hosts)}`;
  if (paths.length > 0) {
    const readings = target.startsWith('/') ? readPath(target.split('?', 1)[0]!) : null;
    const path = readings === null || 'code' in readings ? target : readings.paths[0]!;
    if (!paths.some((one) => takesPath(compilePath(one), path)))
      return `the path ${path} is not under ${oneOf(paths.map(showPath))}`;
  }
  if (!takesMethod(route, { method, fields, host }))
    return `the method is ${method}, not ${oneOf(methods)}`;
  const missing = headers.find((condition) => !takesHeader(condition, fields));
  if (missing === undefined) return null;
  const { name, values, absent } = missing;
  if (absent) return `there is a header ${name}`;
  const given = fieldValue(fields, name);
  if (given === undefined) return `there is no header ${name}`;
  return `the header ${name} is ${given}, not ${oneOf(values ?? [])}`;
}

function oneOf(names: readonly string[]): string {
  return names.length > 4 ? `${names.slice(0, 4).join(', ')}, …` : names.join(' or ');
}
