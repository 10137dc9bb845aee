// Which route takes a request: the first in order whose conditions all hold. Pure.
//
// A table is made once and asked often: hosts are found in a map, and of the paths only those
// that begin as the request's does are looked at.

import type { HeaderCondition, RouteConfig } from '../config/routes/route-config.ts';
import { type Failure, failure } from '../errors/failure.ts';
import type { Fields, RequestHead } from '../http/exchange.ts';
import { fieldValue } from '../http/fields.ts';
import { canonicalHost } from '../http/host.ts';
import { compilePath, type PathRule, takesPath } from './path-rule.ts';
import { readPath } from './readings.ts';

/** A route by one of its paths; `path` null: any target, even "*". */
export interface Candidate {
  /** Place of the route in the list. */
  readonly index: number;
  readonly route: RouteConfig;
  readonly path: PathRule | null;
}

/** The routes for a host: by the segments that all their paths begin with; in order. */
interface HostTable {
  readonly byLead: ReadonlyMap<string, readonly Candidate[]>;
  /** Most segments of a lead. */
  readonly depth: number;
}

export interface RouteTable {
  readonly hosts: ReadonlyMap<string, HostTable>;
  /** By what follows "*". */
  readonly wildcards: ReadonlyMap<string, HostTable>;
  /** Dots in the longest of them. */
  readonly wildcardDots: number;
  readonly others: HostTable;
}

/** What of a request the conditions are about. */
export interface Asked {
  readonly method: string;
  readonly fields: Fields;
  /** Canonical; '' where the request names none. */
  readonly host: string;
}

export function compileRoutes(routes: readonly RouteConfig[]): RouteTable {
  const candidates = routes.flatMap((route, index): Candidate[] => {
    const { paths } = route.match;
    return paths.length === 0
      ? [{ index, route, path: null }]
      : paths.map((path) => ({ index, route, path: compilePath(path) }));
  });
  const named = new Set(routes.flatMap(({ match }) => match.hosts));
  const hosts = new Map<string, HostTable>();
  const wildcards = new Map<string, HostTable>();
  for (const name of named) {
    const fitting = candidates.filter(({ route }) => takesHostName(route.match.hosts, name));
    if (name.startsWith('*')) wildcards.set(name.slice(1), hostTable(fitting));
    else hosts.set(name, hostTable(fitting));
  }
  const others = hostTable(candidates.filter(({ route }) => route.match.hosts.length === 0));
  const dots = [...wildcards.keys()].map((suffix) => suffix.split('.').length - 1);
  return { hosts, wildcards, wildcardDots: Math.max(0, ...dots), others };
}

/** `name` may itself be a wildcard: whether all it stands for is taken. */
function takesHostName(hosts: readonly string[], name: string): boolean {
  return hosts.length === 0 || hosts.some((host) => takesHost(host, name));
}

/** "*" is at least one label. */
export function takesHost(host: string, name: string): boolean {
  if (host === name) return true;
  return host.startsWith('*') && name.endsWith(host.slice(1)) && name.length >= host.length;
}

function hostTable(candidates: readonly Candidate[]): HostTable {
  const byLead = new Map<string, Candidate[]>();
  for (const candidate of candidates) {
    const lead = candidate.path?.lead ?? '';
    const list = byLead.get(lead);
    if (list === undefined) byLead.set(lead, [candidate]);
    else list.push(candidate);
  }
  const depth = Math.max(0, ...candidates.map(({ path }) => path?.leadSegments ?? 0));
  return { byLead, depth };
}

/** What was found. `canonical`: the path as it is to go on where it can be misread; null = as it came. */
export interface Found {
  readonly candidate: Candidate | null;
  readonly canonical: string | null;
}

/** The route for a request, or the failure of one whose path or host can be read in ways that lead
 *  to different routes. */
export function findRoute(table: RouteTable, request: RequestHead): Found | Failure {
  const { method, target, fields } = request;
  const given = fieldValue(fields, 'host') ?? '';
  // Decoded by URL parsers, but not by others.
  if (given.includes('%')) return failure('BAD_HOST', 'Host holds a "%"');
  const host = canonicalHost(given);
  const hosts = tableFor(table, host);
  const asked = { method, fields, host };
  if (!target.startsWith('/')) return { candidate: firstOf(hosts, asked, null), canonical: null };
  const query = target.indexOf('?');
  const path = query === -1 ? target : target.slice(0, query);
  const readings = readPath(path);
  if ('code' in readings) return readings;
  const candidate = agreed(hosts, asked, readings.paths);
  if (candidate !== undefined) return { candidate, canonical: null };
  // Sent on as it is read here, it can't be misread, unless it holds encoded slashes.
  const clear = readPath(readings.canonical);
  const settled = 'code' in clear ? undefined : agreed(hosts, asked, clear.paths);
  if (settled === undefined)
    return failure('BAD_TARGET', 'the path can be read in two ways that lead to different routes');
  return { candidate: settled, canonical: readings.canonical };
}

/** Undefined where the readings do not lead to the same route. */
function agreed(hosts: HostTable, asked: Asked, paths: readonly string[]) {
  const first = firstOf(hosts, asked, paths[0]!);
  for (let at = 1; at < paths.length; at++)
    if (firstOf(hosts, asked, paths[at]!)?.index !== first?.index) return undefined;
  return first;
}

function tableFor({ hosts, wildcards, wildcardDots, others }: RouteTable, host: string): HostTable {
  const exact = hosts.get(host);
  if (exact !== undefined) return exact;
  // From the right, so that a host of thousands of labels costs no more than others.
  let longest: HostTable | null = null;
  let dot = host.length;
  for (let dots = 0; dots < wildcardDots; dots++) {
    dot = host.lastIndexOf('.', dot - 1);
    if (dot <= 0) break;
    longest = wildcards.get(host.slice(dot)) ?? longest;
  }
  return longest ?? others;
}

function firstOf(hosts: HostTable, asked: Asked, path: string | null): Candidate | null {
  const { byLead, depth } = hosts;
  let best = firstIn(byLead.get(''), asked, path, null);
  if (path === null) return best;
  let end = 0;
  for (let segment = 0; segment < depth && end < path.length; segment++) {
    const next = path.indexOf('/', end + 1);
    end = next === -1 ? path.length : next;
    best = firstIn(byLead.get(path.slice(0, end)), asked, path, best);
  }
  return best;
}

/** The first that takes the request and stands before `best`. */
function firstIn(
  candidates: readonly Candidate[] | undefined,
  asked: Asked,
  path: string | null,
  best: Candidate | null,
): Candidate | null {
  if (candidates === undefined) return best;
  for (const candidate of candidates) {
    if (best !== null && candidate.index >= best.index) return best;
    const takes = candidate.path === null || (path !== null && takesPath(candidate.path, path));
    if (takes && takesMethod(candidate.route, asked) && takesFields(candidate.route, asked))
      return candidate;
  }
  return best;
}

/** A preflight asks for another method than its own (Fetch standard, section 3.2.2). */
export function takesMethod({ match, cors }: RouteConfig, { method, fields }: Asked): boolean {
  const { methods } = match;
  if (methods.length === 0 || methods.includes(method)) return true;
  if (method === 'HEAD') return methods.includes('GET');
  if (cors === null || method !== 'OPTIONS') return false;
  return methods.includes(fieldValue(fields, 'access-control-request-method') ?? '');
}

function takesFields({ match }: RouteConfig, { fields }: Asked): boolean {
  for (const condition of match.headers) if (!takesHeader(condition, fields)) return false;
  return true;
}

/** A header that is there several times will do if one of its values does. */
export function takesHeader({ name, values, absent }: HeaderCondition, fields: Fields): boolean {
  let isThere = false;
  for (let index = 0; index < fields.length; index += 2) {
    const given = fields[index]!;
    if (given.length !== name.length || given.toLowerCase() !== name) continue;
    isThere = true;
    if (values?.some((value) => takesValue(value, fields[index + 1]!))) return true;
  }
  return values === null && isThere !== absent;
}

/** Pieces between stars are looked for from left to right, each where it comes first: no step back. */
function takesValue(wanted: string, value: string): boolean {
  const [first = '', ...others] = wanted.split('*');
  const last = others.pop();
  if (last === undefined) return wanted === value;
  if (!value.startsWith(first)) return false;
  let at = first.length;
  for (const piece of others) {
    const found = value.indexOf(piece, at);
    if (found === -1) return false;
    at = found + piece.length;
  }
  return value.length - last.length >= at && value.endsWith(last);
}
