// What a route makes of the path: stripped, rewritten, or a part of a redirect.

import { fillTemplate, type Template, type TemplateValues } from '../../config/routes/template.ts';
import type { Exchange, Fields } from '../../http/exchange.ts';
import { fieldValue } from '../../http/fields.ts';
import { canonicalHost } from '../../http/host.ts';
import { sameName } from '../../http/tokens.ts';
import { paramsIn } from '../../routing/path-rule.ts';
import { readPath } from '../../routing/readings.ts';
import type { Candidate } from '../../routing/route-table.ts';

/** Replaces the path; the query stays. */
export function usePath(exchange: Exchange, path: string): void {
  const { request } = exchange;
  exchange.request = { ...request, target: path + queryOf(request.target) };
}

/** Gives it the path of the template; the query stays, unless the template says something of it. */
export function rewriteTarget(exchange: Exchange, candidate: Candidate, template: Template): void {
  const target = fillTemplate(template, templateValues(exchange, candidate));
  const hasQuery = template.some((part, at) =>
    at % 2 === 0 ? part.includes('?') : part === 'query',
  );
  if (hasQuery) exchange.request = { ...exchange.request, target };
  else usePath(exchange, target);
}

/** Takes away what prefixOf() says, however it was written. */
export function stripPath(exchange: Exchange, candidate: Candidate): void {
  const segments = pathOf(exchange.request.target)
    .split('/')
    .slice(1 + strippedOf(candidate));
  usePath(exchange, `/${segments.join('/')}`);
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

/** What the templates of the route can hold. */
export function templateValues(
  { request, client }: Exchange,
  { path: rule }: Candidate,
): TemplateValues {
  const path = pathOf(request.target);
  return {
    scheme: client.scheme,
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
