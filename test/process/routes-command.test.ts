// `portico routes`: the table, and which route would take a request.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { directoryOf, portico } from '../helpers/cli.ts';

const config = `export default { app: 'app.js', static: { '/assets': '.' }, routes: [
  { name: 'old', host: 'old.test', to: { redirect: 'https://www.test{path}{query}', status: 301 } },
  { path: '/api', methods: ['GET', 'POST'], headers: { accept: '*json*' }, strip: true, to: 'app' },
  { path: '=/robots.txt', to: { respond: 200, body: 'x' } },
] };`;

test('the table and what becomes of a request', async (t) => {
  const cwd = directoryOf(t, { 'portico.config.mjs': config });
  const ran = async (...args: string[]) => {
    const { code, stdout, stderr } = await portico(['routes', ...args], { cwd });
    assert.deepEqual([code, stderr], [0, ''], stdout);
    return stdout;
  };
  const table = await ran();
  assert.match(table, /^ +HOST +PATH +METHOD +HEADER +TO +NAME\n1 +old\.test +\*/);
  assert.match(table, /\n2 +\* +\/api +GET POST +accept +app +\/api\n/);
  assert.match(table, /\n +\* +\* +\* +\* +static files, then app\n$/);
  assert.equal(JSON.parse(await ran('--json'))[2].to.status, 200);
  assert.equal(
    await ran('test', 'POST', 'https://shop.test/api/x?y', '-H', 'Accept: text/json'),
    [
      '   1  old  no: the host is shop.test, not old.test',
      '   2  /api  yes: app, as /x?y, with X-Forwarded-Prefix: /api',
      '',
    ].join('\n'),
  );
  const none = JSON.parse(await ran('test', 'PUT', '/api', '--json'));
  assert.deepEqual([none.route, none.to], [null, 'static files, then app']);
  assert.deepEqual(
    none.passed.map(({ because }: { because: string }) => because),
    [
      'the host is not given, not old.test',
      'the method is PUT, not GET or POST',
      'the path /api is not under =/robots.txt',
    ],
  );
  assert.match(await ran('test', 'http://old.test//a'), /yes: 301 https:\/\/www\.test\/a\n/);
  assert.match(await ran('test', '/x/..%2fapi', '-H', 'accept: json'), /^400 BAD_TARGET: /);
});

test('a request that is none is refused with what would do', async (t) => {
  const cwd = directoryOf(t, { 'portico.config.json': '{ "routes": [{ "to": "apps" }] }' });
  const ran = await portico(['routes', 'test', 'example.com', '-H', 'x'], { cwd });
  assert.equal(ran.code, 1);
  assert.match(ran.stderr, /Cannot use "example\.com": expected a URL/);
  assert.match(ran.stderr, /Cannot use routes "app:apps" \(from .*\): there is no app "apps"/);
  assert.match((await portico(['routes', 'tset'], { cwd })).stderr, /expected test, or nothing/);
});
