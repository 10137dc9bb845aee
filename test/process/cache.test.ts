// The response cache of the whole program: purges through the control socket, reloads, status.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { portico as command } from '../helpers/cli.ts';
import { repositoryRoot, startPortico } from '../helpers/portico.ts';

const app = `${join(repositoryRoot, 'test/fixtures/cached-app.mjs')}:app`;

test('responses are kept until a purge by URL, path or tag, or a reload', async (t) => {
  const running = await startPortico(t, ['--cache', '64m', '--workers', '2', '--edges', '2', app]);
  /** Every connection may come to another edge, each with a cache of its own. */
  const statuses = async (path: string, times = 12) => {
    const seen: string[] = [];
    for (let at = 0; at < times; at++) {
      const answer = await fetch(running.origin + path, { headers: { connection: 'close' } });
      assert.equal(answer.headers.get('cache-tag'), null);
      await answer.text();
      seen.push(answer.headers.get('cache-status') ?? '');
    }
    return seen.map((status) => /hit|fwd=[a-z-]+/.exec(status)?.[0]);
  };
  const misses = async (path: string) =>
    (await statuses(path)).filter((status) => status !== 'hit').length;
  const purge = async (...args: string[]) => {
    const env = { PORTICO_RUNTIME_DIR: running.runtimeDir };
    const { code, stdout, stderr } = await command(['purge', ...args], { cwd: '/', env });
    assert.equal(code, 0, stderr);
    return Number(/^portico: (\d) responses? purged\n$/.exec(stdout)?.[1]);
  };

  const edges = await misses('/a');
  assert.ok(edges === 1 || edges === 2);
  assert.equal(await purge(`${running.origin}/a`), edges);
  assert.equal(await purge(`${running.origin}/a`), 0);
  const before = await misses('/a');
  assert.ok(before >= 1);
  assert.ok((await purge('/a', '/b')) >= 1);
  assert.ok((await misses('/a')) >= 1);
  await misses('/b');
  assert.ok((await purge('--tag', 'b')) >= 1);
  assert.ok((await misses('/b')) >= 1);
  assert.ok((await purge('--all')) >= 2);
  await misses('/a');

  const env = { PORTICO_RUNTIME_DIR: running.runtimeDir };
  const status = await command(['status', '--json'], { cwd: '/', env });
  const { edges: reports } = JSON.parse(status.stdout);
  const caches = reports.map((edge: { status: { cache: unknown } }) => edge.status.cache);
  const hits = caches.reduce((sum: number, cache: { hits: number }) => sum + cache.hits, 0);
  assert.ok(hits > 20);
  assert.match((await command(['status'], { cwd: '/', env })).stdout, /cache \d+% of \d+ hit/);

  const { code } = await command(['reload'], { cwd: '/', env });
  assert.equal(code, 0);
  assert.ok((await misses('/a')) >= 1);
});

test('without --cache a purge says how to have one', async (t) => {
  const running = await startPortico(t, ['--workers', '1', app]);
  const env = { PORTICO_RUNTIME_DIR: running.runtimeDir };
  const { code, stderr } = await command(['purge', '--all'], { cwd: '/', env });
  assert.deepEqual(
    [code, stderr],
    [1, 'portico: There is no cache: start with --cache 64m to have one\n'],
  );
  const answer = await fetch(running.origin);
  assert.equal(answer.headers.get('cache-status'), null);
});

test('compressed once, sent to all who take it', async (t) => {
  const running = await startPortico(t, ['--cache', 'on', '--workers', '1', app]);
  const get = async (encoding: string) => {
    const answer = await fetch(running.origin, { headers: { 'accept-encoding': encoding } });
    const status = answer.headers.get('cache-status') ?? '';
    return [
      answer.headers.get('content-encoding'),
      /hit|stored/.exec(status)?.[0],
      await answer.text(),
    ];
  };
  const first = await get('gzip');
  const second = await get('gzip');
  assert.deepEqual(first.slice(0, 2), ['gzip', 'stored']);
  assert.deepEqual(second, ['gzip', 'hit', first[2]]);
  const plain = await get('identity');
  assert.deepEqual(plain.slice(0, 2), [null, 'stored']);
  assert.deepEqual((await get('identity')).slice(0, 2), [null, 'hit']);
});
