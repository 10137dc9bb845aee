// The settings table is whole: every field of Config comes from a row, and every row goes into it.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { helpText } from '../../src/cli/help.ts';
import { foreignFlags, formerKeys } from '../../src/config/gunicorn.ts';
import { Unfit } from '../../src/config/kinds.ts';
import { deepFreeze, resolveConfig } from '../../src/config/resolve.ts';
import { settings, settingsByKey } from '../../src/config/settings.ts';

/** Fields of the interface in config.ts, as its text has them. */
function fieldsOfConfig(): string[] {
  const source = readFileSync('src/config/config.ts', 'utf8');
  const body = /export interface Config \{([\s\S]*?)^\}/m.exec(source)![1]!;
  return [...body.matchAll(/^ {2}readonly (\w+):/gm)].map((match) => match[1]!);
}

test('every field of Config comes from one row, and every row but `config` is in Config', () => {
  const made = settings.flatMap(({ fields }) => fields);
  assert.deepEqual([...made].sort(), fieldsOfConfig().sort());
  const { config } = resolveConfig([], { cwd: '/srv', file: null, cpus: 2 });
  assert.deepEqual(Object.keys(config).sort(), fieldsOfConfig().sort());
  assert.deepEqual(
    settings.filter(({ fields }) => fields.length === 0).map(({ key }) => key),
    ['config'],
  );
});

test('keys, flags and environment names are used once', () => {
  for (const names of [
    settings.map(({ key }) => key),
    settings.flatMap(({ flags, short }) => [...flags, ...(short === '' ? [] : [short])]),
    settings.flatMap(({ env, alsoEnv }) => [env, ...(alsoEnv ? [alsoEnv.name] : [])]),
  ])
    assert.deepEqual(names, [...new Set(names)]);
  const flags = new Set(settings.flatMap((row) => [...row.flags, row.short]));
  assert.deepEqual(
    [...foreignFlags.keys()].filter((flag) => flags.has(flag)),
    [],
  );
  assert.deepEqual(
    Object.values(formerKeys).filter((key) => !settingsByKey.has(key)),
    [],
  );
});

test('each default is a value its kind reads back from how it is shown', () => {
  for (const { key, kind, default: value } of settings) {
    const shown = kind.show(value);
    if (
      value === null ||
      (Array.isArray(value) && value.length === 0) ||
      key === 'env' ||
      key === 'errorPages'
    )
      continue;
    const read = kind.read(shown);
    assert.ok(!(read instanceof Unfit), `${key}: ${shown}`);
    assert.deepEqual(read, value, key);
  }
});

test('the defaults are Gunicorn’s where it has them', () => {
  const { config } = resolveConfig([], { cwd: '/srv', file: null, cpus: 2 });
  const gunicorn = {
    timeoutMs: 30_000,
    gracefulTimeoutMs: 30_000,
    keepAliveMs: 2000,
    limitRequestLineBytes: 4094,
    limitRequestFields: 100,
    limitRequestFieldSizeBytes: 8190,
    workerConnections: 1000,
    maxRequests: 0,
    backlog: 2048,
    forwardedAllowIps: ['127.0.0.1', '::1'],
    logLevel: 'info',
    errorLogfile: '-',
    accessLogfile: null,
    umask: 0,
    bind: [{ kind: 'tcp', host: '127.0.0.1', port: 8000, tls: false }],
  };
  assert.deepEqual({ ...config, ...gunicorn }, config);
});

test('auto workers: one a CPU, for sync twice that and one, for threads a thread a CPU', () => {
  const workers = (given: Record<string, unknown>, cpus: number) => {
    const assignments = Object.entries(given).map(([key, raw]) => ({
      key,
      raw,
      origin: { from: 'file', label: 'test' } as const,
    }));
    const { workers, workerClass, workerConnections } = resolveConfig(assignments, {
      cwd: '/',
      file: null,
      cpus,
    }).config;
    return [workers, workerClass, workerConnections];
  };
  assert.deepEqual(workers({}, 4), [4, 'async', 1000]);
  assert.deepEqual(workers({ workerClass: 'sync' }, 4), [9, 'sync', 1]);
  assert.deepEqual(workers({ threads: 4 }, 8), [2, 'threads', 1000]);
  assert.deepEqual(workers({ threads: 3, workerClass: 'sync' }, 4), [2, 'threads', 1000]);
  assert.deepEqual(workers({ workerClass: 'threads' }, 4), [4, 'threads', 1000]);
  assert.deepEqual(workers({ workers: 3, workerClass: 'sync' }, 4), [3, 'sync', 1]);
});

test('help has a line for each setting and stays within 100 columns', () => {
  const help = helpText('run');
  for (const { flags, short } of settings) {
    if (flags.length === 0) continue;
    const flag = flags[0]!.slice(2);
    assert.match(help, new RegExp(`^  (${short || '  '})[ ,] --(\\[no-\\])?${flag}\\b`, 'm'));
  }
  assert.deepEqual(
    help.split('\n').filter((line) => line.length > 100),
    [],
  );
});

test('a frozen config is frozen through and through', () => {
  const { config } = resolveConfig([], { cwd: '/srv', file: null, cpus: 2 });
  deepFreeze(config);
  assert.throws(() => Object.assign(config, { workers: 1 }), TypeError);
  assert.throws(() => Object.assign(config.bind[0]!, { port: 1 }), TypeError);
  assert.throws(() => Object.assign(config.env, { A: '1' }), TypeError);
});
