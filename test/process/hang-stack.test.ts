// A worker that hangs is explained before it is killed: where in the app's code its event loop stands.

import assert from 'node:assert/strict';
import { after, describe, type TestContext, test } from 'node:test';
import { directoryOf } from '../helpers/cli.ts';
import { spawnPortico, startPortico, suiteOwner } from '../helpers/portico.ts';

const app = `const { pbkdf2Sync } = require('node:crypto');
function spin() {
  for (;;);
}
function forASecond() {
  for (const end = Date.now() + 3200; Date.now() < end; );
}
module.exports = (req, res) => {
  if (req.url === '/loop') spin();
  if (req.url === '/regexp') /(a+)+$/.test('a'.repeat(60) + 'b');
  if (req.url === '/native') pbkdf2Sync('a', 'b', 2 ** 31 - 1, 64, 'sha512');
  if (req.url === '/while') forASecond();
  res.end('done');
};
`;

// Two at a time: they wait for time-outs, and a loop takes a CPU meanwhile.
describe('the log says in which line of the app a worker hangs', { concurrency: 2 }, () => {
  const suite = suiteOwner();
  after(() => suite.end());
  const cwd = directoryOf(suite, { 'app.js': app, 'loads.js': 'let n = 0;\nfor (;;) n++;\n' });
  const start = (t: TestContext, timeout: string, ...args: string[]) =>
    startPortico(t, ['--timeout', timeout, '--workers', '1', ...args, 'app.js'], { cwd });
  const file = `${cwd}/app.js`.replaceAll('.', '\\.');

  test('an endless loop, and a runaway regular expression', async (t) => {
    const portico = await start(t, '3s', '--workers', '2');
    const gone = ['/loop', '/regexp'].map((path) => fetch(portico.origin + path).catch(() => null));
    const stuck = 'WARNING\\] arbiter: worker \\d \\(pid \\d+\\) has been stuck for [\\d.]+ s:\\n';
    for (const frames of [
      `    at spin \\(${file}:3:\\d+\\)\\n    at module\\.exports \\(${file}:9:\\d+\\)\\n`,
      `    at module\\.exports \\(${file}:10:\\d+\\)\\n`,
    ])
      await portico.logged(new RegExp(stuck + frames));
    for (const frame of ['spin', 'module\\.exports'])
      await portico.logged(
        new RegExp(`worker \\d .* killing it .*stuckIn="${frame} \\(${file}:\\d+:\\d+\\)"`),
      );
    portico.signal('SIGINT');
    await Promise.all(gone);
  });

  test('a native call has no stack, and that is said', async (t) => {
    const portico = await start(t, '5s');
    const gone = fetch(`${portico.origin}/native`).catch(() => null);
    await portico.logged(/worker 1 .* has been stuck .* in native code, of which no stack can be/);
    await portico.logged(/killing it .*stuckIn="native code"/);
    portico.signal('SIGINT');
    await gone;
  });

  test('what hangs for a while goes on as if nothing had been asked', async (t) => {
    const portico = await start(t, '4s');
    const answer = await fetch(`${portico.origin}/while`);
    assert.equal(await answer.text(), 'done');
    await portico.logged(/has been stuck for .*:\n {4}at forASecond \(.*app\.js:6:\d+\)/);
    assert.equal(await (await fetch(portico.origin)).text(), 'done');
    assert.doesNotMatch(portico.log(), /killing it/);
  });

  test('an app that hangs while it loads', async (t) => {
    const args = ['--bind', '127.0.0.1:0', '-w', '1', '--timeout', '5s', 'loads.js'];
    const portico = spawnPortico(t, args, { cwd });
    await portico.logged(/worker 1 .* has been stuck for .*:\n {4}at \S*loads\.js:2:\d+\n/);
    portico.signal('SIGINT');
  });

  test('--no-hang-stack does without', async (t) => {
    const portico = await start(t, '1s', '--no-hang-stack');
    const gone = fetch(`${portico.origin}/loop`).catch(() => null);
    await portico.logged(/worker 1 .* killing it \(lastHeartbeat=\{[^}]*\}\)/);
    assert.doesNotMatch(portico.log(), /stuck/);
    portico.signal('SIGINT');
    await gone;
  });
});
