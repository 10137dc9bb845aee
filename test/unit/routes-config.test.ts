// How routes are read from a config file, and what is said about those that will not do.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseHtpasswd } from '../../src/config/routes/passwords.ts';
import { routeTable } from '../../src/config/routes/routes.ts';
import { routeFaults, routes } from '../helpers/routes.ts';

test('hosts, paths, methods and headers are read, one or several', () => {
  const [route] = routes({
    host: ['Example.COM.', '*.bücher.example', '[::0:1]'],
    path: ['/api/', '=/health', '/users/:id', '/img/*.png', '/files/*'],
    methods: 'POST',
    headers: { 'X-Beta': 'v*', Accept: ['a', 'b'], Cookie: true, Range: false },
    to: 'app',
  });
  assert.deepEqual(route!.match, {
    hosts: ['example.com', '*.xn--bcher-kva.example', '[::1]'],
    paths: [
      { kind: 'prefix', text: '/api' },
      { kind: 'exact', text: '/health' },
      { kind: 'pattern', text: '/users/:id' },
      { kind: 'pattern', text: '/img/*.png' },
      { kind: 'pattern', text: '/files/*' },
    ],
    methods: ['POST'],
    headers: [
      { name: 'x-beta', values: ['v*'], absent: false },
      { name: 'accept', values: ['a', 'b'], absent: false },
      { name: 'cookie', values: null, absent: false },
      { name: 'range', values: null, absent: true },
    ],
  });
});

test('a route without a name is called by its host and path', () => {
  const named = routes(
    { host: 'a.test', path: '/x', to: 'app' },
    { host: 'a.test', path: '/x', to: 'app' },
    { methods: ['PUT', 'POST'], to: 'app' },
    { name: 'last', to: 'app' },
    { to: 'app' },
  );
  assert.deepEqual(
    named.map(({ name }) => name),
    ['a.test/x', 'a.test/x #2', 'PUT,POST', 'last', '*'],
  );
});

test('all that is wrong is said at once, each with its key', () => {
  assert.deepEqual(
    routeFaults([
      { host: 'http://x', path: 'api', methods: 'get', to: 'app' },
      { pth: '/x', to: 'app' },
      { path: '/x' },
      { path: '/:a/:a', to: { redirect: 'https://{a}.example.com/', status: 200 } },
      { path: '/x', to: { respond: 99, body: 1 } },
    ]).map((fault) => fault.split(/: |\. /)[0]),
    [
      'routes[0].host',
      'routes[0].path',
      'routes[0].methods',
      'routes[1].pth',
      'routes[2].to',
      'routes[3].path',
      'routes[3].to.redirect',
      'routes[3].to.status',
      'routes[4].to.respond',
      'routes[4].to.body',
    ],
  );
  assert.match(routeFaults([{ pth: '/x', to: 'app' }])[0]!, /did you mean path\?/);
  assert.match(
    routeFaults([
      { name: 'a', to: 'app' },
      { name: 'a', to: 'app' },
    ])[0]!,
    /two routes have this name/,
  );
});

test('paths that no decoded path can be are refused', () => {
  for (const path of [
    'x',
    '',
    '/a//b',
    '/a/../b',
    '/./a',
    '/a%20b',
    '/a?b',
    '/a#b',
    '/a\\b',
    '/a\nb',
  ])
    assert.equal(routeFaults([{ path, to: 'app' }]).length, 1, JSON.stringify(path));
  for (const path of ['/*a*', '/:1', '/:', '=/:id', '=/*'])
    assert.equal(routeFaults([{ path, to: 'app' }]).length, 1, path);
});

test('a redirect leads to a host that the settings name, or the request’s own', () => {
  const fault = (redirect: string) =>
    routeFaults([{ path: '/:id/*', to: { redirect } }])[0]?.split(': ')[1] ?? null;
  for (const place of [
    '/x',
    '/{id}/{*}{query}',
    '{path}',
    'https://example.com',
    'https://example.com{path}{query}',
    'https://example.com:8443/{id}',
    'http://{host}/{*}',
    'https://{host}:8443{path}',
    '{scheme}://www.example.com/?from={path}',
    'https://[::1]/',
    '/docs#part',
  ])
    assert.equal(fault(place), null, place);
  for (const place of [
    '//evil.test',
    '/\\evil.test',
    '{*}',
    '{id}',
    'x',
    'javascript:alert(1)',
    'https://{id}.example.com/',
    'https://example.com{*}',
    'https://example.com:{id}/',
    'https://a@b/',
    'https:///x',
    '/{nothing}',
    '/{id',
    '/a b',
    '/a\r\nSet-Cookie: x',
    '/ü',
  ])
    assert.notEqual(fault(place), null, place);
});

test('fields that Portico decides are refused in an answer, and so is what would split it', () => {
  for (const name of [
    'Connection',
    'content-length',
    'Transfer-Encoding',
    'Date',
    'X-Request-Id',
    'Upgrade',
    'a b',
  ])
    assert.equal(routeFaults([{ to: { respond: 200, headers: { [name]: 'x' } } }]).length, 1, name);
  assert.equal(routeFaults([{ to: { respond: 200, headers: { A: 'b\r\nC: d' } } }]).length, 1);
  assert.equal(routeFaults([{ to: { respond: 204, body: 'x' } }]).length, 1);
});

test('text stands for a route too, and JSON for all', () => {
  const plain = [
    { host: 'a.test', path: '/x', to: 'app' },
    { path: '=/y', to: 'app' },
  ];
  assert.deepEqual(routeTable.read(['a.test/x=app', '=/y=app']), routes(...plain));
  assert.deepEqual(routeTable.read('a.test/x=app, =/y=app'), routes(...plain));
  assert.deepEqual(routeTable.read(JSON.stringify(plain)), routes(...plain));
});

test('strip and rewrite are for what goes on, and fit the path', () => {
  const fault = (route: object) => routeFaults([route])[0]?.replace(/^routes\[0\]\.?/, '');
  assert.equal(fault({ path: '/a/b', strip: '/a', to: 'app' }), undefined);
  assert.match(fault({ path: ['/a/b', '/c'], strip: '/a', to: 'app' })!, /^strip: not all paths/);
  assert.match(fault({ path: '/ab', strip: '/a', to: 'app' })!, /^strip: not all paths/);
  assert.match(fault({ strip: true, to: 'app' })!, /^strip: the route has no path/);
  assert.match(fault({ path: '/a', strip: true, rewrite: '/b', to: 'app' })!, /not both/);
  assert.match(fault({ path: '/a', strip: true, to: { respond: 200 } })!, /requests that go on/);
  assert.match(fault({ path: '/a/:id', rewrite: '/b/{x}', to: 'app' })!, /there is no \{x\}/);
  assert.match(fault({ path: '/a', rewrite: 'b', to: 'app' })!, /begins with "\/"/);
});

test('header rules, addresses and origins are checked', () => {
  const faults = (route: object) => routeFaults([{ to: 'app', ...route }]);
  for (const name of [
    'Host',
    'Connection',
    'Content-Length',
    'X-Forwarded-For',
    'x_real_ip',
    'TE',
    'Proxy',
  ])
    for (const rule of [{ set: { [name]: 'a' } }, { add: { [name]: 'a' } }, { remove: name }])
      assert.equal(faults({ requestHeaders: rule }).length, 1, `${name} ${JSON.stringify(rule)}`);
  assert.equal(faults({ requestHeaders: { set: { A: 'b\r\nC: d' } } }).length, 1);
  assert.equal(
    faults({ responseHeaders: { set: { Connection: 'close' }, remove: 'date' } }).length,
    2,
  );
  assert.equal(faults({ responseHeaders: { set: { 'Set-Cookie': 'a', Server: 'b' } } }).length, 0);
  assert.equal(faults({ security: { 'Content-Security-Policy': "default-src 'self'" } }).length, 0);
  assert.equal(faults({ allow: ['10.0.0.0/33', 'example.com'], deny: '::/0' }).length, 2);
  assert.equal(faults({ cors: { origins: ['example.com', 'https://x.test/a'] } }).length, 2);
  assert.equal(faults({ cors: { credentials: true } }).length, 1);
  assert.equal(faults({ cors: { origins: 'https://x.test', credentials: true } }).length, 0);
});

test('passwords are hashes that are worth something, and no fault repeats one', () => {
  const bcrypt = `$2y$05$${'a'.repeat(53)}`;
  const argon = `$argon2id$v=19$m=65536,t=3,p=4$${'a'.repeat(22)}$${'b'.repeat(43)}`;
  const fault = (auth: object) => routeFaults([{ to: 'app', auth }]).join('\n');
  assert.equal(fault({ users: { alice: bcrypt, bob: argon } }), '');
  assert.equal(fault({ file: '.htpasswd', realm: 'Staff' }), '');
  for (const hash of [
    'secret',
    '$apr1$x$y',
    '{SHA}x',
    '$6$salt$hash',
    `$2y$99$${'a'.repeat(53)}`,
  ]) {
    assert.match(
      fault({ users: { alice: hash } }),
      /auth\.users\.alice: it is a hash of bcrypt/,
      hash,
    );
    assert.ok(!fault({ users: { alice: hash } }).includes(hash), hash);
  }
  assert.match(fault({ users: { 'a:b': bcrypt } }), /no user can have this name/);
  assert.match(fault({ file: 'x', realm: 'a"b' }), /realm/);
  assert.match(fault({}), /it has users/);
  assert.deepEqual(parseHtpasswd(`# x\r\nalice:${bcrypt}\r\n\r\n`).users, [['alice', bcrypt]]);
  assert.deepEqual(
    parseHtpasswd(`alice\nbob:$apr1$abc\n`).faults.map((text) => text.slice(0, 8)),
    ['line 1: ', 'line 2: '],
  );
  assert.deepEqual(parseHtpasswd('').faults, ['there is nobody in it']);
});
