// The command line and the environment are read by the settings table.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearest } from '../../src/config/did-you-mean.ts';
import { readEnvironment } from '../../src/config/environment.ts';
import { parseFlags } from '../../src/config/flags.ts';
import { settings } from '../../src/config/settings.ts';
import { shellWords } from '../../src/config/shell-words.ts';

const actions = [{ name: 'help', flags: ['--help', '-h'] }];
const parse = (...argv: string[]) => parseFlags(argv, { settings, actions });
const values = (...argv: string[]) =>
  Object.fromEntries(parse(...argv).assignments.map(({ key, raw }) => [key, raw]));

test('a value follows its flag, or is attached to it', () => {
  for (const argv of [['--workers', '4'], ['--workers=4'], ['-w', '4'], ['-w4'], ['-w=4']])
    assert.deepEqual(values(...argv), { workers: '4' }, argv.join(' '));
  assert.deepEqual(values('--access-logfile', '-'), { accessLogfile: '-' });
  assert.deepEqual(values('--workers', '-5'), { workers: '-5' });
  assert.deepEqual(values('--pid='), { pid: '' });
});

test('the last of a flag counts, a repeatable one adds', () => {
  assert.deepEqual(values('-w', '1', '-w', '2'), { workers: '2' });
  assert.deepEqual(values('-b', ':1', '--bind=:2', '-e', 'A=1', '--static', '/s=d'), {
    bind: [':1', ':2'],
    env: ['A=1'],
    static: ['/s=d'],
  });
});

test('a switch takes no value, and has a --no- form', () => {
  assert.deepEqual(values('--preload', '--no-reload', 'app.js'), { preload: true, reload: false });
  assert.deepEqual(values('--preload=no'), { preload: 'no' });
  assert.match(parse('--no-reload=1').problems[0]!, /--no-reload takes no value/);
});

test('arguments may stand anywhere, and "--" ends the flags', () => {
  assert.deepEqual(parse('-w', '1', 'app.js', '--preload').rest, ['app.js']);
  assert.deepEqual(parse('--', '-w', 'x').rest, ['-w', 'x']);
  assert.deepEqual([...parse('status', '-h').actions], ['help']);
});

test('each problem is named, with what was probably meant', () => {
  assert.deepEqual(
    parse('--worker', '3', '--graceful_timeout=3', '--timeout', '--xyzzy', '-Z', '--pid').problems,
    [
      'Unknown flag --worker: did you mean --workers?',
      'Unknown flag --graceful_timeout: did you mean --graceful-timeout?',
      '--timeout needs a value: expected a duration such as 30, 30s or 500ms',
      'Unknown flag --xyzzy: see portico --help',
      'Unknown flag -Z: see portico --help',
      '--pid needs a value: expected the path of a file',
    ],
  );
});

test("Gunicorn's spellings work, and what means nothing here is said to", () => {
  assert.deepEqual(values('--log-file', 'x', '--limit-request-field_size', '9k'), {
    errorLogfile: 'x',
    limitRequestFieldSize: '9k',
  });
  const { problems, rest } = parse('--worker-tmp-dir', '/dev/shm', '-R', '-D', 'app.js');
  assert.deepEqual(rest, ['app.js']);
  assert.deepEqual(problems, [
    'Cannot use --worker-tmp-dir: it has no meaning in Portico; heartbeats need no files',
    'Cannot use -R: it has no meaning in Portico; the standard input and output of the workers are always inherited',
    'Cannot use -D: it has no meaning in Portico; it stays in the foreground: let systemd or a container keep it running',
  ]);
});

test('the environment has a name for each setting, and PORT and WEB_CONCURRENCY', () => {
  const read = (env: Record<string, string>) =>
    readEnvironment(env, settings).assignments.map(({ key, raw, origin }) => [
      key,
      raw,
      origin.label,
    ]);
  assert.deepEqual(read({ PORTICO_WORKER_CLASS: 'sync', PORT: '80', WEB_CONCURRENCY: '3' }), [
    ['bind', '0.0.0.0:80', 'PORT'],
    ['workers', '3', 'WEB_CONCURRENCY'],
    ['workerClass', 'sync', 'PORTICO_WORKER_CLASS'],
  ]);
  assert.deepEqual(read({ PORTICO_BIND: ':1', PORT: '80' }), [['bind', ':1', 'PORTICO_BIND']]);
  assert.deepEqual(read({ PORTICO_BIND: '', PORT: '', WEB_CONCURRENCY: '', HOME: '/x' }), []);
});

test('an unknown PORTICO_ name is a problem, unless someone else has a right to it', () => {
  const problems = (...names: string[]) =>
    readEnvironment(Object.fromEntries(names.map((name) => [name, 'x'])), settings).problems;
  assert.deepEqual(problems('PORTICO_WORKER', 'PORTICO_QUUX'), [
    'Unknown environment variable PORTICO_WORKER: did you mean PORTICO_WORKERS?',
    'Unknown environment variable PORTICO_QUUX: see portico --help',
  ]);
  const kubernetes = ['SERVICE_HOST', 'SERVICE_PORT', 'SERVICE_PORT_HTTP', 'PORT', 'PORT_8000_TCP'];
  assert.deepEqual(
    problems(
      ...kubernetes.map((name) => `PORTICO_${name}`),
      ...['PORTICO_PORT_8000_TCP_ADDR', 'PORTICO_ROLE', 'PORTICO_CMD_ARGS', 'PORTICO_TEST_X'],
    ),
    [],
  );
});

test('PORTICO_CMD_ARGS is split as a shell does, and nothing in it is expanded', () => {
  assert.deepEqual(shellWords(''), { words: [], unclosedAt: null });
  const { words } = shellWords(`  -w 4 --x='a "b" \\' "c 'd' \\" \\$ \\e" a\\ b ''e '' $HOME *`);
  assert.deepEqual(words, [
    ...['-w', '4', `--x=a "b" \\`, `c 'd' " $ \\e`, 'a b', 'e', '', '$HOME', '*'],
  ]);
  assert.deepEqual(shellWords(`a 'b c`), { words: ['a'], unclosedAt: 2 });
  assert.deepEqual(shellWords(`a x"b`), { words: ['a'], unclosedAt: 3 });
});

test('the nearest name is found, and only when it is near', () => {
  const names = ['workers', 'workerClass', 'gracefulTimeout', 'pid'];
  assert.equal(nearest('wrokers', names), 'workers');
  assert.equal(nearest('graceful_timeout', names), 'gracefulTimeout');
  assert.equal(nearest('workerclas', names), 'workerClass');
  assert.equal(nearest('foo', names), null);
  assert.equal(nearest('x'.repeat(100_000), names), null);
});
