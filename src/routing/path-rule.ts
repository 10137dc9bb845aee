// Whether a path is under a route's path: exactly, as a prefix, or by a pattern. Pure, and in one pass.

import type { RoutePath } from '../config/routes/route-config.ts';

type Segment =
  | { readonly kind: 'any'; readonly name: string }
  | { readonly kind: 'literal'; readonly text: string }
  /** What "*.png" stands for. */
  | { readonly kind: 'glob'; readonly before: string; readonly after: string };

export interface PathRule {
  readonly kind: RoutePath['kind'];
  /** For an exact path: all of it. */
  readonly text: string;
  /** The segments that are the same in all paths it takes: "/users" of "/users/:id"; '' for none. */
  readonly lead: string;
  /** How many those are. */
  readonly leadSegments: number;
  /** What follows them; of a pattern only. */
  readonly segments: readonly Segment[];
  /** Anything may follow those, if it is only "/". */
  readonly rest: boolean;
}

export function compilePath({ kind, text }: RoutePath): PathRule {
  const parts = text.split('/').slice(1);
  if (kind !== 'pattern') {
    const lead = text.endsWith('/') ? text.slice(0, -1) : text;
    const leadSegments = lead === '' ? 0 : lead.split('/').length - 1;
    return { kind, text, lead, leadSegments, segments: [], rest: kind === 'prefix' };
  }
  const leadSegments = parts.findIndex((part) => part.startsWith(':') || part.includes('*'));
  const rest = parts.at(-1) === '*';
  const segments = parts.slice(leadSegments, rest ? -1 : undefined).map(compileSegment);
  const lead = parts
    .slice(0, leadSegments)
    .map((part) => `/${part}`)
    .join('');
  return { kind, text, lead, leadSegments, segments, rest };
}

function compileSegment(part: string): Segment {
  if (part.startsWith(':')) return { kind: 'any', name: part.slice(1) };
  const star = part.indexOf('*');
  if (star === -1) return { kind: 'literal', text: part };
  if (part === '*') return { kind: 'any', name: '' };
  return { kind: 'glob', before: part.slice(0, star), after: part.slice(star + 1) };
}

/** `path`: a reading of a request's. */
export function takesPath(rule: PathRule, path: string): boolean {
  const { kind, lead, segments } = rule;
  if (kind === 'exact') return path === rule.text;
  if (!path.startsWith(lead)) return false;
  let at = lead.length;
  if (kind === 'prefix') return at === path.length || path.charCodeAt(at) === SLASH;
  for (const segment of segments) {
    if (path.charCodeAt(at) !== SLASH) return false;
    const next = path.indexOf('/', at + 1);
    const end = next === -1 ? path.length : next;
    if (!takesSegment(segment, path.slice(at + 1, end))) return false;
    at = end;
  }
  return rule.rest ? path.charCodeAt(at) === SLASH : at === path.length;
}

const SLASH = 47;

function takesSegment(segment: Segment, text: string): boolean {
  switch (segment.kind) {
    case 'any':
      return text !== '';
    case 'literal':
      return text === segment.text;
    case 'glob': {
      const { before, after } = segment;
      const fits = text.length >= before.length + after.length;
      return fits && text.startsWith(before) && text.endsWith(after);
    }
  }
}

/** What the names of the rule stand for in a path that it takes; "*" for the rest. */
export function paramsIn(rule: PathRule, path: string): Map<string, string> {
  const params = new Map<string, string>();
  const parts = path.split('/').slice(1 + rule.leadSegments);
  for (const [index, segment] of rule.segments.entries())
    if (segment.kind === 'any' && segment.name !== '') params.set(segment.name, parts[index] ?? '');
  if (rule.rest) params.set('*', parts.slice(rule.segments.length).join('/'));
  return params;
}
