// What is checked is what is served, also where somebody changes the directory between the two.

import assert from 'node:assert/strict';
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { staticMount } from '../../src/config/static-mounts.ts';
import { serveCold } from '../../src/edge/static/cold.ts';
import { locate } from '../../src/edge/static/locate.ts';
import { openChecked } from '../../src/edge/static/open-checked.ts';
import { describe, type LocatedFile } from '../../src/edge/static/representation.ts';
import { runEdge } from '../helpers/running-edge.ts';
import { ScriptedExchange } from '../helpers/scripted-exchange.ts';
import { until } from '../helpers/until.ts';

/** A root with sub/page.txt in it, and a secret of equal length outside. */
function directories(t: TestContext) {
  const base = realpathSync(mkdtempSync(join(tmpdir(), 'portico-open-')));
  t.after(() => rmSync(base, { recursive: true, force: true }));
  const root = join(base, 'root');
  for (const dir of [join(root, 'sub'), join(base, 'outside')]) mkdirSync(dir, { recursive: true });
  writeFileSync(join(root, 'sub/page.txt'), 'public');
  writeFileSync(join(base, 'outside/page.txt'), 'secret');
  return { base, root };
}

async function located(root: string): Promise<LocatedFile> {
  const found = await locate(root, ['sub', 'page.txt']);
  assert.ok(found.kind === 'file');
  return found;
}

test('a directory that becomes a link out of the root is noticed when the file is open', async (t) => {
  const { base, root } = directories(t);
  const file = await located(root);
  const fd = await openChecked(file);
  assert.ok(fd !== null);
  renameSync(join(root, 'sub'), join(root, 'former'));
  symlinkSync(join(base, 'outside'), join(root, 'sub'));
  assert.equal(await openChecked(file), null);
  // As if it had happened between realpath and lstat: then the secret itself was looked at.
  const stats = lstatSync(join(root, 'sub/page.txt'));
  assert.equal(await openChecked({ ...file, stats }), null);
});

test('serve-static sends from the descriptor that was checked, whatever has the name by then', async (t) => {
  const { base, root } = directories(t);
  const file = await located(root);
  const mount = staticMount({ prefix: '/', dir: root });
  const { plain } = await describe(mount, ['sub', 'page.txt'], file);
  const fd = await openChecked(file);
  assert.ok(fd !== null);
  // The fields are read after the last look at the name, and before the file would be opened by it.
  const fields = [...plain.fields];
  let swapped = false;
  Object.defineProperty(fields, 0, {
    get() {
      if (!swapped) renameSync(join(base, 'outside/page.txt'), join(root, 'sub/page.txt'));
      swapped = true;
      return 'Content-Type';
    },
  });
  const exchange = new ScriptedExchange({ target: '/sub/page.txt' });
  serveCold(exchange, { ...plain, fields }, fd, assert.fail);
  await exchange.settled;
  assert.ok(swapped);
  assert.equal(exchange.content, 'public');
});

test('no descriptor stays open, however an answer ends', { skip: noProc() }, async (t) => {
  const { root } = directories(t);
  writeFileSync(join(root, 'large.txt'), Buffer.alloc(1_000_000, 'x'));
  const { connect, edge } = await runEdge(t, {
    static: [staticMount({ prefix: '/', dir: root })],
    staticCacheBytes: 0,
  });
  const client = connect();
  const ask = (method: string, path: string, field = 'A: b') =>
    client.send(`${method} ${path} HTTP/1.1\r\nHost: a\r\n${field}\r\n\r\n`);
  const first = await ask('GET', '/sub/page.txt').response();
  assert.equal(first.body, 'public');
  const etag = first.fields.get('etag');
  const same = ask('GET', '/sub/page.txt', `If-None-Match: ${etag}`);
  assert.equal((await same.response()).status, 304);
  const head = ask('HEAD', '/sub/page.txt');
  assert.equal((await head.response('HEAD')).status, 200);
  const leaving = connect().send('GET /large.txt HTTP/1.1\r\nHost: a\r\n\r\n');
  await leaving.take('xxxx');
  leaving.reset();
  await until('the end', () => edge.status().requestsInFlight === 0 && openBelow(root) === 0);
});

function noProc(): string | false {
  return process.platform === 'linux' ? false : 'open files are listed in /proc';
}

function openBelow(dir: string): number {
  let count = 0;
  for (const fd of readdirSync('/proc/self/fd')) {
    try {
      if (readlinkSync(`/proc/self/fd/${fd}`).startsWith(dir)) count++;
    } catch {
      // The descriptor of this very listing.
    }
  }
  return count;
}
