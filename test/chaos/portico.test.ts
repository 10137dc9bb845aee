// The promises at full length, minutes where test/process takes seconds: `npm run test:chaos`.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { startLoad } from '../helpers/load.ts';
import { repositoryRoot, startPortico } from '../helpers/portico.ts';

const app = `${join(repositoryRoot, 'test/fixtures/echo-app.mjs')}:app`;

test('HUP every second, 10 times and for 10,000 requests at least: none fails', async (t) => {
  const portico = await startPortico(t, ['--workers', '2', app]);
  const load = startLoad({ port: portico.port, clients: 16 });
  let hups = 0;
  const timer = setInterval(() => {
    portico.signal('SIGHUP');
    hups++;
  }, 1000);
  t.after(() => clearInterval(timer));
  await load.until('10,000 answers and 10 HUPs', () => load.good >= 10_000 && hups >= 10, 120_000);
  clearInterval(timer);
  await load.stop();
  t.diagnostic(`${load.good} answers, ${hups} HUPs, ${load.pids.size} worker processes`);
  assert.deepEqual(load.bad, []);
  assert.ok(load.pids.size > 2, 'no worker was replaced');
});

test('10 workers killed with KILL one after another under GET load: none fails', async (t) => {
  const portico = await startPortico(t, ['--workers', '2', app]);
  const load = startLoad({ port: portico.port, clients: 16 });
  await load.until('both workers', () => load.pids.size >= 2);
  const killed = new Set<string>();
  while (killed.size < 10) {
    const victim = [...load.pids].find((pid) => !killed.has(pid));
    assert.ok(victim);
    killed.add(victim);
    process.kill(Number(victim), 'SIGKILL');
    await load.until('replacement', () => load.pids.size >= killed.size + 2, 60_000);
  }
  await load.stop();
  t.diagnostic(`${load.good} answers, ${killed.size} workers killed`);
  assert.deepEqual(load.bad, []);
});

test('the edge killed 5 times while new clients come: no connection is refused', async (t) => {
  const portico = await startPortico(t, ['--workers', '2', app]);
  const load = startLoad({ port: portico.port, clients: 8, reconnect: true });
  for (let round = 1; round <= 5; round++) {
    const edge = [...portico.log().matchAll(/Booting edge with pid: (\d+)/g)].at(-1)?.[1];
    const before = load.good;
    process.kill(Number(edge), 'SIGKILL');
    await load.until('answers by the next edge', () => load.good >= before + 500, 60_000);
  }
  await load.stop();
  t.diagnostic(`${load.good} answers, ${load.bad.length} connections lost with their edge`);
  // Who was connected to an edge when it was killed loses that connection; nobody is refused.
  assert.deepEqual(
    load.bad.filter((reason) => /ECONNREFUSED/.test(reason)),
    [],
  );
  assert.ok(load.bad.length <= 5 * 8, `${load.bad.length} lost`);
});
