// The access log as a file: shown soon, kept through rotation and exit, and never the end of the program.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { createAccessLog } from '../../src/edge/access-log/access-log.ts';
import type { Log } from '../../src/telemetry/log.ts';
import { settled } from '../helpers/settled.ts';
import { until } from '../helpers/until.ts';

function tempDir(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'portico-'));
  t.after(() => rmSync(dir, { recursive: true }));
  return dir;
}

function collect(into: string[]): Log {
  const line = (message: string): void => {
    into.push(message);
  };
  const levels = { trace: line, debug: line, info: line, warning: line, error: line };
  return { ...levels, critical: line, reopen: () => {} };
}

test('lines show in the file without more traffic, and all of them after flush()', async (t) => {
  const file = join(tempDir(t), 'logs', 'access.log');
  const log = createAccessLog({ accessLogfile: file, accessLogformat: '%(U)s' }, collect([]))!;
  t.after(log.close);
  log.write(settled({ target: '/1' }));
  await until('line', () => readFileSync(file, 'utf8') === '/1\n');
  log.write(settled({ target: '/2' }));
  log.flush();
  assert.equal(readFileSync(file, 'utf8'), '/1\n/2\n');
});

test('the log is off without a file, and a format that is wrong is an error', () => {
  assert.equal(
    createAccessLog({ accessLogfile: null, accessLogformat: 'json' }, collect([])),
    null,
  );
  assert.throws(
    () => createAccessLog({ accessLogfile: '-', accessLogformat: '%(z)s' }, collect([])),
    /no atom/,
  );
});

test('60,000 lines over five rotations: none lost, torn or doubled', async (t) => {
  const dir = tempDir(t);
  const file = join(dir, 'access.log');
  const log = createAccessLog({ accessLogfile: file, accessLogformat: '%(U)s' }, collect([]))!;
  for (let line = 0; line < 60_000; line++) {
    if (line % 10_000 === 5_000) {
      renameSync(file, `${file}.${line}`);
      log.reopen();
    }
    log.write(settled({ target: `/${line}` }));
    if (line % 500 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  log.close();
  const lines = (): string[] =>
    readdirSync(dir).flatMap((name) =>
      readFileSync(join(dir, name), 'utf8').split('\n').slice(0, -1),
    );
  await until('60,000 lines', () => lines().length >= 60_000);
  assert.equal(readdirSync(dir).length, 7);
  const all = new Set(lines());
  assert.equal(lines().length, 60_000);
  for (let line = 0; line < 60_000; line++) assert.ok(all.has(`/${line}`), `line ${line}`);
});

test('a reopen that fails goes on with the old file', async (t) => {
  const dir = tempDir(t);
  const file = join(dir, 'logs', 'access.log');
  const events: string[] = [];
  const log = createAccessLog({ accessLogfile: file, accessLogformat: '%(U)s' }, collect(events))!;
  t.after(log.close);
  const moved = join(dir, 'moved');
  renameSync(join(dir, 'logs'), moved);
  // A file where the directory was.
  createAccessLog(
    { accessLogfile: join(dir, 'logs'), accessLogformat: '%(U)s' },
    collect([]),
  )!.close();
  log.reopen();
  log.write(settled({ target: '/1' }));
  log.flush();
  // A write may be under way, which flush() does not wait for.
  const written = () => readFileSync(join(moved, 'access.log'), 'utf8');
  await until('the line', () => written() === '/1\n');
  assert.deepEqual(events, ['cannot open the access log anew']);
});

const needsFull = existsSync('/dev/full') ? false : 'no /dev/full on this system';

test('a full disk is told once and does not end the program', { skip: needsFull }, async () => {
  const events: string[] = [];
  const log = createAccessLog(
    { accessLogfile: '/dev/full', accessLogformat: 'json' },
    collect(events),
  )!;
  for (let line = 0; line < 100; line++) log.write(settled());
  await until('error', () => events.length > 0);
  for (let line = 0; line < 100; line++) log.write(settled());
  log.flush();
  log.close();
  assert.deepEqual(events, ['cannot write the access log']);
});

/** Runs a program that opens the log and does as `body` says. */
function program(body: string) {
  const url = (path: string): string => JSON.stringify(pathToFileURL(path).href);
  const source = `
    const { createAccessLog } = await import(${url('build/src/edge/access-log/access-log.js')});
    const { settled } = await import(${url('build/test/helpers/settled.js')});
    const say = (message) => process.stderr.write(message + '\\n');
    const log = createAccessLog(
      { accessLogfile: process.argv[1], accessLogformat: '%(U)s' },
      { error: say },
    );
    ${body}`;
  return (file: string) =>
    spawn(process.execPath, ['--input-type=module', '-e', source, file], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
}

test('what waits is written when the program exits', async (t) => {
  const file = join(tempDir(t), 'access.log');
  const child = program("log.write(settled({ target: '/last' })); process.exit(0);")(file);
  const [code] = await once(child, 'close');
  assert.equal(code, 0);
  assert.equal(readFileSync(file, 'utf8'), '/last\n');
});

test('stdout that nobody reads any more does not end the program', async () => {
  const child = program(`
    say('ready');
    setInterval(() => { for (let i = 0; i < 1000; i++) log.write(settled()); }, 5);
    setTimeout(() => { say('alive'); process.exit(0); }, 300);
  `)('-');
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  await once(child.stderr, 'data');
  child.stdout.destroy();
  const [code] = await once(child, 'close');
  assert.equal(code, 0, said);
  assert.match(said, /cannot write the access log\nalive/);
});
