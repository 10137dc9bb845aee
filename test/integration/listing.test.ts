// The page that lists a directory: off by default, sorted, and proof against hostile names.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { staticMount } from '../../src/config/static-mounts.ts';
import { runEdge } from '../helpers/running-edge.ts';

const hostile = `<img src=x onerror=alert(1)>"'&.txt`;

async function start(t: TestContext, listing = true) {
  const base = mkdtempSync(join(tmpdir(), 'portico-listing-'));
  t.after(() => rmSync(base, { recursive: true, force: true }));
  const dir = join(base, 'files');
  mkdirSync(join(dir, 'sub', 'deep'), { recursive: true });
  mkdirSync(join(dir, 'with-index'));
  writeFileSync(join(base, 'secret'), 'TOP-SECRET');
  writeFileSync(join(dir, 'with-index', 'index.html'), 'the index');
  writeFileSync(join(dir, 'part10.txt'), 'x'.repeat(2048));
  writeFileSync(join(dir, 'part9.txt'), 'x');
  writeFileSync(join(dir, 'javascript:alert(1)'), 'x');
  writeFileSync(join(dir, hostile), 'x');
  writeFileSync(join(dir, 'ü #?%.txt'), 'x');
  writeFileSync(join(dir, 'line\nbreak.txt'), 'x');
  writeFileSync(join(dir, 'back\\slash.txt'), 'x');
  writeFileSync(Buffer.concat([Buffer.from(`${dir}/`), Buffer.from([0xff, 0xfe])]), 'x');
  writeFileSync(join(dir, '.hidden'), 'x');
  symlinkSync('../secret', join(dir, 'out'));
  symlinkSync('part9.txt', join(dir, 'in'));
  symlinkSync('sub', join(dir, 'linked'));
  execFileSync('mkfifo', [join(dir, 'fifo')]);
  const time = new Date('2024-02-29T12:34:56Z');
  utimesSync(join(dir, 'part9.txt'), time, time);
  const { ask } = await runEdge(t, { static: [staticMount({ prefix: '/files', dir, listing })] });
  return (path: string, accept = 'text/html', method = 'GET') =>
    ask(`${method} ${path}`, `Accept: ${accept}\r\n\r\n`).response(method);
}

test('a directory without an index is listed, directories first, numbers by value', async (t) => {
  const get = await start(t);
  const response = await get('/files/');
  assert.equal(response.status, 200);
  assert.equal(response.fields.get('content-type'), 'text/html; charset=utf-8');
  assert.match(response.fields.get('content-security-policy') ?? '', /^default-src 'none'/);
  const html = Buffer.from(response.body, 'latin1').toString();
  const links = [...html.matchAll(/href="([^"]*)"/g)].map((match) => match[1]);
  assert.deepEqual(links.slice(0, 3), ['./linked/', './sub/', './with-index/']);
  assert.ok(links.indexOf('./part9.txt') < links.indexOf('./part10.txt'));
  assert.match(html, /part10\.txt<\/a><\/td><td>2\.0 KB</);
  assert.match(html, /<time datetime="2024-02-29T12:34:56Z">2024-02-29 12:34</);
  assert.match(html, /name="viewport"/);
  assert.doesNotMatch(html, /https?:|<script/);
  for (const name of ['hidden', '>out<', 'fifo', 'slash', 'SECRET', '\ufffd'])
    assert.ok(!html.includes(name), name);
  assert.ok(!links.includes('../'), 'nothing is above the mount');
  assert.ok((await get('/files/sub/')).body.includes('href="../"'));
});

test('hostile names are escaped, and each link leads to its file', async (t) => {
  const get = await start(t);
  const html = Buffer.from((await get('/files/')).body, 'latin1').toString();
  assert.ok(!html.includes('<img'));
  assert.ok(html.includes('&lt;img src=x onerror=alert(1)&gt;&quot;&#39;&amp;.txt'));
  const files = [...html.matchAll(/href="(\.\/[^"]*[^/"])"/g)].map((match) => match[1]!);
  assert.equal(files.length, 7);
  for (const link of files) {
    const unescaped = link.replaceAll('&#39;', "'").replaceAll('&amp;', '&');
    const { pathname } = new URL(unescaped, 'http://test/files/');
    assert.equal((await get(pathname)).status, 200, link);
  }
});

test('JSON where it is preferred, as nginx has it', async (t) => {
  const get = await start(t);
  const response = await get('/files/', 'application/json');
  assert.equal(response.fields.get('content-type'), 'application/json');
  const entries = JSON.parse(response.body) as { name: string }[];
  assert.deepEqual(
    entries.find(({ name }) => name === 'part9.txt'),
    { name: 'part9.txt', type: 'file', mtime: '2024-02-29T12:34:56Z', size: 1 },
  );
  assert.ok(!entries.some(({ name }) => name === 'out' || name.startsWith('.')));
});

test('an index goes first, a missing slash is added, HEAD has no content', async (t) => {
  const get = await start(t);
  assert.equal((await get('/files/with-index/')).body, 'the index');
  assert.equal((await get('/files/sub')).fields.get('location'), '/files/sub/');
  const head = await get('/files/', 'text/html', 'HEAD');
  assert.equal(head.status, 200);
  assert.equal(head.body, '');
  assert.match((await get('/files/sub/deep/')).body, /This directory is empty/);
});

test('without the setting a directory is a 404', async (t) => {
  const get = await start(t, false);
  assert.equal((await get('/files/')).status, 404);
});
