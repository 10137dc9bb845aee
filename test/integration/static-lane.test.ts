// The static lane: hot files stay true to the disk, and mounts do what their settings say.

import assert from 'node:assert/strict';
import fs, {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { Config, StaticMount } from '../../src/config/config.ts';
import { staticMount } from '../../src/config/static-mounts.ts';
import type { LocatedFile } from '../../src/edge/static/representation.ts';
import { streamFile } from '../../src/edge/static/stream.ts';
import { native } from '../../src/native/native.ts';
import { workerFactory } from '../helpers/link-workers.ts';
import type { RawClient, RawResponse } from '../helpers/raw-client.ts';
import { runEdge } from '../helpers/running-edge.ts';
import { ScriptedExchange } from '../helpers/scripted-exchange.ts';
import { until } from '../helpers/until.ts';

type Options = Partial<StaticMount>;

/** An edge with one mount at /s (or where `options` says) and an app that says "app". */
async function start(
  t: TestContext,
  files: Readonly<Record<string, string | Buffer>>,
  options: Options = {},
  config: Partial<Config> = {},
) {
  const base = realpathSync(mkdtempSync(join(tmpdir(), 'portico-lane-')));
  t.after(() => rmSync(base, { recursive: true, force: true }));
  const dir = join(base, 'public');
  mkdirSync(dir);
  const write = (name: string, content: string | Buffer) => {
    const path = join(dir, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
    return path;
  };
  for (const [name, content] of Object.entries(files)) write(name, content);
  const running = await runEdge(t, {
    static: [staticMount({ prefix: '/s', dir, ...options })],
    ...config,
  });
  const worker = await workerFactory(t)((taken) => taken.reply('app'));
  running.edge.pools.admit(worker.address);
  const client = running.connect();
  const get = (target: string, ...fields: string[]) => ask(client, 'GET', target, fields);
  /** Asked for until it is kept in memory. */
  const heat = async (target: string) => {
    for (let times = 0; times < 3; times++) assert.equal((await get(target)).status, 200);
  };
  return { ...running, base, dir, write, get, heat, worker, client };
}

function ask(
  client: RawClient,
  method: string,
  target: string,
  fields: readonly string[] = [],
): Promise<RawResponse> {
  const lines = fields.map((field) => `${field}\r\n`).join('');
  client.send(`${method} ${target} HTTP/1.1\r\nHost: test\r\n${lines}\r\n`);
  return client.response(method);
}

/** Asks again until the answer is as wanted: at once where a watch tells, within a second else. */
const eventually = (get: () => Promise<RawResponse>, isWanted: (r: RawResponse) => boolean) =>
  until('the answer that is wanted', get, isWanted);

test('the first answer and the hot one are the same', async (t) => {
  const { get } = await start(t, { 'a.html': '<p>a', 'b.json': '{}' });
  for (const target of ['/s/a.html', '/s/b.json?x=1']) {
    const answers = [await get(target), await get(target), await get(target)];
    const told = answers.map(({ status, body, fields }) => {
      const kept = new Map(fields);
      for (const name of ['date', 'x-request-id', 'connection', 'keep-alive']) kept.delete(name);
      return { status, body, fields: [...kept].sort() };
    });
    assert.deepEqual(told[1], told[0]);
    assert.deepEqual(told[2], told[0]);
    const ids = answers.map(({ fields }) => fields.get('x-request-id'));
    assert.equal(new Set(ids).size, 3);
  }
});

test('an edit, a replacement and a removal show', async (t) => {
  const { get, heat, write, dir } = await start(t, { 'a.txt': 'one', 'sub/b.txt': 'one' });
  for (const name of ['a.txt', 'sub/b.txt']) {
    const ask = () => get(`/s/${name}`);
    await heat(`/s/${name}`);
    write(name, 'two');
    await eventually(ask, ({ body }) => body === 'two');
    await heat(`/s/${name}`);
    write('.next', 'three!');
    renameSync(join(dir, '.next'), join(dir, name));
    const replaced = await eventually(ask, ({ body }) => body === 'three!');
    assert.equal(replaced.fields.get('content-length'), '6');
    await heat(`/s/${name}`);
    rmSync(join(dir, name));
    await eventually(ask, ({ status }) => status === 404);
    write(name, 'four');
    await eventually(ask, ({ body }) => body === 'four');
  }
});

test('what sockets are lent of a hot file is the file as it is now', async (t) => {
  const lend = native === null ? null : t.mock.method(native, 'lend');
  const size = 300_000;
  const { get, heat, write, connect } = await start(t, { 'a.js': 'a'.repeat(size) });
  await heat('/s/a.js');
  for (const letter of ['b', 'c']) {
    write('a.js', letter.repeat(size));
    await eventually(
      () => get('/s/a.js'),
      ({ body }) => body === letter.repeat(size),
    );
    await heat('/s/a.js');
    if (lend !== null) assert.ok(lend.mock.callCount() > 0);
    lend?.mock.resetCalls();
    const head = await connect()
      .send('HEAD /s/a.js HTTP/1.1\r\nHost: test\r\n\r\n')
      .response('HEAD');
    assert.equal(head.fields.get('content-length'), String(size));
    const pipelined = connect();
    for (let times = 0; times < 20; times++)
      pipelined.send('GET /s/a.js HTTP/1.1\r\nHost: test\r\n\r\n');
    for (let times = 0; times < 20; times++)
      assert.equal((await pipelined.response()).body, letter.repeat(size));
    const range = await get('/s/a.js', 'Range: bytes=1000-200999');
    assert.equal(range.body, letter.repeat(200_000));
  }
  rmSync(write('a.js', ''));
  await eventually(
    () => get('/s/a.js'),
    ({ status }) => status === 404,
  );
});

test('a directory that is renamed, and a release that is switched by a link, show', async (t) => {
  const { base, configure, get, heat, dir } = await start(t, { 'sub/a.txt': 'one' });
  await heat('/s/sub/a.txt');
  renameSync(join(dir, 'sub'), join(dir, 'old'));
  mkdirSync(join(dir, 'sub'));
  writeFileSync(join(dir, 'sub', 'a.txt'), 'two');
  await eventually(
    () => get('/s/sub/a.txt'),
    ({ body }) => body === 'two',
  );
  for (const release of ['r1', 'r2']) {
    mkdirSync(join(base, release));
    writeFileSync(join(base, release, 'v.txt'), release);
  }
  symlinkSync('r1', join(base, 'current'));
  configure({ static: [staticMount({ prefix: '/s', dir: join(base, 'current') })] });
  await heat('/s/v.txt');
  symlinkSync('r2', join(base, 'next'));
  renameSync(join(base, 'next'), join(base, 'current'));
  await eventually(
    () => get('/s/v.txt'),
    ({ body }) => body === 'r2',
  );
});

test('a hot file that becomes a link out of the root, or a hidden one, is not served', async (t) => {
  const { base, dir, get, heat } = await start(t, { 'a.txt': 'fine' });
  writeFileSync(join(base, 'secret'), 'TOP-SECRET');
  await heat('/s/a.txt');
  await heat('/s/%61.txt');
  rmSync(join(dir, 'a.txt'));
  symlinkSync('../secret', join(dir, 'a.txt'));
  for (const target of ['/s/a.txt', '/s/%61.txt'])
    await eventually(
      () => get(target),
      ({ status, body }) => {
        assert.ok(!body.includes('TOP-SECRET'));
        return status === 404;
      },
    );
});

test('conditions and ranges of a hot file', async (t) => {
  const { get, heat, client } = await start(t, { 'a.txt': '0123456789'.repeat(200) });
  await heat('/s/a.txt');
  const { fields } = await get('/s/a.txt');
  const etag = fields.get('etag')!;
  const date = fields.get('last-modified')!;
  assert.match(etag, /^"[0-9a-z-]+"$/);
  const rows: readonly (readonly [number, ...string[]])[] = [
    [304, `If-None-Match: ${etag}`],
    [304, `If-Modified-Since: ${date}`],
    [200, 'If-None-Match: "x"', `If-Modified-Since: ${date}`],
    [412, 'If-Match: "x"'],
    [200, `If-Match: ${etag}`],
    [412, 'If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT'],
    [206, 'Range: bytes=0-4'],
    [206, 'Range: bytes=0-4', `If-Range: ${etag}`],
    [206, 'Range: bytes=0-4', `If-Range: ${date}`],
    [200, 'Range: bytes=0-4', 'If-Range: "x"'],
    [200, 'Range: lines=0-4'],
    [416, 'Range: bytes=2000-'],
    [304, 'Range: bytes=2000-', `If-None-Match: ${etag}`],
  ];
  for (const [status, ...asked] of rows)
    assert.equal((await get('/s/a.txt', ...asked)).status, status, asked.join());
  const part = await get('/s/a.txt', 'Range: bytes=-3');
  assert.deepEqual([part.body, part.fields.get('content-range')], ['789', 'bytes 1997-1999/2000']);
  const beyond = await get('/s/a.txt', 'Range: bytes=2000-');
  assert.equal(beyond.fields.get('content-range'), 'bytes */2000');
  const several = await get('/s/a.txt', 'Range: bytes=0-1,500-501');
  assert.equal(several.status, 206);
  const boundary = /boundary=(\w+)/.exec(several.fields.get('content-type')!)![1];
  assert.equal(several.body.split(`--${boundary}`).length, 4);
  assert.match(several.body, /Content-Range: bytes 500-501\/2000\r\n\r\n01\r\n/);
  const many = Array.from({ length: 1000 }, (_, at) => `${at % 10}-${at % 10}`).join(',');
  assert.equal((await get('/s/a.txt', `Range: bytes=${many}`)).status, 200);
  const head = await ask(client, 'HEAD', '/s/a.txt', ['Range: bytes=0-4']);
  assert.deepEqual([head.status, head.fields.get('content-length')], [200, '2000']);
});

test('a compressed sibling is sent to whom takes it, and never an old one', async (t) => {
  const source = 'let a = 1;\n'.repeat(50);
  const { get, heat, write, dir } = await start(t, { 'a.js': source, 'a.js.gz': gzipSync(source) });
  for (let times = 0; times < 3; times++) {
    const packed = await get('/s/a.js', 'Accept-Encoding: gzip, br');
    assert.equal(packed.fields.get('content-encoding'), 'gzip');
    assert.equal(packed.fields.get('content-type'), 'text/javascript; charset=utf-8');
    assert.equal(packed.fields.get('vary'), 'Accept-Encoding');
    assert.equal(packed.body, gzipSync(source).toString('latin1'));
    const plain = await get('/s/a.js');
    assert.deepEqual([plain.body, plain.fields.get('vary')], [source, 'Accept-Encoding']);
    assert.notEqual(plain.fields.get('etag'), packed.fields.get('etag'));
    const etag = `If-None-Match: ${packed.fields.get('etag')}`;
    assert.equal((await get('/s/a.js', 'Accept-Encoding: gzip', etag)).status, 304);
    assert.equal((await get('/s/a.js', 'Accept-Encoding: gzip;q=0')).body, source);
  }
  const coding = (r: RawResponse) => r.fields.get('content-encoding');
  write('a.js.br', 'pretend');
  const both = () => get('/s/a.js', 'Accept-Encoding: gzip, br');
  await eventually(both, (response) => coding(response) === 'br');
  const old = new Date(Date.now() - 60_000);
  utimesSync(join(dir, 'a.js.br'), old, old);
  utimesSync(join(dir, 'a.js.gz'), old, old);
  const plain = await eventually(both, (response) => coding(response) === undefined);
  assert.equal(plain.body, source);
  await heat('/s/a.js');
});

test('Cache-Control: of fingerprinted names, by maxAge, by headers', async (t) => {
  const files = { 'app.3f2a9c1b.js': '1', 'app.js': '2', 'index.html': '3' };
  const { get, configure, dir } = await start(t, files);
  const year = 'public, max-age=31536000, immutable';
  const control = async (name: string, options: Options) => {
    configure({ static: [staticMount({ prefix: '/s', dir, ...options })] });
    const answers = [await get(`/s/${name}`), await get(`/s/${name}`)];
    const values = answers.map(({ fields }) => fields.get('cache-control'));
    assert.equal(values[0], values[1]);
    return values[0];
  };
  assert.equal(await control('app.3f2a9c1b.js', {}), year);
  assert.equal(await control('app.js', {}), undefined);
  assert.equal(await control('app.js', { maxAgeMs: 3_600_000 }), 'public, max-age=3600');
  assert.equal(await control('app.js', { maxAgeMs: 0 }), 'no-cache');
  assert.equal(await control('app.js', { immutable: 'always' }), year);
  assert.equal(await control('app.3f2a9c1b.js', { immutable: 'never' }), undefined);
  assert.equal(
    await control('app.3f2a9c1b.js', { headers: ['cache-control', 'private'] }),
    'private',
  );
  assert.equal(await control('index.html', { fallback: 'index.html', maxAgeMs: 9000 }), 'no-cache');
  configure({ static: [staticMount({ prefix: '/s', dir, headers: ['X-Frame-Options', 'DENY'] })] });
  assert.equal((await get('/s/app.js')).fields.get('x-frame-options'), 'DENY');
});

test('fallback answers navigation, and never for a missing asset', async (t) => {
  const files = { 'index.html': '<p>page', 'a.js': '1' };
  const { get, client } = await start(t, files, { prefix: '/', fallback: 'index.html' });
  const html = 'Accept: text/html,*/*;q=0.8';
  for (const asked of [[], [html], ['Sec-Fetch-Mode: navigate', html]])
    assert.equal((await get('/users/7', ...asked)).body, '<p>page', asked.join());
  assert.equal((await get('/users/a.b@c.example', html)).body, '<p>page');
  for (const [target, ...asked] of [
    ['/app.3f2a9c1b.js', html],
    ['/assets/index-BxYz1234.css', 'Sec-Fetch-Mode: navigate'],
    ['/missing.js'],
    ['/users/7', 'Sec-Fetch-Mode: cors'],
    ['/users/7', 'Accept: application/json'],
    ['/.env', html],
  ] as const) {
    const missing = await get(target, ...asked);
    assert.equal(missing.status, 404, target);
    assert.equal(missing.fields.get('cache-control'), 'no-store');
  }
  assert.equal((await ask(client, 'POST', '/users/7', ['Content-Length: 0'])).status, 405);
});

test('tryFiles: the file, else the app, whatever the method', async (t) => {
  const files = { 'a.txt': 'file', 'sub/index.html': 'index', 'bare/x': '' };
  const { get, client, write } = await start(t, files, { prefix: '/', tryFiles: true });
  for (let times = 0; times < 3; times++) {
    assert.equal((await get('/a.txt')).body, 'file');
    assert.equal((await get('/sub/')).body, 'index');
    assert.equal((await get('/sub')).status, 301);
    for (const target of ['/', '/users/7', '/bare', '/bare/', '/.env', '/%ff', '/a.txt/', '/new'])
      assert.equal((await get(target)).body, 'app', target);
    const posted = await ask(client, 'POST', '/a.txt', ['Content-Length: 0']);
    assert.equal(posted.body, 'app');
  }
  client.send('POST /users HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello');
  assert.equal((await client.response()).body, 'app');
  write('new', 'now a file');
  await eventually(
    () => get('/new'),
    ({ body }) => body === 'now a file',
  );
});

test('dot files: refused, but for /.well-known/, unless allowed', async (t) => {
  const files = { '.well-known/security.txt': 'ok', '.well-known/.git': 'no', '.env': 'env' };
  const { get, configure, dir } = await start(t, files, { prefix: '/' });
  assert.equal((await get('/.well-known/security.txt')).body, 'ok');
  for (const target of ['/.env', '/%2eenv', '/.well-known/.git', '/.'])
    assert.equal((await get(target)).status, 404, target);
  configure({ static: [staticMount({ prefix: '/', dir, dotfiles: 'allow' })] });
  assert.equal((await get('/.env')).body, 'env');
  assert.equal((await get('/.well-known/.git')).body, 'no');
  configure({ static: [staticMount({ prefix: '/s', dir })] });
  assert.equal((await get('/s/.well-known/security.txt')).status, 404);
});

test('an internal mount is not there for clients', async (t) => {
  const { get } = await start(t, { 'a.txt': 'x' }, { internal: true });
  assert.equal((await get('/s/a.txt')).status, 404);
});

test('several index names, names in other scripts, empty files, no memory at all', async (t) => {
  const files = { 'd/b.htm': 'b', 'страница.html': 'да', 'empty.txt': '', '日本/x.txt': 'x' };
  for (const staticCacheBytes of [0, 1024 ** 2]) {
    const options = { index: ['a.htm', 'b.htm'] };
    const { get } = await start(t, files, options, { staticCacheBytes });
    for (let times = 0; times < 3; times++) {
      assert.equal((await get('/s/d/')).body, 'b');
      const page = await get(`/s/${encodeURIComponent('страница.html')}`);
      assert.equal(Buffer.from(page.body, 'latin1').toString(), 'да');
      assert.equal((await get(`/s/${encodeURIComponent('日本')}/x.txt`)).body, 'x');
      const empty = await get('/s/empty.txt');
      assert.deepEqual([empty.status, empty.body], [200, '']);
      assert.equal((await get('/s/empty.txt', 'Range: bytes=0-')).status, 200);
    }
  }
});

const large = Buffer.alloc(5_000_000, 'abcdefghij');

test('a large file comes whole and in parts, from disk and from memory', async (t) => {
  for (const staticCacheBytes of [0, 64 * 1024 ** 2]) {
    const { get } = await start(t, { 'l.bin': large }, {}, { staticCacheBytes });
    for (let times = 0; times < 3; times++) {
      assert.ok(Buffer.from((await get('/s/l.bin')).body, 'latin1').equals(large));
      const part = await get('/s/l.bin', 'Range: bytes=524280-1048590');
      assert.equal(part.body, large.toString('latin1', 524_280, 1_048_591));
      const parts = await get('/s/l.bin', 'Range: bytes=0-9,4999990-');
      assert.equal(parts.status, 206);
      assert.ok(parts.body.includes(`4999990-4999999/5000000\r\n\r\nabcdefghij\r\n`));
    }
  }
});

test('a large file that shrinks while it is sent is cut, and one that is replaced is not mixed', async (t) => {
  const { connect, dir, edge, get } = await start(t, { 'l.bin': Buffer.alloc(30_000_000, 'x') });
  const client = connect().send('GET /s/l.bin HTTP/1.1\r\nHost: test\r\n\r\n');
  await client.take('xxxx');
  client.socket.pause();
  truncateSync(join(dir, 'l.bin'), 1000);
  client.socket.resume();
  await client.ended();
  assert.ok(client.received.length < 30_000_000);
  await until('end of the request', () => edge.status().requestsInFlight === 0);
  const after = await eventually(
    () => get('/s/l.bin'),
    ({ status, fields }) => status === 200 && fields.get('content-length') === '1000',
  );
  assert.equal(after.body, 'x'.repeat(1000));
});

test('a slow client of 60 MB costs no more memory than a few reads', async (t) => {
  const { connect, edge } = await start(t, { 'l.bin': Buffer.alloc(60_000_000, 'x') });
  const before = process.memoryUsage();
  const clients = Array.from({ length: 8 }, () =>
    connect().send('GET /s/l.bin HTTP/1.1\r\nHost: test\r\n\r\n'),
  );
  for (const client of clients) {
    await client.take('xxxx');
    client.socket.pause();
  }
  const after = process.memoryUsage();
  const grown = after.external + after.arrayBuffers - before.external - before.arrayBuffers;
  assert.ok(grown < 60_000_000, `${grown} bytes`);
  assert.equal(edge.status().requestsInFlight, 8);
});

test('a short read is not overwritten while it may still be on its way', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'portico-short-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const path = join(dir, 'growing');
  writeFileSync(path, Buffer.alloc(10_000, 'a'));
  const rest = 4 * 256 * 1024;
  const exchange = new ScriptedExchange();
  const kept: Uint8Array[] = [];
  Object.assign(exchange, {
    releasesBytes: true,
    write: (chunk: Uint8Array) => {
      if (kept.length === 0) appendFileSync(path, Buffer.alloc(rest, 'b'));
      kept.push(chunk);
      return true;
    },
  });
  const file = { stats: { size: 10_000 + rest } } as LocatedFile;
  const open = { fd: openSync(path, 'r'), file, blocks: null, kept: null };
  streamFile(exchange, open, [{ start: 0, end: 10_000 + rest - 1 }]);
  await exchange.settled;
  assert.equal(exchange.failure, null);
  assert.ok(Buffer.alloc(10_000, 'a').equals(kept[0]!));
});

test('a file that cannot be looked at again is sent, and not kept', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'portico-lost-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const path = join(dir, 'lost');
  writeFileSync(path, 'content');
  const fd = openSync(path, 'r');
  const lost = t.mock.method(fs, 'fstatSync', () => {
    throw new Error('ESTALE');
  });
  syncBuiltinESMExports();
  t.after(() => {
    lost.mock.restore();
    syncBuiltinESMExports();
  });
  const exchange = new ScriptedExchange();
  const blocks = { get: () => undefined, put: () => assert.fail('kept') };
  const file = { stats: { size: 7 } } as LocatedFile;
  streamFile(exchange, { fd, file, blocks, kept: null }, [{ start: 0, end: 6 }]);
  await exchange.settled;
  assert.equal(exchange.content, 'content');
  assert.equal(lost.mock.callCount(), 1);
});
