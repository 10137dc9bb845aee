// How a worker reads :EXPORT and tells what an export is.

import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import http from 'node:http';
import { test } from 'node:test';
import { adaptApp, describeValue } from '../../src/worker/adapt-app.ts';
import { lookUp, namesOf, parseExport } from '../../src/worker/pick-export.ts';

test('EXPORT is a name, a dotted path, or a call with literals', () => {
  const table: readonly [string, string[], unknown[] | null][] = [
    ['app', ['app'], null],
    ['web.app', ['web', 'app'], null],
    ['create()', ['create'], []],
    [`create('it', "is", 3, true, null)`, ['create'], ['it', 'is', 3, true, null]],
    [`create({"a": ['b']})`, ['create'], [{ a: ['b'] }]],
    ['größe', ['größe'], null],
  ];
  for (const [text, path, args] of table) assert.deepEqual(parseExport(text), { path, args }, text);
});

test('what is no EXPORT is refused with the reason', () => {
  for (const text of ['', 'a-b', 'a..b', '.a', '1a', 'a b']) {
    assert.throws(() => parseExport(text), /expected NAME/, text);
  }
  for (const text of ['create(x)', 'create(process.exit())', 'create(', 'create(1,)']) {
    assert.throws(() => parseExport(text), /expected NAME|may only be/, text);
  }
});

test('names are found through what transpilers put around them', () => {
  const app = (): void => {};
  const transpiled = { __esModule: true, default: app };
  assert.equal(lookUp({ file: '', exports: transpiled }, ['default']), app);
  assert.equal(lookUp({ file: '', exports: app }, ['default']), app);
  assert.equal(lookUp({ file: '', exports: { app } }, ['app']), app);
  assert.equal(lookUp({ file: '', exports: { __esModule: true, default: { app } } }, ['app']), app);
  assert.equal(lookUp({ file: '', exports: null }, ['app']), undefined);
  assert.equal(lookUp({ file: '', exports: { app: null } }, ['app', 'inner']), undefined);
  assert.deepEqual(namesOf({ file: '', exports: { a: 1, __esModule: true } }), ['a']);
});

const kinds: readonly [string, unknown, string | null][] = [
  ['two parameters', (_req: unknown, _res: unknown) => {}, '(req, res) handler'],
  ['three parameters', (_req: unknown, _res: unknown, _next: unknown) => {}, '(req, res) handler'],
  ['rest parameters', (..._args: unknown[]) => {}, '(req, res) handler'],
  ['one parameter', (_request: unknown) => {}, 'fetch function'],
  ['a factory', () => http.createServer(), 'http.Server'],
  ['an async factory', async () => ({ fetch: () => new Response() }), 'fetch handler'],
  ['a factory of a factory', () => () => http.createServer(), 'http.Server'],
  [
    'a named factory with a parameter',
    function createApp(_options: unknown) {
      return http.createServer();
    },
    'http.Server',
  ],
  ['a promise', Promise.resolve(http.createServer()), 'http.Server'],
  ['a router whose every property is a function', everyProperty(), 'fetch handler'],
  ['a class', class App {}, null],
  ['an emitter', new EventEmitter(), null],
  ['a factory of nothing', () => undefined, null],
  ['a factory without end', endless, null],
  ['a string', 'app', null],
  ['null', null, null],
];
for (const [what, value, kind] of kinds) {
  test(`${what} is ${kind === null ? 'no app' : `a ${kind}`}`, async () => {
    assert.equal((await adaptApp(value))?.kind ?? null, kind);
  });
}

test('what is no app is described', () => {
  assert.equal(describeValue({}), 'an empty object');
  assert.equal(describeValue({ a: 1, b: 2 }), 'an object with the keys a, b');
  assert.equal(describeValue(class Foo {}), 'a class (Foo); export an instance of it');
  assert.equal(describeValue(7), 'a number');
});

function endless(): unknown {
  return endless;
}

/** As itty-router's: a Proxy that answers any name with a function. */
function everyProperty(): object {
  return new Proxy(
    {},
    { get: (_, name) => (name === 'then' ? undefined : () => new Response(String(name))) },
  );
}
