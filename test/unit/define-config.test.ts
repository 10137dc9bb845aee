// The type of a config file takes what the settings take, and nothing else.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defineConfig } from '../../src/index.ts';

test('defineConfig gives back what it is given, and types it', async () => {
  const object = defineConfig({
    app: 'app.js:app',
    bind: ['0.0.0.0:8000', 'unix:app.sock'],
    workers: 'auto',
    timeout: '30s',
    keepAlive: 5,
    umask: 0o022,
    pid: undefined,
    accessLogfile: null,
    static: { '/static': 'public' },
    env: { PORT: 1, DEBUG: true },
  });
  assert.equal(object.workers, 'auto');
  const later = defineConfig(async () => ({ workers: 3 }));
  assert.deepEqual(await later(), { workers: 3 });

  // @ts-expect-error: no such setting
  defineConfig({ wrokers: 3 });
  // @ts-expect-error: not a number of workers
  defineConfig({ workers: 'many' });
  // @ts-expect-error: not a number of workers
  defineConfig(() => ({ workers: 'many' }));
});
