// What a route makes of a request's target: stripped, rewritten, or a place to redirect to. Pure.

import { fillTemplate, type Template, type TemplateValues } from '../config/routes/template.ts';
import type { Fields, RequestHead } from '../http/exchange.ts';
import { fieldValue } from '../http/fields.ts';
import { canonicalHost } from '../http/host.ts';
import { sameName } from '../http/tokens.ts';
import { paramsIn } from './path-rule.ts';
import { readPath } from './readings.ts';
import type { Candidate } from './route-table.ts';

export interface Asker {
  readonly request: RequestHead;
  readonly scheme: string;
}

/** The target with another path; the query stays. */
export function withPath(target: string, path: string): string {
  return path + queryOf(target);
}

/** The target that a request goes on with. `rewrite`: the route's, null for none. */
export function onwardTarget(asker: Asker, candidate: Candidate, rewrite: Template | null): string {
  const { target } = asker.request;
  if (rewrite !== null) {
    const filled = fillTemplate(rewrite, templateValues(asker, candidate));
    return mentionsQuery(rewrite) ? filled : withPath(target, filled);
  }
  const count = strippedOf(candidate);
  if (count === 0) return target;
  return withPath(
    target,
    `/${pathOf(target)
      .split('/')
      .slice(1 + count)
      .join('/')}`,
  );
}

function mentionsQuery(template: Template): boolean {
  return template.some((part, at) => (at % 2 === 0 ? part.includes('?') : part === 'query'));
}

/** Where a redirect leads; null where the request names no host, and the place needs one. */
export function redirectPlace(asker: Asker, candidate: Candidate, place: Template): string | null {
  const values = templateValues(asker, candidate);
  const needsHost = place.some((part, at) => at % 2 === 1 && part === 'host');
  return needsHost && values.host === '' ? null : fillTemplate(place, values);
}

/** What the path of each request of the candidate loses; '' for nothing. */
export function prefixOf(candidate: Candidate): string {
  const count = strippedOf(candidate);
  if (count === 0) return '';
  return encodeURI(
    candidate
      .path!.text.split('/')
      .slice(0, count + 1)
      .join('/'),
  );
}

function strippedOf({ route, path }: Candidate): number {
  if (route.strip === null || path === null) return 0;
  return route.strip === 'path' ? path.leadSegments : route.strip;
}

/** Tells the app what its links are to begin with, after what a trusted proxy has stripped. */
export function addPrefix(fields: Fields, prefix: string): void {
  for (let index = 0; index < fields.length; index += 2) {
    if (!sameName(fields[index]!, 'x-forwarded-prefix')) continue;
    fields[index + 1] = fields[index + 1]!.replace(/\/+$/, '') + prefix;
    return;
  }
  fields.push('X-Forwarded-Prefix', prefix);
}

function templateValues({ request, scheme }: Asker, { path: rule }: Candidate): TemplateValues {
  const path = pathOf(request.target);
  return {
    scheme,
    host: canonicalHost(fieldValue(request.fields, 'host') ?? ''),
    path,
    query: queryOf(request.target),
    params: rule === null ? new Map() : paramsIn(rule, path),
  };
}

/** In the form that can't be misread. */
function pathOf(target: string): string {
  if (!target.startsWith('/')) return '/';
  const readings = readPath(target.split('?', 1)[0]!);
  return 'code' in readings ? '/' : readings.canonical;
}

function queryOf(target: string): string {
  const at = target.indexOf('?');
  return at === -1 ? '' : target.slice(at);
}
