// A worker that hangs is explained before it is killed: where in the app's code its event loop stands.

import assert from 'node:assert/strict';
import { after, describe, type TestContext, test } from 'node:test';
import { directoryOf } from '../helpers/cli.ts';
import { spawnPortico, startPortico, suiteOwner } from '../helpers/portico.ts';

const app = `const { pbkdf2Sync } = require('node:crypto');
function spin() {
  for (;;);
}
function forAWhile() {
  for (const end = Date.now() + 2200; Date.now() < end; );
}
module.exports = (req, res) => {
  if (req.url === '/loop') spin();
  if (req.url === '/regexp') /(a+)+$/.test('a'.repeat(60) + 'b');
  if (req.url === '/native') pbkdf2Sync('a', 'b', 2 ** 31 - 1, 64, 'sha512');
  if (req.url === '/while') forAWhile();
  res.end('done');
};
`;

describe('the log says in which line of the app a worker hangs', () => {
  const suite = suiteOwner();
  after(() => suite.end());
  const cwd = directoryOf(suite, { 'app.js': app, 'loads.js': 'let n = 0;\nfor (;;) n++;\n' });
  const start = (t: TestContext, timeout: string, ...args: string[]) =>
    startPortico(t, ['--timeout', timeout, '--workers', '1', ...args, 'app.js'], { cwd });
  const file = `${cwd}/app.js`.replaceAll('.', '\\.');

  test('an endless loop, and a runaway regular expression', async (t) => {
    const portico = await start(t, '3s');
    const stuck = 'WARNING\\] arbiter: worker 1 \\(pid \\d+\\) has been stuck for [\\d.]+ s:\\n';
    for (const [path, frames] of [
      [
        '/loop',
        `    at spin \\(${file}:3:\\d+\\)\\n    at module\\.exports \\(${file}:9:\\d+\\)\\n`,
      ],
      ['/regexp', `    at module\\.exports \\(${file}:10:\\d+\\)\\n`],
    ] as const) {
      const from = portico.log().length;
      // Not a request that would be tried again with the next worker.
      const gone = fetch(portico.origin + path, { method: 'POST' });
      await portico.logged(new RegExp(stuck + frames));
      await portico.logged(/worker 1 .* killing it .*stuckIn="\w[\w.]* \(.*app\.js:\d+:\d+\)"/, {
        from,
      });
      assert.equal((await gone).status, 502);
    }
  });

  test('a native call has no stack, and that is said', async (t) => {
    const portico = await start(t, '3s');
    const gone = fetch(`${portico.origin}/native`).catch(() => null);
    await portico.logged(/worker 1 .* has been stuck .* in native code, of which no stack can be/);
    await portico.logged(/killing it .*stuckIn="native code"/);
    portico.signal('SIGINT');
    await gone;
  });

  test('what hangs for a while goes on as if nothing had been asked', async (t) => {
    const portico = await start(t, '3s');
    const answer = await fetch(`${portico.origin}/while`);
    assert.equal(await answer.text(), 'done');
    await portico.logged(/has been stuck for .*:\n {4}at forAWhile \(.*app\.js:6:\d+\)/);
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
