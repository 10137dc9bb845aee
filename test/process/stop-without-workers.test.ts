// A stop while the only worker waits for another try: nobody is left to wait for.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { directoryOf } from '../helpers/cli.ts';
import { startPortico } from '../helpers/portico.ts';

const app = `
const { existsSync, writeFileSync } = require('node:fs');
if (existsSync('broken')) throw new Error('broken');
module.exports = (req, res) => {
  writeFileSync('broken', '');
  process.exit(1);
};
`;

test('requests that wait for a worker are answered with 503 as soon as a stop begins', async (t) => {
  const cwd = directoryOf(t, { 'app.js': app });
  const args = ['--workers', '1', '--graceful-timeout', '600', '--queue-timeout', '600'];
  const portico = await startPortico(t, [...args, '--access-logfile', '-', 'app.js'], { cwd });
  // Given to a worker twice at most: it ends the first one, and there never is a second.
  const waiting = fetch(`${portico.origin}/`);
  await portico.logged(/failed to boot 3 times in a row; next try/);
  portico.signal('SIGTERM');
  const answer = await waiting;
  assert.equal(answer.status, 503);
  assert.match(await answer.text(), /SHUTTING_DOWN/);
  assert.equal(await portico.exited, 0);
});
