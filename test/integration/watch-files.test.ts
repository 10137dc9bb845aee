// --reload notices changes of the app's files, gathers them, and overlooks what does not count.

import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { watchFiles } from '../../src/arbiter/watch.ts';
import { tempDir } from '../helpers/arbiter.ts';
import { until } from '../helpers/until.ts';

function watching(t: TestContext, dir: string): string[] {
  const changes: string[] = [];
  const stop = watchFiles({
    dir,
    ignored: [join(dir, 'run'), join(dir, 'access.txt')],
    onChange: (path) => changes.push(path),
    onProblem: (text) => changes.push(`problem: ${text}`),
  });
  t.after(stop);
  return changes;
}

/** Until the change has been noticed. */
function noticed(changes: string[], path: string): Promise<unknown> {
  return until(path, () => (changes.includes(path) ? true : null));
}

test('changed, new, renamed and removed files are noticed, at any depth', async (t) => {
  const dir = tempDir(t);
  mkdirSync(join(dir, 'a', 'b'), { recursive: true });
  const changes = watching(t, dir);
  writeFileSync(join(dir, 'a', 'b', 'deep.js'), '1');
  await noticed(changes, 'a/b/deep.js');
  mkdirSync(join(dir, 'new'));
  await noticed(changes, 'new');
  writeFileSync(join(dir, 'new', 'part.js'), '1');
  await noticed(changes, 'new/part.js');
  renameSync(join(dir, 'new', 'part.js'), join(dir, 'new', 'other.js'));
  await noticed(changes, 'new/other.js');
  rmSync(join(dir, 'new'), { recursive: true });
  await noticed(changes, 'new');
});

test('what does not count is overlooked', async (t) => {
  const dir = tempDir(t);
  for (const name of ['node_modules', '.git', 'run']) mkdirSync(join(dir, name));
  const changes = watching(t, dir);
  const overlooked = [
    'node_modules/x.js',
    '.git/index',
    'run/1.sock',
    'access.txt',
    'error.log',
    'data.sqlite3-journal',
    'app.js~',
    '.env.swp',
  ];
  for (const name of overlooked) writeFileSync(join(dir, name), '1');
  writeFileSync(join(dir, 'last.js'), '1');
  await noticed(changes, 'last.js');
  assert.deepEqual(changes, ['last.js']);
});

test('several changes are one; changes without end are noticed all the same', async (t) => {
  const dir = tempDir(t);
  const changes = watching(t, dir);
  for (const name of ['a.js', 'b.js', 'c.js']) writeFileSync(join(dir, name), '1');
  await noticed(changes, 'c.js');
  assert.deepEqual(changes, ['c.js']);
  await until('a change amid changes', () => {
    writeFileSync(join(dir, 'busy.js'), String(changes.length));
    return changes.includes('busy.js') ? true : null;
  });
});
