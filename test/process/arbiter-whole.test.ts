// The arbiter over the real edge and real workers: what only they can show.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { askArbiter } from '../../src/arbiter/control/client.ts';
import { isGone, tempDir } from '../helpers/arbiter.ts';
import { spawnPortico, startPortico } from '../helpers/portico.ts';
import { until } from '../helpers/until.ts';

const good = "export default (req, res) => res.end('good ' + process.pid);\n";

test('a reload with a broken app fails with the reason, and the old one serves', async (t) => {
  const app = join(tempDir(t), 'app.mjs');
  writeFileSync(app, good);
  const portico = await startPortico(t, ['--workers', '2', app]);
  const before = await (await fetch(portico.origin)).text();
  assert.match(before, /^good \d+$/);
  writeFileSync(app, 'this is no program');
  const failed = await askArbiter(portico.runtimeDir, { command: 'reload' });
  assert.ok(!failed.ok);
  assert.match(failed.problems.join('\n'), /failed to boot:[\s\S]*SyntaxError/);
  assert.match(await (await fetch(portico.origin)).text(), /^good \d+$/);
  writeFileSync(app, good.replace('good', 'better'));
  assert.ok((await askArbiter(portico.runtimeDir, { command: 'reload' })).ok);
  assert.match(await (await fetch(portico.origin)).text(), /^better \d+$/);
});

test('edge and workers leave when the arbiter is killed', async (t) => {
  const app = join(tempDir(t), 'app.mjs');
  writeFileSync(app, good);
  const portico = await startPortico(t, ['--workers', '2', app]);
  const pids = [...portico.log().matchAll(/with pid: (\d+)/g)].map(([, pid]) => Number(pid));
  assert.equal(pids.length, 3);
  process.kill(portico.pid, 'SIGKILL');
  assert.equal(await portico.exited, 'SIGKILL');
  await until('the children to leave', () => (pids.every(isGone) ? true : null));
});

test('a worker in an endless loop is killed after the timeout, and requests go on', async (t) => {
  const app = join(tempDir(t), 'app.mjs');
  writeFileSync(
    app,
    "export default (req, res) => { if (req.url === '/hang') for (;;); res.end('fine'); };\n",
  );
  const portico = await startPortico(t, ['--workers', '2', '--timeout', '2', app]);
  const hung = fetch(`${portico.origin}/hang`, { method: 'POST' });
  assert.equal(await (await fetch(portico.origin)).text(), 'fine');
  await portico.logged(/worker \d \(pid \d+\) did not answer for [\d.]+ s: killing it/);
  assert.equal((await hung).status, 502);
  assert.equal(await (await fetch(portico.origin)).text(), 'fine');
});

test('an app that cannot be loaded ends the start with 4 and says why', async (t) => {
  const app = join(tempDir(t), 'app.mjs');
  writeFileSync(app, "import 'no-such-package';\n");
  const portico = spawnPortico(t, ['--bind', '127.0.0.1:0', app]);
  assert.equal(await portico.exited, 4);
  assert.match(portico.log(), /failed to boot:[\s\S]*no-such-package/);
});

test('what an app writes to process.send or its channel does not reach the arbiter', async (t) => {
  const app = join(tempDir(t), 'app.mjs');
  writeFileSync(
    app,
    `import { writeSync } from 'node:fs';
     process.send?.({ cmd: 'NODE_HANDLE_ACK' });
     writeSync(3, 'junk\\n{"cmd":"NODE_HANDLE_ACK"}\\n');
     export default (req, res) => res.end(typeof process.send);\n`,
  );
  const portico = await startPortico(t, ['--workers', '1', app]);
  assert.equal(await (await fetch(portico.origin)).text(), 'undefined');
  await portico.logged(/worker 1 \(pid \d+\) said .* on its channel: ignored/);
});
