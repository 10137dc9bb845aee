// Reads what becomes of a request's path before it goes on: strip and rewrite.

import type { Complaints } from './complaints.ts';
import { readPath } from './match.ts';
import type { RouteConfig, RouteMatch, RoutePath, RouteTarget } from './route-config.ts';
import { rewriteFault } from './template.ts';

type PathChange = Pick<RouteConfig, 'strip' | 'rewrite'>;

export function readPathChange(
  at: string,
  given: { readonly strip?: unknown; readonly rewrite?: unknown },
  { match, to }: { readonly match: RouteMatch; readonly to: RouteTarget | null },
  complaints: Complaints,
): PathChange {
  const { strip = false, rewrite = null } = given;
  const goesOn = to === null || (to.kind !== 'redirect' && to.kind !== 'respond');
  if (!goesOn && (strip !== false || rewrite !== null))
    complaints.add(at, Object.keys(given), 'strip and rewrite are for requests that go on');
  if (strip !== false && rewrite !== null)
    complaints.add(`${at}.rewrite`, rewrite, 'a route can have strip or rewrite, not both');
  const fault =
    rewrite === null || typeof rewrite === 'string'
      ? rewrite && rewriteFault(rewrite, paramsOf(match))
      : 'it is a path';
  if (fault) complaints.add(`${at}.rewrite`, rewrite, fault);
  return {
    strip: readStrip(`${at}.strip`, strip, match, complaints),
    rewrite: typeof rewrite === 'string' ? rewrite : null,
  };
}

function readStrip(
  at: string,
  raw: unknown,
  { paths }: RouteMatch,
  complaints: Complaints,
): PathChange['strip'] {
  if (raw === false || raw === null) return null;
  if (raw === true) {
    if (paths.length > 0) return 'path';
    complaints.add(at, raw, 'the route has no path to strip');
    return null;
  }
  const prefix = typeof raw === 'string' ? readPath(raw) : null;
  if (prefix?.kind !== 'prefix' || prefix.text === '/') {
    complaints.add(at, raw, 'it is true, or a path such as /api');
    return null;
  }
  const isThere = ({ text }: RoutePath) =>
    text === prefix.text || text.startsWith(`${prefix.text}/`);
  if (paths.length === 0 || !paths.every(isThere))
    complaints.add(at, raw, `not all paths of the route begin with ${prefix.text}`);
  return prefix.text.split('/').length - 1;
}

/** Names that each of the route's patterns gives, "*" for the rest; only what all of them have can be
 *  counted on. */
export function paramsOf({ paths }: RouteMatch): string[] {
  const each = paths.map(({ kind, text }) => {
    if (kind === 'exact') return [];
    if (kind === 'prefix') return ['*'];
    const segments = text.split('/');
    const names = segments.filter((one) => one.startsWith(':')).map((one) => one.slice(1));
    return segments.at(-1) === '*' ? [...names, '*'] : names;
  });
  const [first = []] = each;
  return first.filter((name) => each.every((names) => names.includes(name)));
}
