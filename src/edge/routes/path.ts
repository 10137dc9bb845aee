// What a route makes of the path: stripped, rewritten, or a part of a redirect.

import { fillTemplate, parseTemplate, type TemplateValues } from '../../config/routes/template.ts';
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

/** Strips or rewrites the path as the route says; returns what it was stripped of. */
export function changePath(exchange: Exchange, candidate: Candidate): string {
  const { strip, rewrite } = candidate.route;
  if (rewrite !== null) {
    const target = fillTemplate(parseTemplate(rewrite), templateValues(exchange, candidate));
    if (!rewrite.includes('?') && !rewrite.includes('{query}')) usePath(exchange, target);
    else exchange.request = { ...exchange.request, target };
    return '';
  }
  if (strip === null || candidate.path === null) return '';
  const segments = pathOf(exchange.request.target).split('/').slice(1);
  const count = strip === 'path' ? candidate.path.leadSegments : strip;
  if (count === 0) return '';
  usePath(exchange, `/${segments.slice(count).join('/')}`);
  return `/${segments.slice(0, count).join('/')}`;
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
