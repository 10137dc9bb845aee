// Routes in a running edge: who gets a request, and what the edge answers by itself.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { argon2id, bcrypt } from 'hash-wasm';
import { WebSocketServer } from 'ws';
import type { Config } from '../../src/config/config.ts';
import { staticMount } from '../../src/config/static-mounts.ts';
import { failure } from '../../src/errors/failure.ts';
import { fieldValue } from '../../src/http/fields.ts';
import { defaultConfig } from '../helpers/default-config.ts';
import { workerFactory } from '../helpers/link-workers.ts';
import { routes } from '../helpers/routes.ts';
import { runEdge } from '../helpers/running-edge.ts';
import { until } from '../helpers/until.ts';
import { openWebSocket } from '../helpers/websockets.ts';

/** An edge with an app that says what it was asked. */
async function edgeWith(t: TestContext, changes: Partial<Config>) {
  const running = await runEdge(t, changes);
  const app = await workerFactory(t)((taken) => taken.echo());
  running.edge.pools.admit(app.address);
  const ask = (method: string, target: string, fields = 'Host: test') =>
    running.connect().send(`${method} ${target} HTTP/1.1\r\n${fields}\r\n\r\n`).response();
  return { ...running, app, ask };
}

function temporary(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'portico-routes-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

test('redirects and answers are given by the edge, the rest is the app’s', async (t) => {
  const { app, ask } = await edgeWith(t, {
    routes: routes(
      { path: '/old/:page', to: { redirect: '/new/{page}{query}', status: 308 } },
      { host: 'old.test', to: { redirect: 'https://www.test{path}{query}', status: 301 } },
      { path: '=/robots.txt', to: { respond: 200, body: 'User-agent: *\n' } },
      { path: '/gone', to: { respond: 410, headers: { 'Cache-Control': 'max-age=60' } } },
      { path: '/facts', to: { respond: 200, body: { a: 1 } } },
      { path: '/none', to: { respond: 204 } },
    ),
  });
  const old = await ask('GET', '/old/a%20b?x=1');
  assert.deepEqual([old.status, old.fields.get('location')], [308, '/new/a%20b?x=1']);
  assert.match(old.fields.get('x-request-id')!, /./);
  const host = await ask('POST', '/a/..//b?y', 'Host: OLD.test:80\r\nContent-Length: 0');
  assert.deepEqual([host.status, host.fields.get('location')], [301, 'https://www.test/b?y']);
  const robots = await ask('GET', '/robots.txt?x');
  assert.deepEqual([robots.status, robots.body], [200, 'User-agent: *\n']);
  assert.equal(robots.fields.get('content-type'), 'text/plain; charset=utf-8');
  const gone = await ask('GET', '/gone/by');
  assert.deepEqual([gone.status, gone.fields.get('cache-control')], [410, 'max-age=60']);
  assert.equal((await ask('GET', '/facts')).body, '{"a":1}');
  assert.equal((await ask('GET', '/none')).fields.has('content-length'), false);
  assert.equal(app.taken.length, 0);
  assert.equal((await ask('GET', '/old?z')).body, 'GET /old?z ');
});

test('a route stands before static files, and what none takes goes on to them', async (t) => {
  const dir = temporary(t);
  writeFileSync(join(dir, 'index.html'), 'page');
  writeFileSync(join(dir, 'a.txt'), 'file');
  const { ask } = await edgeWith(t, {
    static: [staticMount({ prefix: '/', dir, fallback: 'index.html' })],
    routes: routes(
      { path: '/api', to: { respond: 200, body: 'api' } },
      { path: '/kept', to: 'app' },
    ),
  });
  assert.equal((await ask('GET', '/api/x')).body, 'api');
  assert.equal((await ask('GET', '/a.txt')).body, 'file');
  // To the app leads as without a route: by way of the files.
  assert.equal((await ask('GET', '/kept', 'Host: a\r\nAccept: text/html')).body, 'page');
});

test('a path of two meanings reaches nobody, and one that was resolved reaches the app resolved', async (t) => {
  const { app, ask } = await edgeWith(t, {
    routes: routes({ path: '/admin', to: { respond: 403 } }),
  });
  assert.equal((await ask('GET', '/x/..%2fadmin')).status, 400);
  assert.equal((await ask('GET', '//admin/')).status, 403);
  assert.equal((await ask('GET', '/', 'Host: %61dmin')).status, 400);
  assert.equal(app.taken.length, 0);
  assert.equal((await ask('GET', '/admin/../x%20y?q=//')).body, 'GET /x%20y?q=// ');
});

test('a path is stripped or rewritten before it goes on, and the app hears of what is gone', async (t) => {
  const { app, ask, connect } = await edgeWith(t, {
    forwardedAllowIps: ['127.0.0.1'],
    routes: routes(
      { path: '/api', strip: true, to: 'app' },
      { path: ['/v1/users', '/v1/posts/:id'], strip: '/v1', to: 'app' },
      { path: '/u/:id/*', rewrite: '/users/{id}?rest={*}', to: 'app' },
      { path: '/w', rewrite: '/x{path}', to: 'app' },
    ),
  });
  const sent = async (target: string, fields?: string) => (await ask('GET', target, fields)).body;
  assert.equal(await sent('/api?a'), 'GET /?a ');
  assert.equal(await sent('/api/'), 'GET / ');
  assert.equal(await sent('/api/a%2Fb//c%20d?x=/api'), 'GET /a%2Fb/c%20d?x=/api ');
  assert.equal(await sent('/v1/posts/7'), 'GET /posts/7 ');
  assert.equal(await sent('/u/7/a/%7Eb?q'), 'GET /users/7?rest=a/%7Eb ');
  assert.equal(await sent('/w/a?q'), 'GET /x/w/a?q ');
  // An absolute path in the rest is no host.
  assert.equal(await sent('/api//evil.test/'), 'GET /evil.test/ ');
  const prefixes = app.taken.map(({ exchange }) =>
    fieldValue(exchange.request.fields, 'x-forwarded-prefix'),
  );
  assert.deepEqual(prefixes, ['/api', '/api', '/api', '/v1', undefined, undefined, '/api']);
  // Nor does what is remembered of a connection's fields.
  const client = connect();
  for (const path of ['/api/1', '/api/2', '/3', '/4', '/api/5', '/6'])
    await client.send(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`).response();
  const last = app.taken
    .slice(-6)
    .map(({ exchange }) => fieldValue(exchange.request.fields, 'x-forwarded-prefix'));
  assert.deepEqual(last, ['/api', '/api', undefined, undefined, '/api', undefined]);
  await sent('/api/x', 'Host: a\r\nX-Forwarded-Prefix: /outer/');
  assert.equal(
    fieldValue(app.taken.at(-1)!.exchange.request.fields, 'x-forwarded-prefix'),
    '/outer/api',
  );
});

test('without an app there is nothing beside the routes', async (t) => {
  const { connect } = await runEdge(t, { module: null, routes: routes({ path: '/x', to: 'app' }) });
  for (const target of ['/', '/x']) {
    const answer = await connect().send(`GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`).response();
    assert.equal(answer.status, 404, target);
  }
});

test('without an app a method that no route takes is a 405 that names those which are', async (t) => {
  const { connect } = await runEdge(t, {
    module: null,
    routes: routes(
      { path: '/x', methods: ['PUT', 'POST'], to: { respond: 204 } },
      { path: '/x', methods: 'DELETE', to: { respond: 204 } },
      { path: '/y', methods: 'GET', to: { respond: 204 } },
    ),
  });
  const ask = (method: string, path: string) =>
    connect().send(`${method} ${path} HTTP/1.1\r\nHost: a\r\n\r\n`).response();
  const refused = await ask('GET', '/x');
  assert.deepEqual([refused.status, refused.fields.get('allow')], [405, 'PUT, POST, DELETE']);
  assert.equal((await ask('GET', '/z')).status, 404);
  assert.equal((await ask('HEAD', '/y')).status, 204);
});

test('the access log names the route', async (t) => {
  const file = join(temporary(t), 'access.log');
  const { ask, edge } = await edgeWith(t, {
    accessLogfile: file,
    accessLogformat: '%(U)s %({route}x)s',
    routes: routes({ name: 'old ones', path: '/old', to: { redirect: '/' } }),
  });
  await ask('GET', '/old');
  await ask('GET', '/new');
  await edge.drain(0);
  const lines = await until('two lines', () => /^(.*\n){2}$/.exec(readFileSync(file, 'utf8'))?.[0]);
  assert.equal(lines, '/old old ones\n/new -\n');
});

test('fields of requests and answers are set, added and removed, by nobody but the route', async (t) => {
  const { app, ask, connect } = await edgeWith(t, {
    routes: routes({
      path: '/api',
      requestHeaders: {
        remove: ['cookie'],
        set: { 'X-Tenant': 'a' },
        add: { Via: 'portico' },
        default: { Accept: 'application/json' },
      },
      responseHeaders: {
        remove: 'content-type',
        set: { 'Cache-Control': 'no-store' },
        add: { 'Set-Cookie': 'b=2' },
      },
      to: 'app',
    }),
  });
  const answer = await ask(
    'GET',
    '/api',
    // Connection would take our field away, and X_Tenant stand for it where names become variables.
    'Host: a\r\nCookie: c\r\nX-Tenant: evil\r\nx_tenant: evil\r\nVia: 1.1 other\r\nConnection: x-tenant',
  );
  assert.deepEqual(
    [answer.fields.get('cache-control'), answer.fields.get('set-cookie')],
    ['no-store', 'b=2'],
  );
  const { fields } = app.taken[0]!.exchange.request;
  const valuesOf = (name: string) =>
    fields.filter((_, at) => at % 2 === 1 && fields[at - 1]!.toLowerCase() === name);
  assert.deepEqual(valuesOf('x-tenant'), ['a']);
  assert.deepEqual(valuesOf('x_tenant'), []);
  assert.deepEqual(valuesOf('cookie'), []);
  assert.deepEqual(valuesOf('via'), ['1.1 other', 'portico']);
  assert.deepEqual(valuesOf('accept'), ['application/json']);
  // The same on a connection that asks again and again, in turn with others.
  const client = connect();
  for (const path of ['/api/1', '/api/2', '/3', '/4', '/api/5'])
    await client.send(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`).response();
  assert.deepEqual(
    app.taken.slice(1).map(({ exchange }) => fieldValue(exchange.request.fields, 'x-tenant')),
    ['a', 'a', undefined, undefined, 'a'],
  );
});

test('answers of the edge itself have the route’s fields too: files, errors, redirects', async (t) => {
  const dir = temporary(t);
  writeFileSync(join(dir, 'a.txt'), 'file');
  const { ask } = await edgeWith(t, {
    static: [staticMount({ prefix: '/files', dir })],
    routes: routes(
      {
        path: '/files',
        security: { 'x-frame-options': 'DENY', 'Referrer-Policy': false },
        to: 'app',
      },
      { path: '/old', security: true, to: { redirect: '/' } },
    ),
  });
  for (let time = 0; time < 3; time++) {
    const file = await ask('GET', '/files/a.txt');
    assert.equal(file.body, 'file');
    assert.equal(file.fields.get('x-frame-options'), 'DENY');
    assert.equal(file.fields.has('referrer-policy'), false);
    assert.match(file.fields.get('x-request-id')!, /^\w+$/);
  }
  const missing = await ask('GET', '/files/none');
  assert.deepEqual([missing.status, missing.fields.get('x-frame-options')], [404, 'DENY']);
  assert.equal((await ask('GET', '/old')).fields.get('x-content-type-options'), 'nosniff');
});

test('who is not let in gets a 403, by the address that a trusted proxy names', async (t) => {
  const { app, ask } = await edgeWith(t, {
    forwardedAllowIps: ['127.0.0.1'],
    routes: routes(
      { path: '/admin', allow: ['10.0.0.0/8', '2001:db8::/32'], deny: '10.9.0.0/16', to: 'app' },
      { path: '/open', deny: '10.0.0.1', to: 'app' },
    ),
  });
  const as = async (address: string, path: string) =>
    (await ask('GET', path, `Host: a\r\nX-Forwarded-For: ${address}`)).status;
  assert.equal(await as('10.1.2.3', '/admin'), 200);
  assert.equal(await as('2001:db8::7', '/admin'), 200);
  assert.equal(await as('10.9.2.3', '/admin'), 403);
  assert.equal(await as('192.0.2.1', '/admin'), 403);
  assert.equal((await ask('GET', '/admin/x')).status, 403);
  assert.equal(await as('10.0.0.1', '/open'), 403);
  assert.equal(await as('10.0.0.2', '/open'), 200);
  assert.equal(app.taken.length, 3);
});

test('preflights are answered by the edge, and answers say which origin may read them', async (t) => {
  const { app, ask } = await edgeWith(t, {
    routes: routes(
      {
        path: '/api',
        methods: ['GET', 'PUT'],
        cors: {
          origins: ['https://a.test', 'https://*.b.test'],
          credentials: true,
          expose: 'X-Total',
          maxAge: '1h',
        },
        to: 'app',
      },
      { path: '/all', cors: true, to: 'app' },
    ),
  });
  const preflight = (origin: string, more = 'Access-Control-Request-Method: PUT') =>
    ask('OPTIONS', '/api/x', `Host: a\r\nOrigin: ${origin}\r\n${more}`);
  const answer = await preflight(
    'https://x.b.test',
    'Access-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: x-a, content-type',
  );
  assert.equal(answer.status, 204);
  assert.equal(answer.fields.get('access-control-allow-origin'), 'https://x.b.test');
  assert.equal(answer.fields.get('access-control-allow-credentials'), 'true');
  assert.equal(answer.fields.get('access-control-allow-methods'), 'GET, PUT');
  assert.equal(answer.fields.get('access-control-allow-headers'), 'x-a, content-type');
  assert.equal(answer.fields.get('access-control-max-age'), '3600');
  assert.equal(answer.fields.get('vary'), 'Origin');
  for (const origin of [
    'https://evil.test',
    'https://b.test',
    'https://a.test.evil.test',
    'null',
    'http://a.test',
  ]) {
    const refused = await preflight(origin);
    assert.equal(refused.status, 403, origin);
    assert.equal(refused.fields.has('access-control-allow-origin'), false, origin);
  }
  assert.equal(app.taken.length, 0);
  const read = await ask('GET', '/api/x', 'Host: a\r\nOrigin: https://a.test');
  assert.equal(read.fields.get('access-control-allow-origin'), 'https://a.test');
  assert.equal(read.fields.get('access-control-expose-headers'), 'X-Total');
  const stranger = await ask('GET', '/api/x', 'Host: a\r\nOrigin: https://evil.test');
  assert.equal(stranger.fields.has('access-control-allow-origin'), false);
  assert.equal(stranger.fields.get('vary'), 'Origin');
  const any = await ask('GET', '/all', 'Host: a\r\nOrigin: null');
  assert.equal(any.fields.get('access-control-allow-origin'), '*');
  assert.equal(any.fields.has('vary'), false);
});

/** An upstream that says what it was asked, and when its connections are gone. */
async function upstreamServer(t: TestContext, name: string) {
  const heard: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    heard.push(request);
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => response.end(`${name} ${request.method} ${request.url} ${body}`));
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as { port: number };
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  return { url: `http://127.0.0.1:${port}`, heard, server, sockets };
}

test('routes lead to HTTP upstreams, with path, fields and Host as they say', async (t) => {
  const one = await upstreamServer(t, 'one');
  const two = await upstreamServer(t, 'two');
  const dir = temporary(t);
  writeFileSync(join(dir, 'index.html'), 'page');
  const { ask, app, edge, configure } = await edgeWith(t, {
    static: [staticMount({ prefix: '/', dir, tryFiles: true })],
    routes: routes(
      {
        path: '/one',
        strip: true,
        requestHeaders: { set: { 'X-Tenant': 'a' } },
        responseHeaders: { set: { 'X-From': 'one' } },
        to: one.url,
      },
      { host: 'two.test', to: { targets: [two.url], host: 'target' } },
      { path: '/same', to: one.url },
    ),
  });
  const answer = await ask('POST', '/one/x?y', 'Host: shop.test\r\nContent-Length: 4\r\n\r\nbody');
  assert.equal(answer.body, 'one POST /x?y body');
  assert.equal(answer.fields.get('x-from'), 'one');
  const { headers } = one.heard[0]!;
  assert.deepEqual(
    [headers.host, headers['x-tenant'], headers['x-forwarded-prefix'], headers['x-forwarded-for']],
    ['shop.test', 'a', '/one', '127.0.0.1'],
  );
  assert.equal((await ask('GET', '/index.html', 'Host: TWO.test')).body, 'two GET /index.html ');
  assert.equal(two.heard[0]!.headers.host, two.url.slice(7));
  assert.equal(two.heard[0]!.headers['x-forwarded-host'], 'TWO.test');
  assert.equal((await ask('GET', '/same/z')).body, 'one GET /same/z ');
  assert.equal((await ask('GET', '/index.html')).body, 'page');
  assert.equal((await ask('GET', '/other')).body, 'GET /other ');
  assert.equal(app.taken.length, 1);
  // Two routes to one upstream share it.
  const { upstreams, routes: counted } = edge.status();
  assert.deepEqual(
    upstreams.map(({ members }) => members.map(({ served }) => served)),
    [[2], [1]],
  );
  assert.deepEqual(
    counted.map(({ requests }) => requests),
    [1, 1, 1],
  );
  configure({ module: 'app.js', routes: routes({ path: '/one', to: two.url }) });
  assert.equal((await ask('GET', '/one')).body, 'two GET /one ');
  await until('no connection to the former upstream', () => one.sockets.size === 0);
});

test('an upstream names no files of ours, and is not stored', async (t) => {
  const dir = temporary(t);
  writeFileSync(join(dir, 'secret.txt'), 'secret');
  const server = createServer((_, response) => {
    response.setHeader('X-Accel-Redirect', '/internal/secret.txt');
    response.setHeader('Cache-Control', 'max-age=60');
    response.end(String(++count));
  });
  let count = 0;
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  t.after(() => void server.close());
  const { port } = server.address() as { port: number };
  const { ask } = await edgeWith(t, {
    cacheBytes: 1024 ** 2,
    static: [staticMount({ prefix: '/internal', dir, internal: true })],
    routes: routes({ path: '/api', to: `http://127.0.0.1:${port}` }),
  });
  assert.equal((await ask('GET', '/api')).body, '1');
  assert.equal((await ask('GET', '/api')).body, '2');
});

test('an upstream that is not there is a 502, and the app goes on', async (t) => {
  const gone = await upstreamServer(t, 'gone');
  gone.server.close();
  const { ask, logged } = await edgeWith(t, {
    routes: routes({ path: '/api', to: { targets: [gone.url], connectTimeout: '200ms' } }),
  });
  assert.ok([502, 503].includes((await ask('GET', '/api')).status));
  assert.ok(logged.some((text) => text.includes('UPSTREAM') || text.includes('ECONNREFUSED')));
  assert.equal((await ask('GET', '/')).status, 200);
});

test('a gRPC call for an HTTP/1.1 upstream is UNIMPLEMENTED, and gRPC-Web passes', async (t) => {
  const one = await upstreamServer(t, 'one');
  const { port } = await edgeWith(t, { h2c: true, routes: routes({ to: one.url }) });
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  t.after(() => session.destroy());
  const call = (type: string) =>
    new Promise<Record<string, unknown>>((resolve, reject) => {
      const stream = session.request({
        ':method': 'POST',
        ':path': '/pkg.Service/Call',
        'content-type': type,
        te: 'trailers',
      });
      stream.once('response', resolve).once('error', reject);
      stream.resume().end(Buffer.alloc(5));
    });
  const refused = await call('application/grpc+proto');
  assert.deepEqual(
    [refused[':status'], refused['content-type'], refused['grpc-status']],
    [200, 'application/grpc', '12'],
  );
  assert.equal(one.heard.length, 0);
  assert.equal((await call('application/grpc-web+proto'))[':status'], 200);
  assert.equal(one.heard.length, 1);
});

test('a password is asked for, checked beside the serving, and remembered', async (t) => {
  const salt = Buffer.alloc(16, 1);
  const bcryptHash = await bcrypt({
    password: 'röt:1',
    salt,
    costFactor: 4,
    outputType: 'encoded',
  });
  const argonHash = await argon2id({
    ...{ password: 'blue', salt, parallelism: 1, iterations: 1, memorySize: 64, hashLength: 16 },
    outputType: 'encoded',
  });
  const file = join(temporary(t), '.htpasswd');
  writeFileSync(file, `# staff\nbob:${argonHash}\n\n`);
  const { app, ask, edge, logged } = await edgeWith(t, {
    routes: routes({
      path: '/admin',
      auth: { users: { älice: bcryptHash }, file, realm: 'Staff only' },
      cors: { origins: 'https://a.test' },
      to: 'app',
    }),
  });
  const as = (credentials: string, scheme = 'Basic') =>
    ask(
      'GET',
      '/admin',
      `Host: a\r\nAuthorization: ${scheme} ${Buffer.from(credentials).toString('base64')}`,
    );
  const none = await ask('GET', '/admin');
  assert.deepEqual(
    [none.status, none.fields.get('www-authenticate')],
    [401, 'Basic realm="Staff only", charset="UTF-8"'],
  );
  assert.doesNotMatch(logged.join('\n'), /UNAUTHORIZED/);
  for (let time = 0; time < 3; time++) {
    assert.equal((await as('älice:röt:1')).status, 200);
    assert.equal((await as('bob:blue', 'bASIC')).status, 200);
  }
  for (const wrong of ['älice:blue', 'bob:', 'bob', ':', 'eve:röt:1', `bob:${'x'.repeat(100)}`])
    assert.equal((await as(wrong)).status, 401, wrong);
  for (const value of ['Bearer x', 'Basic', 'Basic ???', `Basic ${'a'.repeat(4000)}`])
    assert.equal(
      (await ask('GET', '/admin', `Host: a\r\nAuthorization: ${value}`)).status,
      401,
      value,
    );
  assert.match(logged.join('\n'), /UNAUTHORIZED/);
  // Browsers ask without credentials whether they may send some.
  const preflight = await ask(
    'OPTIONS',
    '/admin',
    'Host: a\r\nOrigin: https://a.test\r\nAccess-Control-Request-Method: PUT',
  );
  assert.equal(preflight.status, 204);
  assert.equal(app.taken.length, 6);
  assert.deepEqual(edge.status().routes, [{ name: '/admin', requests: 18, refused: 11 }]);
});

test('a rush of wrong passwords keeps nobody waiting who has the right one', async (t) => {
  const salt = Buffer.alloc(16, 1);
  const hash = await bcrypt({ password: 'right', salt, costFactor: 8, outputType: 'encoded' });
  const { connect, ask } = await edgeWith(t, {
    routes: routes({ auth: { users: { a: hash } }, to: 'app' }),
  });
  const head = (password: string) =>
    `GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic ${Buffer.from(`a:${password}`).toString('base64')}\r\n\r\n`;
  assert.equal((await connect().send(head('right')).response()).status, 200);
  const rush = Array.from({ length: 80 }, (_, at) =>
    connect()
      .send(head(`wrong ${at}`))
      .response(),
  );
  const right = await connect().send(head('right')).response();
  assert.equal(right.status, 200);
  const statuses = (await Promise.all(rush)).map(({ status }) => status);
  assert.ok(statuses.every((status) => status === 401 || status === 503));
  assert.ok(statuses.includes(503));
  assert.equal((await ask('GET', '/')).status, 401);
});

test('upgrades follow the route: to an upstream, or refused like any request', async (t) => {
  const sockets = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  t.after(() => void sockets.close());
  sockets.on('connection', (socket, request) =>
    socket.on('message', (data) =>
      socket.send(`${request.url} ${request.headers['x-forwarded-prefix']} ${data}`),
    ),
  );
  await new Promise((resolve) => sockets.once('listening', resolve));
  const { port: upstreamPort } = sockets.address() as { port: number };
  const { port } = await edgeWith(t, {
    routes: routes(
      { path: '/live', strip: true, to: `http://127.0.0.1:${upstreamPort}` },
      { path: '/never', to: { respond: 403 } },
    ),
  });
  const { socket, messages } = await openWebSocket(`ws://127.0.0.1:${port}/live/a?b`);
  socket.send('hello');
  assert.equal(String(await messages.next()), '/a?b /live hello');
  socket.terminate();
  await assert.rejects(openWebSocket(`ws://127.0.0.1:${port}/never`), /403/);
});

test('routes lead to one of several apps by its name', async (t) => {
  const { edge, ask } = await edgeWith(t, {
    apps: [{ ...defaultConfig(), name: 'api', module: 'api.js' }],
    routes: routes({ path: '/api', to: 'api' }, { path: '/same', strip: true, to: 'app:api' }),
  });
  const api = await workerFactory(t)((taken) =>
    taken.reply(`api ${taken.exchange.request.target}`),
  );
  edge.pools.admit({ ...api.address, id: 77, app: 'api' });
  t.after(() => edge.pools.of('api').destroy(failure('SHUTTING_DOWN')));
  assert.equal((await ask('GET', '/api/x')).body, 'api /api/x');
  assert.equal((await ask('GET', '/same/x')).body, 'api /x');
  assert.equal((await ask('GET', '/x')).body, 'GET /x ');
});

test('sticky cookies of apps and upstreams on one host have names of their own', async (t) => {
  const [one, two] = [await upstreamServer(t, 'one'), await upstreamServer(t, 'two')];
  const { edge, ask } = await edgeWith(t, {
    sticky: 'cookie',
    apps: [{ ...defaultConfig(), name: 'api', module: 'api.js' }],
    routes: routes(
      { path: '/api', to: 'app:api' },
      { path: '/both', to: { targets: [one.url, two.url] } },
      { path: '/two', to: two.url },
    ),
  });
  const api = await workerFactory(t)((taken) => taken.reply('api'));
  edge.pools.admit({ ...api.address, id: 77, app: 'api' });
  t.after(() => edge.pools.of('api').destroy(failure('SHUTTING_DOWN')));
  const paths = ['/', '/api', '/both', '/two'];
  const cookies: string[] = [];
  for (const path of paths) {
    const { fields } = await ask('GET', path, `Host: test\r\nCookie: ${cookies.join('; ')}`);
    cookies.push(fields.get('set-cookie')!.split(';')[0]!);
  }
  const names = cookies.map((cookie) => cookie.split('=')[0]!);
  assert.deepEqual(names.slice(0, 2), ['portico_worker', 'portico_worker_api']);
  for (const name of names.slice(2)) assert.match(name, /^portico_upstream_\w+$/);
  assert.equal(new Set(names).size, 4);
  const all = `Host: test\r\nCookie: ${cookies.join('; ')}`;
  for (const path of paths) assert.ok(!(await ask('GET', path, all)).fields.has('set-cookie'));
  const bodies = new Set<string>();
  for (let turn = 0; turn < 4; turn++) bodies.add((await ask('GET', '/both', all)).body);
  assert.equal(bodies.size, 1);
});
