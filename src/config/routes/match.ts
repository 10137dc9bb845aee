// Reads which requests a route takes: host, path, methods and headers.

import { isIPv6 } from 'node:net';
import { readHost } from '../../certificates/hosts.ts';
import { fieldNameValid, fieldValueValid } from '../../http/fields.ts';
import { canonicalHost } from '../../http/host.ts';
import { isToken } from '../../http/tokens.ts';
import type { Complaints } from './complaints.ts';
import type { HeaderCondition, RouteMatch, RoutePath } from './route-config.ts';

export interface MatchInput {
  readonly host?: unknown;
  readonly path?: unknown;
  readonly methods?: unknown;
  readonly headers?: unknown;
}

export function readMatch(at: string, given: MatchInput, complaints: Complaints): RouteMatch {
  return {
    hosts: complaints.list(
      `${at}.host`,
      given.host,
      readRouteHost,
      'a host name such as example.com or *.example.com, without scheme or port',
    ),
    paths: complaints.list(`${at}.path`, given.path, readPath, pathExpected),
    methods: complaints.list(
      `${at}.methods`,
      given.methods,
      (method) => (isToken(method) && method === method.toUpperCase() ? method : null),
      'methods such as GET, in capitals',
    ),
    headers: readHeaders(`${at}.headers`, given.headers, complaints),
  };
}

const pathExpected =
  'a path that begins with "/", not encoded: /api is it and all below, =/api it alone, /users/:id and /files/* are patterns';

function readRouteHost(text: string): string | null {
  const bare = text.trim().replace(/\.$/, '');
  if (bare === '*') return null;
  const host = readHost(bare);
  if (host === null) return null;
  if (host.kind === 'dns') return host.name;
  return isIPv6(host.address) ? canonicalHost(`[${host.address}]`) : host.address;
}

/** Null where it is no path, or one that no request can have once it is decoded and resolved. */
export function readPath(given: string): RoutePath | null {
  const isExact = given.startsWith('=');
  const text = isExact ? given.slice(1) : given;
  if (!/^\/[^?#%\\\x00-\x1f\x7f]*$/.test(text)) return null;
  if (/(^|\/)\.\.?(\/|$)|\/\//.test(text)) return null;
  const isPattern = /[*]|\/:/.test(text);
  if (isExact) return isPattern ? null : { kind: 'exact', text };
  if (isPattern) return patternValid(text) ? { kind: 'pattern', text } : null;
  // A prefix is of whole segments, so "/api/" and "/api" are one and the same.
  return { kind: 'prefix', text: text.replace(/\/+$/, '') || '/' };
}

/** One "*" a segment, so that matching takes no steps back; names once each. */
function patternValid(text: string): boolean {
  const names = new Set<string>();
  for (const segment of text.split('/')) {
    if (segment.startsWith(':')) {
      const name = segment.slice(1);
      if (!/^[A-Za-z_]\w{0,31}$/.test(name) || names.has(name)) return false;
      names.add(name);
    } else if (segment.indexOf('*') !== segment.lastIndexOf('*')) return false;
  }
  return true;
}

function readHeaders(at: string, raw: unknown, complaints: Complaints): HeaderCondition[] {
  if (raw === undefined || raw === null) return [];
  if (typeof raw !== 'object' || Array.isArray(raw)) {
    complaints.add(at, raw, "headers and their values such as { 'x-beta': '1' }");
    return [];
  }
  const conditions: HeaderCondition[] = [];
  for (const [given, value] of Object.entries(raw)) {
    if (value === undefined) continue;
    const name = given.toLowerCase();
    if (!fieldNameValid(given)) complaints.add(`${at}.${given}`, value, 'no header has this name');
    else if (typeof value === 'boolean') conditions.push({ name, values: null, absent: !value });
    else {
      const expected =
        'a value, where a "*" stands for anything, a list of them, true (there) or false (not there)';
      const read = (text: string) => (fieldValueValid(text) && text === text.trim() ? text : null);
      const values = complaints.list(`${at}.${given}`, value, read, expected);
      conditions.push({ name, values, absent: false });
    }
  }
  return conditions;
}
