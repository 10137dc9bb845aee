// X-Accel-Redirect and X-Sendfile through real links: the app names a file, the edge sends it.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Config } from '../../src/config/config.ts';
import { staticMount } from '../../src/config/static-mounts.ts';
import type { Fields } from '../../src/http/exchange.ts';
import { type Taken, workerFactory } from '../helpers/link-workers.ts';
import { runEdge } from '../helpers/running-edge.ts';
import { until } from '../helpers/until.ts';

/** An edge with the internal mount /protected and an app that answers as the test says. */
async function start(
  t: TestContext,
  serve: (taken: Taken, dir: string) => void,
  changes: Partial<Config> = {},
) {
  const base = realpathSync(mkdtempSync(join(tmpdir(), 'portico-accel-')));
  t.after(() => rmSync(base, { recursive: true, force: true }));
  const dir = join(base, 'files');
  mkdirSync(join(dir, 'sub'), { recursive: true });
  writeFileSync(join(base, 'secret'), 'TOP-SECRET');
  writeFileSync(join(dir, 'report.txt'), '0123456789');
  writeFileSync(join(dir, 'sub', 'ü 100%.txt'), 'umlaut');
  writeFileSync(join(dir, 'big.bin'), Buffer.alloc(20_000_000, 'x'));
  symlinkSync('../secret', join(dir, 'link'));
  const running = await runEdge(t, {
    static: [staticMount({ prefix: '/protected', dir, internal: true })],
    ...changes,
  });
  const worker = await workerFactory(t)((taken) => serve(taken, dir));
  running.edge.pools.admit(worker.address);
  const get = (more = '', method = 'GET') =>
    running.ask(`${method} /download`, `${more}\r\n`).response(method);
  return { ...running, dir, base, worker, get };
}

/** Answers with these fields and a few words that nobody is to see. */
function naming(...fields: Fields): (taken: Taken) => void {
  return (taken) => taken.reply('not this', fields);
}

test('a file named by X-Accel-Redirect is sent in the place of the content', async (t) => {
  const { get, worker } = await start(t, naming('X-Accel-Redirect', '/protected/report.txt'));
  const response = await get();
  assert.equal(response.status, 200);
  assert.equal(response.body, '0123456789');
  assert.equal(response.fields.get('content-length'), '10');
  assert.match(response.fields.get('content-type') ?? '', /^text\/plain/);
  assert.ok(response.fields.has('etag'));
  assert.equal(response.fields.has('x-accel-redirect'), false);
  assert.match(response.fields.get('x-request-id') ?? '', /^[0-9a-f]{32}$/);
  await until('the worker to be free', () => worker.taken[0]?.closed);
});

test('ranges, conditions and HEAD are answered as for any file', async (t) => {
  const { get } = await start(t, naming('X-Accel-Redirect', '/protected/report.txt'));
  const part = await get('Range: bytes=2-4\r\n');
  assert.equal(part.status, 206);
  assert.equal(part.body, '234');
  assert.equal(part.fields.get('content-range'), 'bytes 2-4/10');
  const etag = (await get()).fields.get('etag') ?? '';
  assert.equal((await get(`If-None-Match: ${etag}\r\n`)).status, 304);
  assert.equal((await get('Range: bytes=50-\r\n')).status, 416);
  const head = await get('', 'HEAD');
  assert.equal(head.status, 200);
  assert.equal(head.fields.get('content-length'), '10');
  assert.equal((await get('Content-Length: 0\r\n', 'POST')).body, '0123456789');
});

test('of the fields of the app those stay that stay with nginx', async (t) => {
  const { get } = await start(
    t,
    naming(
      ...['X-Accel-Redirect', '/protected/report.txt', 'Content-Type', 'application/x-report'],
      ...['Content-Disposition', 'attachment; filename="r.txt"', 'Cache-Control', 'private'],
      ...['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', 'Expires', 'Thu, 01 Jan 1970 00:00:00 GMT'],
      ...['ETag', '"of-the-app"', 'X-Powered-By', 'App', 'Accept-Ranges', 'none'],
    ),
  );
  const { fields, status, head } = await get('Range: bytes=0-1\r\n');
  assert.equal(status, 200, 'the app wants no ranges');
  assert.equal(fields.get('content-type'), 'application/x-report');
  assert.equal(fields.get('content-disposition'), 'attachment; filename="r.txt"');
  assert.equal(fields.get('cache-control'), 'private');
  assert.equal(fields.get('set-cookie'), 'a=1, b=2');
  assert.equal(fields.get('expires'), 'Thu, 01 Jan 1970 00:00:00 GMT');
  assert.equal(fields.get('accept-ranges'), 'none');
  assert.notEqual(fields.get('etag'), '"of-the-app"');
  assert.equal(fields.has('x-powered-by'), false);
  assert.equal(head.match(/^content-type:/gim)?.length, 1);
});

test('names are percent-decoded as nginx does, and raw bytes stand for themselves', async (t) => {
  let value = '';
  const { get } = await start(t, (taken) => taken.reply('', ['X-Accel-Redirect', value]));
  for (value of [
    '/protected/sub/%C3%BC%20100%25.txt',
    `/protected/sub/${Buffer.from('ü').toString('latin1')} 100%25.txt?query`,
    '/protected//x/../sub/./%c3%bc 100%25.txt',
  ])
    assert.equal((await get()).body, 'umlaut', value);
});

test('X-Sendfile names a file by its path', async (t) => {
  const { get } = await start(t, (taken, dir) =>
    taken.reply('', ['X-Sendfile', Buffer.from(join(dir, 'sub/ü 100%.txt')).toString('latin1')]),
  );
  const response = await get();
  assert.equal(response.body, 'umlaut');
  assert.equal(response.fields.has('x-sendfile'), false);
});

test('what is outside of internal mounts is a failure with a code, and nothing leaks', async (t) => {
  let fields: Fields = [];
  const { get, base, dir, logged } = await start(
    t,
    (taken) => taken.reply('TOP-SECRET', fields),
    {},
  );
  for (fields of [
    ['X-Accel-Redirect', '/elsewhere/secret'],
    ['X-Accel-Redirect', '/protected/../secret'],
    ['X-Accel-Redirect', '/protected/%2e%2e/secret'],
    ['X-Accel-Redirect', '/protected/../../secret'],
    ['X-Accel-Redirect', 'http://other/protected/report.txt'],
    ['X-Accel-Redirect', '/protectedly/report.txt'],
    ['X-Accel-Redirect', '/protected/%00'],
    ['X-Accel-Redirect', '/protected/%zz'],
    ['X-Accel-Redirect', ''],
    ['X-Sendfile', join(base, 'secret')],
    ['X-Sendfile', `${dir}/../secret`],
    ['X-Sendfile', dir],
    ['X-Sendfile', 'report.txt'],
  ]) {
    const { status, body } = await get();
    assert.equal(status, 500, String(fields));
    assert.match(body, /^500 ACCEL_PATH/);
  }
  assert.ok(logged.some((line) => line.startsWith('warning') && line.includes('ACCEL_PATH')));
  for (fields of [
    ['X-Accel-Redirect', '/protected/nothing.txt'],
    ['X-Accel-Redirect', '/protected/link'],
    ['X-Sendfile', join(dir, 'link')],
    ['X-Accel-Redirect', '/protected/sub'],
  ]) {
    const { status, body } = await get();
    assert.equal(status, 404, String(fields));
    assert.ok(!body.includes('SECRET'));
  }
});

test('a client can not ask for what is internal', async (t) => {
  const { ask } = await start(t, (taken) => taken.reply('app'));
  for (const path of ['/protected/report.txt', '/x/../protected/report.txt', '/%70rotected/'])
    assert.equal((await ask(`GET ${path}`, '\r\n').response()).status, 404, path);
});

test('without an internal mount the fields are as any', async (t) => {
  const { get } = await start(t, naming('X-Accel-Redirect', '/protected/report.txt'), {
    static: [],
  });
  const response = await get();
  assert.equal(response.body, 'not this');
  assert.equal(response.fields.get('x-accel-redirect'), '/protected/report.txt');
});

test('the cache of responses neither keeps nor sees what is handed over', async (t) => {
  const named = ['X-Accel-Redirect', '/protected/report.txt', 'Cache-Control', 'max-age=60'];
  const { get, worker } = await start(t, naming(...named), { cacheBytes: 1_000_000 });
  for (let count = 1; count <= 2; count++) {
    const response = await get();
    assert.equal(response.body, '0123456789');
    assert.equal(response.fields.has('x-accel-redirect'), false);
    assert.equal(response.fields.get('cache-control'), 'max-age=60');
    assert.equal(worker.taken.length, count);
  }
});

test('the worker is free while a slow client takes the file', async (t) => {
  const { ask, worker, edge } = await start(t, naming('X-Accel-Redirect', '/protected/big.bin'));
  const slow = ask('GET /slow', '\r\n');
  slow.socket.pause();
  await until('the worker to be free', () => {
    const isFree = worker.taken.length > 0 && edge.status().workers[0]?.inFlight === 0;
    return isFree && edge.listener.requestsInFlight === 1;
  });
  slow.socket.resume();
  assert.equal((await slow.response()).body.length, 20_000_000);
});

test('an app that goes on after naming a file hears no error, unless it goes on and on', async (t) => {
  const { get, worker } = await start(t, (taken) => {
    taken.exchange.respond(200, '', ['X-Accel-Redirect', '/protected/report.txt']);
    if (worker.taken.length > 1)
      for (let count = 0; count < 100; count++) taken.exchange.write(Buffer.alloc(10_000));
    else
      setImmediate(() => {
        taken.exchange.write(Buffer.from('late words'));
        taken.exchange.end([]);
      });
  });
  assert.equal((await get()).body, '0123456789');
  await until('the end', () => worker.taken[0]?.closed);
  assert.equal(worker.taken[0]?.failure, null);
  assert.equal((await get()).body, '0123456789');
  await until('the end', () => worker.taken[1]?.closed);
  assert.notEqual(worker.taken[1]?.failure, null);
});

test('a worker that dies after naming a file does not cut it', async (t) => {
  const { ask, worker } = await start(t, (taken) => {
    taken.exchange.respond(200, '', ['X-Accel-Redirect', '/protected/big.bin']);
  });
  const slow = ask('GET /', '\r\n');
  slow.socket.pause();
  await until('the request', () => worker.taken.length > 0);
  await new Promise((resolve) => setImmediate(resolve));
  worker.die();
  slow.socket.resume();
  const response = await slow.response();
  // Where the head had not arrived, the failure is the worker's.
  if (response.status === 200) assert.equal(response.body.length, 20_000_000);
  else assert.equal(response.status, 502);
});
