// What locate() finds in a real directory with links, pipes and unreadable parts.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { locate } from '../../src/edge/static/locate.ts';

let base = '';
let root = '';

before(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), 'portico-locate-')));
  root = join(base, 'root');
  mkdirSync(join(root, 'sub', 'inner'), { recursive: true });
  mkdirSync(join(base, 'root-sibling'));
  writeFileSync(join(root, 'a.css'), 'a');
  writeFileSync(join(root, 'sub', 'b.css'), 'bb');
  writeFileSync(join(base, 'secret'), 'secret');
  writeFileSync(join(base, 'root-sibling', 'secret'), 'secret');
  symlinkSync('sub/b.css', join(root, 'inside'));
  symlinkSync('sub', join(root, 'inside-dir'));
  symlinkSync('../secret', join(root, 'outside'));
  symlinkSync(join(base, 'secret'), join(root, 'outside-absolute'));
  symlinkSync('../root-sibling', join(root, 'outside-sibling'));
  symlinkSync('..', join(root, 'parent'));
  symlinkSync('/dev/zero', join(root, 'device'));
  symlinkSync('loop', join(root, 'loop'));
  symlinkSync('nowhere', join(root, 'dangling'));
  symlinkSync('root', join(base, 'current'));
  execFileSync('mkfifo', [join(root, 'fifo')]);
});

after(() => rmSync(base, { recursive: true, force: true }));

test('a regular file is found, with its real path', async () => {
  const located = await locate(root, ['sub', 'b.css']);
  assert.equal(located.kind, 'file');
  assert.deepEqual(located.kind === 'file' && [located.root, located.path, located.stats.size], [
    root,
    join('sub', 'b.css'),
    2,
  ]);
});

test('links that stay inside are followed and resolved', async () => {
  for (const segments of [['inside'], ['inside-dir', 'b.css']]) {
    const located = await locate(root, segments);
    assert.equal(located.kind === 'file' && located.path, join('sub', 'b.css'));
  }
});

test('the directory itself may be a link', async () => {
  const located = await locate(join(base, 'current'), ['a.css']);
  assert.equal(located.kind === 'file' && located.root, root);
});

test('links that leave are refused, also to a sibling whose name begins alike', async () => {
  for (const segments of [
    ['outside'],
    ['outside-absolute'],
    ['outside-sibling', 'secret'],
    ['outside-sibling'],
    ['parent', 'secret'],
    ['parent'],
    ['device'],
  ])
    assert.equal((await locate(root, segments)).kind, 'refused', segments.join('/'));
});

test('a FIFO, a socket and a loop of links are refused, and nothing waits for them', async () => {
  const server = createServer();
  const listening = new Promise((resolve) => server.listen(join(root, 'socket'), () => resolve(0)));
  await listening;
  for (const name of ['fifo', 'socket', 'loop'])
    assert.equal((await locate(root, [name])).kind, 'refused', name);
  server.close();
});

test('directories are told apart, and what is not there is missing', async () => {
  assert.equal((await locate(root, [])).kind, 'directory');
  assert.equal((await locate(root, ['sub'])).kind, 'directory');
  for (const segments of [['none'], ['a.css', 'x'], ['dangling'], ['x'.repeat(300)]])
    assert.equal((await locate(root, segments)).kind, 'missing', segments.join('/'));
});
