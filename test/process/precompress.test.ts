// portico precompress, as a user runs it: what it makes decodes to the source, and it leaves alone what is not its own.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import * as zlib from 'node:zlib';
import { startProgress } from '../../src/cli/precompress/progress.ts';
import { staticMount } from '../../src/config/static-mounts.ts';
import { directoryOf, portico } from '../helpers/cli.ts';
import { runEdge } from '../helpers/running-edge.ts';

const script = 'export const hello = "hello";\n'.repeat(200);
const { zstdDecompressSync } = zlib as { zstdDecompressSync?: (content: Buffer) => Buffer };

test('siblings decode to the source, are newer than it, and are made once', async (t) => {
  const cwd = directoryOf(t, {});
  mkdirSync(join(cwd, 'public/sub'), { recursive: true });
  const at = (name: string) => join(cwd, 'public', name);
  writeFileSync(at('app.js'), script);
  chmodSync(at('app.js'), 0o640);
  writeFileSync(at('sub/page.html'), script);
  writeFileSync(at('small.css'), 'a{}');
  writeFileSync(at('photo.png'), script);
  writeFileSync(at('.env.txt'), script);
  writeFileSync(at('theirs.js.br'), 'of somebody');
  symlinkSync('app.js', at('link.js'));
  const future = new Date(Date.now() + 3_600_000);
  utimesSync(at('sub/page.html'), future, future);

  const first = await portico(['precompress', 'public'], { cwd });
  assert.equal(first.code, 0, first.stderr);
  const suffixes = zstdDecompressSync === undefined ? ['br', 'gz'] : ['br', 'gz', 'zst'];
  assert.deepEqual(
    readdirSync(at('.')).sort(),
    [
      ...['.env.txt', 'app.js', ...suffixes.map((suffix) => `app.js.${suffix}`)],
      ...['link.js', 'photo.png', 'small.css', 'sub', 'theirs.js.br'],
    ].sort(),
  );
  assert.equal(zlib.brotliDecompressSync(readFileSync(at('app.js.br'))).toString(), script);
  assert.equal(zlib.gunzipSync(readFileSync(at('app.js.gz'))).toString(), script);
  if (zstdDecompressSync !== undefined)
    assert.equal(zstdDecompressSync(readFileSync(at('app.js.zst'))).toString(), script);
  assert.equal(statSync(at('app.js.br')).mode & 0o777, 0o640);
  for (const name of ['app.js', 'sub/page.html'])
    assert.ok(statSync(at(`${name}.br`)).mtimeMs >= statSync(at(name)).mtimeMs, name);
  assert.match(first.stdout, /^public\/app\.js: 5\.9 KB → br \d+ B/m);
  const count = 2 * suffixes.length;
  assert.match(first.stdout, new RegExp(`^2 files: ${count} siblings made, .* in \\d`, 'm'));

  const second = await portico(['precompress', 'public'], { cwd });
  assert.match(second.stdout, new RegExp(`2 files: 0 siblings made .*; ${count} up to date`));

  writeFileSync(at('app.js'), `${script}changed`);
  utimesSync(at('app.js'), future, future);
  const third = await portico(['precompress', 'public'], { cwd });
  assert.match(third.stdout, new RegExp(`${suffixes.length} siblings made`));
  assert.ok(
    zlib
      .gunzipSync(readFileSync(at('app.js.gz')))
      .toString()
      .endsWith('changed'),
  );
  assert.equal(readFileSync(at('theirs.js.br'), 'utf8'), 'of somebody');
});

test('what was made is what a static mount sends', async (t) => {
  const cwd = directoryOf(t, { 'app.js': script });
  assert.equal((await portico(['precompress', '.'], { cwd })).code, 0);
  const { ask } = await runEdge(t, { static: [staticMount({ prefix: '/', dir: cwd })] });
  for (const [coding, suffix] of [
    ['br', 'br'],
    ['gzip', 'gz'],
    ...(zstdDecompressSync === undefined ? [] : [['zstd', 'zst']]),
  ]) {
    const { fields, body } = await ask(
      'GET /app.js',
      `Accept-Encoding: ${coding}\r\n\r\n`,
    ).response();
    assert.equal(fields.get('content-encoding'), coding);
    assert.match(fields.get('content-type') ?? '', /javascript/);
    assert.deepEqual(Buffer.from(body, 'latin1'), readFileSync(join(cwd, `app.js.${suffix}`)));
  }
});

test('what would not be smaller is not kept', async (t) => {
  const cwd = directoryOf(t, {});
  writeFileSync(join(cwd, 'noise.txt'), randomBytes(2000));
  const ran = await portico(['precompress', '.'], { cwd });
  assert.equal(ran.code, 0);
  assert.match(ran.stdout, /noise\.txt: would not be smaller/);
  assert.deepEqual(readdirSync(cwd), ['noise.txt']);
});

test('a sibling that can not be written is told, and the others are made', async (t) => {
  const cwd = directoryOf(t, {});
  writeFileSync(join(cwd, 'a.js'), script);
  writeFileSync(join(cwd, 'b.js'), script);
  mkdirSync(join(cwd, 'a.js.br'));
  const ran = await portico(['precompress', '.'], { cwd });
  assert.equal(ran.code, 1);
  assert.match(ran.stderr, /Skipped a\.js: a\.js\.br is not a file/);
  assert.ok(existsSync(join(cwd, 'b.js.br')));
});

test('wrong usage is told', async (t) => {
  const cwd = directoryOf(t, {});
  const none = await portico(['precompress'], { cwd });
  assert.equal(none.code, 1);
  assert.match(none.stderr, /portico precompress needs a directory/);
  const missing = await portico(['precompress', 'nothing', '--workers', '2'], { cwd });
  assert.equal(missing.code, 1);
  assert.match(missing.stderr, /There is no directory nothing/);
  assert.match(missing.stderr, /Cannot use --workers with portico precompress/);
});

test('on a terminal one line is drawn over, and taken away', () => {
  let drawn = '';
  let lines = '';
  const terminal = { isTTY: true, columns: 60, write: (text: string) => (drawn += text) };
  const progress = startProgress(2, terminal, { write: (text: string) => (lines += text) });
  progress.step('a.js');
  progress.step('b.js');
  progress.end();
  assert.match(drawn, /^\r\x1b\[K█{12}░{12} 1\/2 a\.js.*\r\x1b\[K█{24} 2\/2 b\.js\r\x1b\[K$/s);
  assert.equal(lines, '');
});
