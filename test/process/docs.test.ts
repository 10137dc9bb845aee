// What is generated is current.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { repositoryRoot } from '../helpers/portico.ts';

test('docs/configuration.md, docs/errors.md and the type of a config file are what the tables say', () => {
  const { status, stderr } = spawnSync(process.execPath, ['scripts/docs.mjs', '--check'], {
    cwd: repositoryRoot,
    encoding: 'utf8',
  });
  assert.equal(status, 0, stderr);
});
