// Which route takes a request, against a matcher that is as plain as can be.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { RouteConfig, RoutePath } from '../../src/config/routes/route-config.ts';
import { normalizePath } from '../../src/http/target.ts';
import { compileRoutes, findRoute } from '../../src/routing/route-table.ts';
import { routes } from '../helpers/routes.ts';

interface Ask {
  readonly host?: string;
  readonly method?: string;
  readonly target: string;
  readonly fields?: readonly string[];
}

function find(
  table: readonly RouteConfig[],
  { host = 'test', method = 'GET', target, fields = [] }: Ask,
) {
  const request = { method, target, version: '1.1', fields: ['Host', host, ...fields] } as const;
  return findRoute(compileRoutes(table), { ...request, fields: [...request.fields] });
}

/** Name of the route, null for none, or the code of the failure. */
function named(table: readonly RouteConfig[], ask: Ask | string): string | null {
  const found = find(table, typeof ask === 'string' ? { target: ask } : ask);
  return 'code' in found ? found.code : (found.candidate?.route.name ?? null);
}

test('the first route that fits has the request', () => {
  const table = routes(
    { name: 'exact', path: '=/api', to: 'app' },
    { name: 'id', path: '/api/users/:id', to: 'app' },
    { name: 'api', path: '/api', to: 'app' },
    { name: 'png', path: '/img/*.png', to: 'app' },
    { name: 'files', path: '/files/*', to: 'app' },
  );
  const expected: Record<string, string | null> = {
    '/api': 'exact',
    '/api?x=/files/a': 'exact',
    '/api/': 'api',
    '/api/users': 'api',
    '/api/users/7': 'id',
    '/api/users/7/': 'api',
    '/api/users/7/posts': 'api',
    '/apis': null,
    '/API': null,
    '/': null,
    '*': null,
    'host:443': null,
    '/img/a.png': 'png',
    '/img/.png': 'png',
    '/img/a/b.png': null,
    '/img/png': null,
    '/files': null,
    '/files/': 'files',
    '/files/a/b': 'files',
  };
  for (const [target, name] of Object.entries(expected))
    assert.equal(named(table, target), name, target);
});

test('hosts are compared without case, port and final dot; a wildcard is one label or more', () => {
  const table = routes(
    { name: 'api', host: 'api.example.com', to: 'app' },
    { name: 'deep', host: '*.eu.example.com', path: '/deep', to: 'app' },
    { name: 'any', host: '*.example.com', to: 'app' },
    { name: 'six', host: '::1', to: 'app' },
    { name: 'other', path: '/other', to: 'app' },
  );
  const host = (name: string, target = '/') => named(table, { host: name, target });
  assert.equal(host('API.example.com.:8080'), 'api');
  assert.equal(host('x.example.com'), 'any');
  assert.equal(host('x.y.example.com'), 'any');
  assert.equal(host('x.eu.example.com', '/deep'), 'deep');
  assert.equal(host('x.eu.example.com', '/'), 'any');
  assert.equal(host('example.com'), null);
  assert.equal(host('badexample.com'), null);
  assert.equal(host('.example.com'), null);
  assert.equal(host('[0:0::1]:80'), 'six');
  assert.equal(host('example.com', '/other'), 'other');
  assert.equal(host(`${'a.'.repeat(4000)}example.com`), 'any');
  // URL parsers of some servers would decode it.
  assert.equal(host('%61pi.example.com'), 'BAD_HOST');
});

test('methods and headers are conditions like others', () => {
  const table = routes(
    { name: 'read', methods: 'GET', headers: { 'x-beta': ['1', 'yes*'] }, to: 'app' },
    { name: 'cookie', headers: { cookie: '*session=*' }, to: 'app' },
    { name: 'bare', headers: { cookie: false, accept: true }, to: 'app' },
  );
  const fields = (...given: string[]) => named(table, { target: '/', fields: given });
  assert.equal(fields('X-BETA', '1'), 'read');
  assert.equal(fields('X-Beta', '0', 'X-Beta', 'yes, sir'), 'read');
  assert.equal(fields('X-Beta', '10'), null);
  assert.equal(named(table, { method: 'HEAD', target: '/', fields: ['X-Beta', '1'] }), 'read');
  assert.equal(named(table, { method: 'POST', target: '/', fields: ['X-Beta', '1'] }), null);
  assert.equal(fields('Cookie', 'a=b; session=1'), 'cookie');
  assert.equal(fields('Cookie', 'a=b'), null);
  assert.equal(fields('Accept', '*/*'), 'bare');
  assert.equal(fields('Accept', '*/*', 'Cookie', ''), null);
});

test('a path that can be read in two ways leads past no route', () => {
  const table = routes(
    { name: 'admin', path: '/admin', to: 'app' },
    { name: 'user', path: '/users/:id', to: 'app' },
    { name: 'api', path: '/api', to: 'app' },
  );
  const canonicalOf = (target: string) => {
    const found = find(table, { target });
    return 'code' in found ? found.code : [found.candidate?.route.name ?? null, found.canonical];
  };
  // Read as it is, and so sent on as it is.
  assert.deepEqual(canonicalOf('/%61dmin/x'), ['admin', null]);
  assert.deepEqual(canonicalOf('/api/a%2Fb'), ['api', null]);
  assert.deepEqual(canonicalOf('/api/https%3A%2F%2Fexample.com'), ['api', null]);
  assert.deepEqual(canonicalOf('/api/a/../b'), ['api', null]);
  assert.deepEqual(canonicalOf('/api//b;v=1'), ['api', null]);
  assert.deepEqual(canonicalOf('/.well-known/x'), [null, null]);
  // Sent on as it was read.
  assert.deepEqual(canonicalOf('//admin'), ['admin', '/admin']);
  assert.deepEqual(canonicalOf('/public/../admin?x=1'), ['admin', '/admin']);
  assert.deepEqual(canonicalOf('/admin/%2e%2e/public%20'), [null, '/public%20']);
  assert.deepEqual(canonicalOf('/x/./../api'), ['api', '/api']);
  // No way to send it on would be sure to be read so.
  for (const target of [
    '/users/a%2Fb',
    '/admin/..%2fpublic',
    '/public/..%2fadmin',
    '/public%2f..%2fadmin',
    '/x/..;/admin',
    '/admin;x',
    '/public\\..\\admin',
    '/admin%00',
    '/%ff',
    '/../admin',
  ])
    assert.equal(canonicalOf(target), 'BAD_TARGET', target);
});

const segment = fc.constantFrom('a', 'b', 'c.png', 'd', '');
const pathText = fc.array(segment, { maxLength: 4 }).map((parts) => `/${parts.join('/')}`);
const pattern = fc
  .array(fc.constantFrom('a', 'b', ':x', '*.png', 'c*', 'd'), { minLength: 1, maxLength: 4 })
  .map((parts) => `/${parts.map((part, at) => (part === ':x' ? `:x${at}` : part)).join('/')}`);
const conditions = fc.record(
  {
    host: fc.array(fc.constantFrom('a.test', '*.test', '*.b.test', 'x.b.test'), {
      minLength: 1,
      maxLength: 2,
    }),
    path: fc.array(
      fc.oneof(
        pathText.filter((text) => !text.includes('//')),
        pathText.filter((text) => !text.includes('//')).map((text) => `=${text}`),
        pattern,
        pattern.map((text) => `${text}/*`),
      ),
      { minLength: 1, maxLength: 3 },
    ),
    methods: fc.constantFrom('GET', 'POST'),
    headers: fc.constantFrom({ a: true }, { a: false }, { a: '1' }),
    to: fc.constant('app'),
  },
  { requiredKeys: ['to'] },
);

test('a table finds what looking at each route in turn finds', () => {
  const seed = Date.now() & 0x7fffffff;
  fc.assert(
    fc.property(
      fc.array(conditions, { maxLength: 12 }),
      fc.record({
        host: fc.constantFrom('a.test', 'b.test', 'x.b.test', 'y.x.b.test', 'test', 'c'),
        method: fc.constantFrom('GET', 'HEAD', 'POST'),
        target: pathText.filter((text) => !text.includes('//')),
        fields: fc.constantFrom([], ['A', '1'], ['A', '2']),
      }),
      (given, ask) => {
        const table = routes(...given);
        assert.equal(named(table, ask), plainly(table, ask)?.name ?? null);
      },
    ),
    { seed, numRuns: 2000 },
  );
});

test('whatever way a path is read by others, it is the way the route was found by', () => {
  const seed = Date.now() & 0x7fffffff;
  const piece = fc.constantFrom(
    'admin',
    'x',
    '.',
    '..',
    '',
    '%2e%2e',
    '%2f',
    '..%2f',
    '%61dmin',
    ';',
    '..;',
    '%3b',
    'a%20b',
  );
  const raw = fc
    .array(fc.array(piece, { minLength: 1, maxLength: 2 }), { minLength: 1, maxLength: 5 })
    .map((parts) => `/${parts.map((both) => both.join('')).join('/')}`);
  const decode = decodeURIComponent;
  const resolve = (path: string) => new URL(`http://h${path}`).pathname;
  const merge = (path: string) => path.replace(/\/+/g, '/');
  const cut = (path: string) => path.replace(/;[^/]*/g, '');
  const table = routes({ name: 'admin', path: '/admin', to: 'app' });
  const isAdmin = (path: string) => /^\/admin(\/|$)/.test(path);
  fc.assert(
    fc.property(raw, (target) => {
      const found = find(table, { target });
      if ('code' in found) return;
      const isGuarded = found.candidate !== null;
      const sent = found.canonical ?? target;
      // Normalised as by nginx, resolved as by fetch's URL parser, decoded, parameters cut as by Tomcat: in many orders.
      const readers = [
        normalizePath(sent),
        normalizePath(cut(sent)),
        decode(sent),
        decode(resolve(sent)),
        decode(merge(resolve(sent))),
        merge(decode(resolve(sent))),
        merge(resolve(decode(sent))),
        resolve(decode(resolve(sent))),
        resolve(decode(cut(sent))),
        decode(resolve(cut(sent))),
        resolve(cut(decode(sent))),
        cut(decode(resolve(sent))),
      ];
      for (const [index, read] of readers.entries())
        if (typeof read === 'string') assert.equal(isAdmin(read), isGuarded, `${index}: ${read}`);
    }),
    {
      seed,
      numRuns: 5000,
      // Each was once sent on by another route than one of them reads.
      examples: [
        ...['/admin..%2f/../admin%2f/..%2f', '/%2fa%20b/%2e%2e/admin%2f/..%2f/.'],
        ...[
          '/admin;/%3b/..',
          '/x/..;/admin/..%3b',
          '/admin;//..',
          '/x/..//admin//..',
          '/%2f./admin/%2f..',
        ],
      ].map((target): [string] => [target]),
    },
  );
});

function plainly(table: readonly RouteConfig[], ask: Ask): RouteConfig | undefined {
  return table.find(({ match }) => {
    const { hosts, paths, methods, headers } = match;
    const given = ask.fields?.[1];
    return (
      (hosts.length === 0 ||
        hosts.some((host) => asPattern(host.replace('*', '.+')).test(ask.host!))) &&
      (paths.length === 0 || paths.some((path) => patternOf(path).test(ask.target))) &&
      (methods.length === 0 || methods.includes(ask.method === 'HEAD' ? 'GET' : ask.method!)) &&
      headers.every(({ values, absent }) =>
        values === null ? absent === (given === undefined) : values.includes(given ?? ''),
      )
    );
  });
}

function asPattern(text: string): RegExp {
  return new RegExp(`^(?:${text})$`);
}

function patternOf({ kind, text }: RoutePath): RegExp {
  if (kind === 'exact') return asPattern(text);
  if (kind === 'prefix') return asPattern(`${text === '/' ? '' : text}(?:/.*)?`);
  const parts = text.split('/').slice(1);
  const body = parts.map((part, at) => {
    if (part === '*' && at === parts.length - 1) return '/.*';
    if (part.startsWith(':') || part === '*') return '/[^/]+';
    return `/${part.replace('.', '\\.').replace('*', '[^/]*')}`;
  });
  return asPattern(body.join(''));
}
