// `portico health` said to real instances: ready, not yet, stopping, and asked over each kind of bind.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { portico as command } from '../helpers/cli.ts';
import { repositoryRoot, startPortico } from '../helpers/portico.ts';

const app = `${join(repositoryRoot, 'test/fixtures/cached-app.mjs')}:app`;

async function health(runtimeDir: string) {
  const env = { PORTICO_RUNTIME_DIR: runtimeDir };
  const { code, stdout, stderr } = await command(['health'], { cwd: '/', env });
  return { code, text: stdout + stderr };
}

async function healthWith(t: TestContext, ...args: string[]) {
  const { runtimeDir } = await startPortico(t, [...args, app]);
  return health(runtimeDir);
}

test('an instance that serves is ready, and one that is gone is not', async (t) => {
  const running = await startPortico(t, ['--workers', '2', app]);
  const { code, text } = await health(running.runtimeDir);
  assert.equal(code, 0, text);
  assert.equal(text, `portico: ready: ${running.origin}, 2 of 2 workers\n`);
  await command(['stop'], { cwd: '/', env: { PORTICO_RUNTIME_DIR: running.runtimeDir } });
  const gone = await health(running.runtimeDir);
  assert.equal(gone.code, 1);
  assert.match(gone.text, /no instance runs there/);
});

test('with fewer workers than wanted it is not ready, and says so', async (t) => {
  const { code, text } = await healthWith(t, '--workers', '1', '--ready-workers', '2');
  assert.equal(code, 1);
  assert.equal(text, 'portico: not ready: 1 of 2 workers\n');
});

test('where the endpoints are the app’s it goes by the workers', async (t) => {
  const { code, text } = await healthWith(t, '--workers', '1', '--no-health-endpoints');
  assert.equal(code, 0);
  assert.match(
    text,
    /^portico: ready, by its workers alone, .* is answered by the app: 1 of 1 workers\n$/,
  );
});
