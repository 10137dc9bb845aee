// Reads the `routes` setting: a list of rules in a config file, or /PATH=TARGET as text.

import type { Config } from '../config.ts';
import { type Kind, Unfit } from '../kinds.ts';
import { showTarget as showUpstream } from '../upstream-config.ts';
import { readAddresses, readCors } from './access.ts';
import { Complaints } from './complaints.ts';
import { readRequestRules, readResponseRules, readSecurity } from './header-rules.ts';
import { readMatch } from './match.ts';
import { readAuth } from './passwords.ts';
import { paramsOf, readPathChange } from './path-change.ts';
import type { RouteConfig } from './route-config.ts';
import { readTarget } from './target.ts';

const ROUTES_MAX = 10_000;

/** What a route may say, with its type in a config file. */
export const routeFields = {
  name: {
    type: 'string',
    help: 'Stands for the route in logs and status; made of host and path without it',
  },
  host: {
    type: 'string | readonly string[]',
    help: 'Hosts it is for: `example.com`, or `*.example.com` for all names below that',
  },
  path: {
    type: 'string | readonly string[]',
    help: 'Paths it is for: `/api` and all below, `=/api` alone, patterns such as `/users/:id`, `/img/*.png` and `/files/*`',
  },
  methods: {
    type: 'string | readonly string[]',
    help: 'Methods it is for; GET stands for HEAD too',
  },
  headers: {
    type: 'Readonly<Record<string, boolean | string | readonly string[]>>',
    help: 'Headers a request must have: a value (where `*` stands for anything) or several, `true` (there) or `false` (not there)',
  },
  to: {
    type: 'RouteTargetInput',
    help: '`"app"`, one of several [apps](apps.md#several-apps) by its name (`"api"` or `"app:api"`), an HTTP upstream (`"http://api:8000"`, a list of such, or `{ targets, … }`), `{ redirect, status }` or `{ respond, body, headers }`',
  },
  strip: {
    type: 'boolean | string',
    help: 'What the path loses at its beginning before the request goes on, in whole segments; `true` is what `path` says. `X-Forwarded-Prefix` tells what it was',
  },
  rewrite: {
    type: 'string',
    help: 'The path to go on with, such as `/v2/{id}` with `path: "/users/:id"`; the query stays, unless there is one in it',
  },
  requestHeaders: {
    type: 'HeaderRulesInput',
    help: 'What the app or upstream is told otherwise: `{ set, add, remove, default }`',
  },
  responseHeaders: {
    type: 'HeaderRulesInput',
    help: 'The same for answers, those of the edge too; `default` is for what has no such header',
  },
  security: {
    type: 'boolean | Readonly<Record<string, string | false>>',
    help: 'Headers that keep browsers careful, where the app sends none of its own; `{ "X-Frame-Options": false }` leaves one out, others are added',
  },
  allow: {
    type: 'string | readonly string[]',
    help: 'Addresses and CIDR blocks that are let in; all others get a 403',
  },
  deny: { type: 'string | readonly string[]', help: 'Those that are not; it wins over `allow`' },
  cors: {
    type: 'boolean | CorsInput',
    help: 'Which pages of other origins may ask: preflights are answered by the edge; `true` is all, without credentials',
  },
  auth: {
    type: 'AuthInput',
    help: 'Who may come in with which password, by Basic authentication: `{ users: { alice: "$2y$…" } }` or `{ file: ".htpasswd" }`, with hashes of bcrypt or Argon2',
  },
} as const;

const keys = Object.keys(routeFields);

export const routeTable: Kind<RouteConfig[]> = {
  expected:
    "[HOST]/PATH=TARGET, or a list such as [{ path: '/old', to: { redirect: '/new' } }] in a config file",
  placeholder: '/PATH=TARGET',
  inputType: 'string | readonly (string | RouteInput)[]',
  flag: 'repeat',
  read(raw) {
    const list = typeof raw === 'string' ? readText(raw) : raw;
    if (!Array.isArray(list) || list.length > ROUTES_MAX) return new Unfit();
    const complaints = new Complaints();
    const routes: RouteConfig[] = [];
    for (const [index, entry] of list.entries()) {
      const route = readRoute(`routes[${index}]`, entry, complaints);
      if (route !== null) routes.push(route);
    }
    for (const name of repeatedNames(routes))
      complaints.add('name', name, 'two routes have this name');
    return complaints.isEmpty ? named(routes) : complaints.toUnfit();
  },
  show: (routes) => routes.map(showRoute).join(', ') || 'none',
};

/** Of the environment: JSON, or /PATH=TARGET with commas between. */
function readText(text: string): unknown {
  if (!text.trimStart().startsWith('['))
    return text.split(',').filter((part) => part.trim() !== '');
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function readRoute(at: string, raw: unknown, complaints: Complaints): RouteConfig | null {
  const given = typeof raw === 'string' ? fromText(raw.trim()) : raw;
  if (given === null || typeof given !== 'object') {
    complaints.add(at, raw, 'a route has a to');
    return null;
  }
  const fields = complaints.object(at, given, keys);
  const match = readMatch(at, fields, complaints);
  const { name = '' } = fields;
  if (typeof name !== 'string' || !/^[ -~]{0,100}$/.test(name))
    complaints.add(`${at}.name`, name, 'a name of at most 100 letters in ASCII');
  const to = readTarget(`${at}.to`, fields.to, paramsOf(match), complaints);
  const path = readPathChange(at, fields, { match, to }, complaints);
  const rules = readRouteRules(at, fields, match.methods, complaints);
  return to === null ? null : { name: String(name), match, to, ...path, ...rules };
}

function readRouteRules(
  at: string,
  given: Readonly<Record<string, unknown>>,
  methods: readonly string[],
  complaints: Complaints,
) {
  const response = readResponseRules(`${at}.responseHeaders`, given.responseHeaders, complaints);
  const security = readSecurity(`${at}.security`, given.security, complaints);
  return {
    requestHeaders: readRequestRules(`${at}.requestHeaders`, given.requestHeaders, complaints),
    responseHeaders: { ...response, defaults: [...response.defaults, ...security] },
    allow: readAddresses(`${at}.allow`, given.allow, complaints),
    deny: readAddresses(`${at}.deny`, given.deny, complaints),
    auth: readAuth(`${at}.auth`, given.auth, complaints),
    cors: readCors(`${at}.cors`, given.cors, methods, complaints),
  };
}

/** "example.com/api=TARGET". */
function fromText(text: string): object | null {
  const match = /^(=?)([^/=]*)(\/[^=]*)?=(.+)$/.exec(text);
  if (match === null) return null;
  const [, exact, host, path, to] = match;
  return {
    ...(host === '' ? {} : { host }),
    ...(path === undefined ? {} : { path: `${exact}${path}` }),
    to,
  };
}

function repeatedNames(routes: readonly RouteConfig[]): Set<string> {
  const names = routes.map(({ name }) => name).filter((name) => name !== '');
  return new Set(names.filter((name, index) => names.indexOf(name) !== index));
}

/** Every route has a name of its own. */
function named(routes: readonly RouteConfig[]): RouteConfig[] {
  const taken = new Set(routes.map(({ name }) => name));
  return routes.map((route, index) => {
    if (route.name !== '') return route;
    const { hosts, paths, methods } = route.match;
    const made =
      `${hosts[0] ?? ''}${paths.length > 0 ? showPath(paths[0]!) : ''}` || methods.join() || '*';
    const name = taken.has(made) ? `${made} #${index + 1}` : made;
    taken.add(name);
    return { ...route, name: name.slice(0, 100) };
  });
}

export function showPath({ kind, text }: RouteConfig['match']['paths'][number]): string {
  return kind === 'exact' ? `=${text}` : text;
}

export function showTarget(to: RouteConfig['to']): string {
  switch (to.kind) {
    case 'named-app':
      return `app:${to.name}`;
    case 'app':
      return 'app';
    case 'upstream':
      return to.upstream.targets.map(showUpstream).join(' ');
    case 'redirect':
      return `${to.status} ${to.location}`;
    case 'respond':
      return `answer ${to.status}`;
  }
}

function showRoute({ name, to }: Config['routes'][number]): string {
  return `${name} → ${showTarget(to)}`;
}

/** For the docs of the setting. */
export function routeFieldsTable(): string {
  const rows = Object.entries(routeFields).map(([name, { help }]) => `| \`${name}\` | ${help}. |`);
  return ['| of each route | |', '| --- | --- |', ...rows].join('\n');
}
