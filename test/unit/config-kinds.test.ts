// Each kind of value reads what it should, refuses the rest, and shows what it read.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import {
  appName,
  bindAddress,
  showBind,
  trustedPeer,
  variables,
} from '../../src/config/address.ts';
import {
  boolean,
  choice,
  duration,
  integer,
  type Kind,
  list,
  octal,
  optional,
  size,
  text,
  Unfit,
} from '../../src/config/kinds.ts';
import { resolveConfig } from '../../src/config/resolve.ts';
import { staticMount, staticMounts } from '../../src/config/static-mounts.ts';

const readsAs = <T>(kind: Kind<T>, rows: readonly (readonly [unknown, T])[]) => {
  for (const [raw, value] of rows) assert.deepEqual(kind.read(raw), value, inspect(raw));
};
const refuses = (kind: Kind<unknown>, raws: readonly unknown[]) => {
  for (const raw of raws) assert.ok(kind.read(raw) instanceof Unfit, inspect(raw));
};
/** What no kind but a list or a map has a use for, and none may throw at. */
const odd = [undefined, {}, Symbol('x'), () => 1, 1n, Number.NaN, Number.POSITIVE_INFINITY];

test('a duration is a number of seconds, or has units', () => {
  const kind = duration({ minMs: 0 });
  readsAs(kind, [
    ['30', 30_000],
    [30, 30_000],
    ['30s', 30_000],
    ['500ms', 500],
    ['2m', 120_000],
    ['1h', 3_600_000],
    ['1m30s', 90_000],
    ['1.5s', 1500],
    [0.25, 250],
    [' 2M ', 120_000],
    [0, 0],
    ['24d', 24 * 86_400_000],
  ]);
  refuses(kind, ['', '10x', '-1', -1, '1 s', 's', '1e3', '25d', '1:30', 'Infinity', null, ...odd]);
  refuses(duration({ minMs: 1 }), [0, '0s', '0.0001']);
  assert.deepEqual([0, 90_000, 60_000, 1500].map(kind.show), ['0', '90s', '1m', '1500ms']);
});

test('a size is a number of bytes, or has units of 1024', () => {
  const kind = size({ minBytes: 16, maxBytes: 2 ** 30, zero: 'no limit' });
  readsAs(kind, [
    ['4094', 4094],
    [4094, 4094],
    ['8k', 8192],
    ['8K', 8192],
    ['1m', 2 ** 20],
    ['1MB', 2 ** 20],
    ['1MiB', 2 ** 20],
    ['1g', 2 ** 30],
    ['1.5k', 1536],
    ['0', 0],
    [0, 0],
  ]);
  refuses(kind, ['', '15', '2g', '-1', 1.5, '1t', 'k', '0x10', null, ...odd]);
  refuses(size({ minBytes: 16, maxBytes: 64 }), [0, '0']);
  assert.deepEqual([0, 4094, 8192, 2 ** 30].map(kind.show), ['0', '4094', '8k', '1g']);
});

test('a whole number has its range', () => {
  const kind = integer({ min: 1, max: 100 });
  readsAs(kind, [
    ['1', 1],
    [100, 100],
    [' 7 ', 7],
  ]);
  refuses(kind, ['0', 101, '1.5', 1.5, '', '-3', '1e1', '0x1', true, [1], null, ...odd]);
});

test('text of a umask is octal, a number is taken as it is', () => {
  readsAs(octal, [
    ['022', 0o22],
    ['22', 0o22],
    ['0o27', 0o27],
    [0o77, 0o77],
    ['0', 0],
  ]);
  refuses(octal, ['8', '1000', 0o1000, -1, '', '0x1', null, ...odd]);
  assert.deepEqual([0, 0o22].map(octal.show), ['0', '022']);
});

test('a switch takes the usual words', () => {
  readsAs(boolean, [
    [true, true],
    ['1', true],
    ['Yes', true],
    ['on', true],
    ['false', false],
    ['0', false],
    ['off', false],
  ]);
  refuses(boolean, ['', 'ja', 1, 0, null, 'constructor', ...odd]);
});

test('a choice knows other spellings', () => {
  const kind = choice(['async', 'threads'], { placeholder: 'X', aliases: { gthread: 'threads' } });
  readsAs(kind, [
    ['async', 'async'],
    ['GThread', 'threads'],
  ]);
  refuses(kind, ['', 'sync', 'constructor', '__proto__', 1, null, ...odd]);
});

test('what is optional is switched off by none, off, null or false', () => {
  const kind = optional(text('a file', 'FILE'), 'off');
  readsAs(kind, [
    ['none', null],
    ['off', null],
    [null, null],
    [false, null],
    ['./off', './off'],
  ]);
  refuses(kind, ['', 'a\0b', true, 1, ...odd]);
});

test('a list comes as an array, or as text with commas', () => {
  const kind = list(trustedPeer, { repeat: false, min: 1 });
  readsAs(kind, [
    ['10.0.0.0/8, ::1', ['10.0.0.0/8', '::1']],
    [['*'], ['*']],
  ]);
  refuses(kind, ['', [], ['x'], 'a,b', null, ...odd]);
});

test('an address to listen on is HOST:PORT, [IPv6]:PORT, :PORT, unix:PATH or fd://NUMBER', () => {
  const shown = (raw: unknown) => {
    const address = bindAddress.read(raw);
    return address instanceof Unfit ? 'unfit' : showBind(address);
  };
  const rows = {
    '127.0.0.1:8000': '127.0.0.1:8000',
    ':8000': '0.0.0.0:8000',
    '*:80': '0.0.0.0:80',
    '[::]:8000': '[::]:8000',
    '[fe80::1%lo]:1': '[fe80::1%lo]:1',
    'localhost:0': 'localhost:0',
    'my-host.example:65535': 'my-host.example:65535',
    'tcp://0.0.0.0:80': '0.0.0.0:80',
    'unix:app.sock': 'unix:app.sock',
    'unix:/run/app.sock': 'unix:/run/app.sock',
    'unix:///run/app.sock': 'unix:/run/app.sock',
    'http://127.0.0.1:8080': '127.0.0.1:8080',
    'https://0.0.0.0:8443': 'https://0.0.0.0:8443',
    'HTTPS://:8443': 'https://0.0.0.0:8443',
    'https://[::]:8443/': 'https://[::]:8443',
    'fd://3': 'fd://3',
    'https+fd://web.socket': 'https+fd://web.socket',
  };
  for (const [raw, text] of Object.entries(rows)) assert.equal(shown(raw), text, raw);
  refuses(bindAddress, [
    ...[
      '',
      'fd://',
      'fd://a:b',
      '8000',
      ':',
      'host',
      'host:',
      ':65536',
      ':-1',
      '::1:80',
      '[::1]',
      '[::g]:1',
      '[1.2.3.4]:1',
    ],
    ...[
      '256.1.1.1:80',
      '1.2.3:80',
      'a b:80',
      'ftp://x:80',
      'https://x:80/y',
      'https:///x',
      'unix:',
      'unix:a\0b',
      '-h:80',
      null,
    ],
    ...[8000, ['x'], ...odd],
  ]);
  const hint = (raw: unknown) => (bindAddress.read(raw) as Unfit).hint;
  assert.equal(hint('8000'), 'did you mean ":8000"?');
  assert.equal(hint(8000), 'did you mean ":8000"?');
  assert.equal(hint('::1:80'), 'did you mean "[::1]:80"?');
  assert.equal(hint('0.0.0.0'), 'did you mean "0.0.0.0:8000"?');
  assert.equal(hint('https://example.com'), 'did you mean "https://example.com:8443"?');
  assert.equal(hint('https://::1:80'), 'did you mean "https://[::1]:80"?');
});

test('a peer to trust is an address, a block, unix or *', () => {
  for (const good of ['127.0.0.1', '::1', '10.0.0.0/8', 'fd00::/128', 'unix', '*'])
    assert.equal(trustedPeer.read(good), good);
  refuses(trustedPeer, [
    '',
    'localhost',
    '10.0.0.0/33',
    '::/129',
    '10/8',
    '1.2.3.4/',
    null,
    ...odd,
  ]);
});

test('static mounts come as /prefix=DIR or as a map', () => {
  const one = (prefix: string, dir: string) => staticMount({ prefix, dir });
  readsAs(staticMounts, [
    [['/static=public'], [one('/static', 'public')]],
    ['/a/=x,/b=y=z', [one('/a', 'x'), one('/b', 'y=z')]],
    [{ '/': '.' }, [one('/', '.')]],
    [[], []],
    [
      ['/a=x', { prefix: '/b/', dir: 'y' }],
      [one('/a', 'x'), one('/b', 'y')],
    ],
    [
      { '/': { dir: 'dist', fallback: './index.html', maxAge: '365d', immutable: true } },
      [
        {
          ...one('/', 'dist'),
          fallback: 'index.html',
          maxAgeMs: 365 * 86_400_000,
          immutable: 'always',
        },
      ],
    ],
    [
      [{ prefix: '/a', dir: 'x', index: ['a.htm', 'b.htm'], headers: { 'X-A': 'b' } }],
      [{ ...one('/a', 'x'), index: ['a.htm', 'b.htm'], headers: ['X-A', 'b'] }],
    ],
    [
      [{ prefix: '/a', dir: 'x', tryFiles: true, internal: true, listing: true, keepBuilds: 3 }],
      [{ ...one('/a', 'x'), tryFiles: true, internal: true, listing: true, keepBuilds: 3 }],
    ],
  ]);
  refuses(staticMounts, [
    ...[
      ['static=public'],
      ['/static'],
      ['/static='],
      ['/a/../b=x'],
      ['/a?=x'],
      ['/a//b=x'],
      ['/a%20b=x'],
      [7],
    ],
    ...[{ '/a': 1 }, { '/a': null }, 7, null, 'x', undefined],
    ...[[{ prefix: '/a' }], [{ dir: 'x' }], [null], [{ prefix: 7, dir: 'x' }]],
  ]);
  const hints: readonly (readonly [unknown, string])[] = [
    [{ maxage: 1 }, '/a has an unknown field maxage: did you mean maxAge?'],
    [{ try_files: true }, '/a has an unknown field try_files: did you mean tryFiles?'],
    [{ zzz: 1 }, '/a has an unknown field zzz'],
    [{ index: '../x' }, 'index of /a is to be the name of a file'],
    [{ fallback: '../x' }, 'fallback of /a is to be the path of a file in the directory'],
    [{ keepBuilds: -1 }, 'keepBuilds of /a is to be a whole number from 0 to 100'],
    [{ headers: { 'X A': '1' } }, 'X A is no field that can be sent'],
    [{ headers: { A: 'b\r\nc: d' } }, 'A is no field that can be sent'],
    [{ headers: { ETag: '1' } }, 'ETag is decided by the file'],
    [{ maxAge: 'soon' }, 'maxAge of /a is to be a duration'],
    [{ immutable: 'maybe' }, 'immutable of /a is to be one of auto, always, never'],
    [{ tryFiles: true, fallback: 'index.html' }, '/a can have fallback or tryFiles, not both'],
  ];
  for (const [options, hint] of hints) {
    const read = staticMounts.read({ '/a': { dir: 'x', ...(options as object) } });
    const given = read instanceof Unfit ? (read.parts[0]?.hint ?? '') : '';
    assert.ok(given.includes(hint), `${hint} in ${inspect(read)}`);
  }
});

test('of a list each item that will not do is named, and nothing else of it', () => {
  const given = (key: string, raw: unknown) => {
    const origin = { from: 'file', label: 'a.yaml:1' } as const;
    const surroundings = { cwd: '/srv', file: null, cpus: 2 };
    return resolveConfig([{ key, raw, origin }], surroundings).problems.map((line) =>
      line.replace(/ \(from a\.yaml:1\): expected .*?(; did you mean.*)?$/, '$1'),
    );
  };
  assert.deepEqual(given('bind', [':80', '8000', ':99999']), [
    'Cannot use bind "8000"; did you mean ":8000"?',
    'Cannot use bind ":99999"',
  ]);
  assert.deepEqual(given('forwardedAllowIps', '10.0.0.1, 10.0.0.300, ::1'), [
    'Cannot use forwardedAllowIps "10.0.0.300"',
  ]);
  assert.deepEqual(given('errorPages', { 404: 'a', 200: 'b' }), [
    'Cannot use errorPages {"200":"b"}',
  ]);
  assert.deepEqual(given('errorPages', '404=a,x'), ['Cannot use errorPages "x"']);
  assert.deepEqual(given('static', { '/a': 'a', b: 'c' }), ['Cannot use static {"b":"c"}']);
  assert.deepEqual(given('env', ['A=1', 'B']), ['Cannot use env "B"']);
  assert.deepEqual(given('env', { A: 1, PASSWORD: null, B: [] }), [
    'Cannot use env {"PASSWORD":null}',
    'Cannot use env {"B":[]}',
  ]);
  assert.equal(given('bind', new Array(1000).fill('x y')).length, 10);
});

test('variables come as NAME=VALUE or as a map, and no name is special', () => {
  readsAs(variables, [
    [['A=1', 'B=x=y,z', 'C='], { A: '1', B: 'x=y,z', C: '' }],
    ['A=1,2', { A: '1,2' }],
    [
      { A: 1, B: true },
      { A: '1', B: 'true' },
    ],
  ]);
  refuses(variables, [['A'], ['=1'], [1], { A: null }, { 'A B': '1' }, { A: 'x\0' }, 7, null]);
  const hostile = variables.read(['__proto__=x', 'constructor=y']) as Record<string, string>;
  assert.equal(JSON.stringify(hostile), '{"__proto__":"x","constructor":"y"}');
  assert.equal(Object.getPrototypeOf(hostile), Object.prototype);
});

test('an app is MODULE or MODULE:EXPORT', () => {
  readsAs(appName, [
    ['app.js', { module: 'app.js', export: null }],
    ['./dist/app.js:app', { module: './dist/app.js', export: 'app' }],
    ['@scope/pkg:createApp', { module: '@scope/pkg', export: 'createApp' }],
    [`app.js:create('a:b', 1)`, { module: 'app.js', export: `create('a:b', 1)` }],
    ['app:exports.app', { module: 'app', export: 'exports.app' }],
  ]);
  refuses(appName, ['', ':app', 'app.js:', 'app.js:a-b', 'app.js:1', 'a\0b', null, 7, ...odd]);
});
