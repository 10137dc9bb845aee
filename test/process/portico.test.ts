// The whole program as a user starts it: arbiter, edge and workers, under load, signals and loss.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { startLoad } from '../helpers/load.ts';
import { type PorticoProcess, repositoryRoot, startPortico } from '../helpers/portico.ts';
import { RawClient } from '../helpers/raw-client.ts';

const app = `${join(repositoryRoot, 'test/fixtures/echo-app.mjs')}:app`;
const request = 'GET /hello HTTP/1.1\r\nHost: test\r\n\r\n';

function start(t: TestContext, ...args: string[]): Promise<PorticoProcess> {
  return startPortico(t, [...args, app]);
}

/** The pid in the newest "Booting edge with pid: 42". */
function edgePid(portico: PorticoProcess): number {
  const all = [...portico.log().matchAll(/Booting edge with pid: (\d+)/g)];
  return Number(all.at(-1)?.[1]);
}

test('a request goes through edge, link and worker to the app and back', async (t) => {
  const portico = await start(t, '--workers', '2', '--access-logfile', '-');
  const answer = await fetch(`${portico.origin}/hello?x=1`, { method: 'POST', body: 'content' });
  assert.equal(answer.status, 200);
  assert.equal(await answer.text(), 'POST /hello?x=1 7');
  assert.match(answer.headers.get('x-request-id') ?? '', /^[0-9a-f]{32}$/);
  await portico.logged(/"POST \/hello\?x=1 HTTP\/1\.1" 200/);
});

test('HUP every 200 ms under load: the app is replaced and no request fails', async (t) => {
  const portico = await start(t, '--workers', '2');
  const load = startLoad({ port: portico.port, clients: 8 });
  await load.until('both workers', () => load.pids.size >= 2);
  const timer = setInterval(() => portico.signal('SIGHUP'), 200);
  t.after(() => clearInterval(timer));
  // Two generations beyond the first; test/chaos goes on for longer.
  await load.until('new workers', () => load.pids.size >= 6, 60_000);
  clearInterval(timer);
  await load.stop();
  assert.deepEqual(load.bad, []);
});

test('workers killed one after another under GET load: no request fails', async (t) => {
  const portico = await start(t, '--workers', '2');
  const load = startLoad({ port: portico.port, clients: 8 });
  await load.until('both workers', () => load.pids.size >= 2);
  const killed = new Set<string>();
  // Each slot twice; test/chaos goes on for longer.
  for (let round = 0; round < 4; round++) {
    const victim = [...load.pids].find((pid) => !killed.has(pid));
    assert.ok(victim);
    killed.add(victim);
    process.kill(Number(victim), 'SIGKILL');
    await load.until('replacement', () => load.pids.size >= killed.size + 2, 60_000);
  }
  await load.stop();
  assert.deepEqual(load.bad, []);
});

test('the edge killed: nobody is refused, and the next edge serves who waits', async (t) => {
  const portico = await start(t, '--workers', '1');
  const first = new RawClient(portico.port);
  assert.equal((await first.send(request).response()).status, 200);
  const former = edgePid(portico);
  process.kill(former, 'SIGKILL');
  await first.ended(); // from here on nobody accepts
  const errors: string[] = [];
  const clients = Array.from({ length: 30 }, () => {
    const client = new RawClient(portico.port);
    client.socket.on('error', (error: NodeJS.ErrnoException) => errors.push(`${error.code}`));
    return client.send(request);
  });
  for (const client of clients) {
    assert.equal((await client.response()).status, 200);
    client.leave();
  }
  assert.deepEqual(errors, []);
  assert.notEqual(edgePid(portico), former);
});

test('a slow upload and a slow download hold no sync worker', async (t) => {
  const portico = await start(t, '--workers', '1', '--worker-class', 'sync');
  const uploader = new RawClient(portico.port);
  uploader.send('POST /up HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nhalf ');
  const reader = new RawClient(portico.port);
  // Within the link's window: the edge has it all, however slowly it is read.
  reader.socket.pause();
  reader.send('GET /large HTTP/1.1\r\nHost: test\r\n\r\n');
  for (let count = 0; count < 3; count++) {
    const client = new RawClient(portico.port);
    assert.equal((await client.send(request).response()).body, 'GET /hello 0');
    client.leave();
  }
  uploader.send('whole');
  assert.equal((await uploader.response()).body, 'POST /up 10');
  uploader.leave();
  reader.socket.resume();
  assert.equal((await reader.response()).body.length, 200_000);
  reader.leave();
});

test('TERM: what is under way is finished, then all leave with 0', async (t) => {
  const portico = await start(t, '--workers', '2');
  const client = new RawClient(portico.port);
  client.send('POST /last HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nhalf ');
  const other = new RawClient(portico.port); // answered after the first was taken on
  assert.equal((await other.send(request).response()).status, 200);
  other.leave();
  portico.signal('SIGTERM');
  await portico.logged(/Handling signal: term/);
  client.send('whole');
  const response = await client.response();
  assert.equal(response.status, 200);
  assert.equal(response.body, 'POST /last 10');
  client.leave();
  assert.equal(await portico.exited, 0);
  assert.doesNotMatch(portico.log(), /did not finish in time/);
  await assert.rejects(fetch(portico.origin));
});

test('TERM to every process at once, as systemd and Docker send it: what is under way is finished', async (t) => {
  const portico = await start(t, '--workers', '2');
  const clients = Array.from({ length: 10 }, () => new RawClient(portico.port));
  for (const client of clients)
    client.send('POST /all HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nhalf ');
  const other = new RawClient(portico.port);
  assert.equal((await other.send(request).response()).status, 200);
  other.leave();
  const children = [...portico.log().matchAll(/Booting \w+ with pid: (\d+)/g)].map(pidOf);
  for (const pid of [...children, portico.pid]) process.kill(pid, 'SIGTERM');
  await portico.logged(/Handling signal: term/);
  for (const client of clients) client.send('whole');
  for (const client of clients) {
    assert.equal((await client.response()).body, 'POST /all 10');
    client.leave();
  }
  assert.equal(await portico.exited, 0);
});

function pidOf(match: RegExpMatchArray): number {
  return Number(match[1]);
}
