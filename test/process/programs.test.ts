// Worker class command: any program that serves HTTP, in a worker's place. And class http: a Node app over
// plain HTTP, through the whole way.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { startLoad } from '../helpers/load.ts';
import {
  type PorticoProcess,
  repositoryRoot,
  spawnPortico,
  startPortico,
} from '../helpers/portico.ts';
import { until } from '../helpers/until.ts';
import { openWebSocket } from '../helpers/websockets.ts';

const program = join(repositoryRoot, 'test/fixtures/apps/programs/serve.mjs');
const command = (...words: string[]): string[] => ['-k', 'command', '-w', '1', '--', ...words];

async function ask(origin: string): Promise<Record<string, unknown>> {
  return (await (await fetch(origin)).json()) as Record<string, unknown>;
}

/** A WebSocket to the program, which has seen who asks. */
async function chat({ port }: PorticoProcess) {
  const headers = { 'X-Forwarded-For': '203.0.113.7', 'X-Forwarded-Proto': 'https' };
  const opened = await openWebSocket(`ws://127.0.0.1:${port}/chat?room=1`, { headers });
  const { socket, messages } = opened;
  const seen = JSON.parse(String(await messages.next()));
  assert.equal(seen.url, '/chat?room=1');
  assert.equal(seen.headers['x-forwarded-for'], '203.0.113.7, 127.0.0.1');
  assert.equal(seen.headers['x-forwarded-proto'], 'https');
  assert.equal(seen.headers.host, `127.0.0.1:${port}`);
  socket.send('hello');
  assert.equal(String(await messages.next()), 'got hello');
  return { ...opened, pid: seen.pid as number };
}

function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
}

test('a program is given a socket, and its lines the name of its slot', async (t) => {
  const portico = await startPortico(t, command(process.execPath, program, '{socket}'));
  const { pid, ...seen } = await ask(portico.origin);
  assert.deepEqual(seen, { PORTICO_SLOT: '1' });
  const { socket } = await chat(portico);
  socket.terminate();
  await portico.logged(/^worker 1: one line$/m);
  await portico.logged(/^worker 1: another line, with "quotes"$/m);
  portico.signal('SIGTERM');
  assert.equal(await portico.exited, 0);
  assert.match(portico.log(), /^worker 1: and its last one has no end$/m);
  assert.ok(isGone(pid as number));
});

test('reloads under load give each program another port, and no request fails', async (t) => {
  const portico = await startPortico(t, command(process.execPath, program, '{port}'));
  const seen = await ask(portico.origin);
  assert.match(String(seen.PORT), /^\d+$/);
  assert.equal(seen.HOST, '127.0.0.1');
  const load = startLoad({ port: portico.port, clients: 4 });
  await load.until('the first', () => load.pids.size >= 1);
  for (const generation of [2, 3]) {
    portico.signal('SIGHUP');
    await portico.logged(new RegExp(`generation ${generation} serves`));
  }
  await load.until('the others', () => load.pids.size >= 3);
  await load.stop();
  assert.deepEqual(load.bad, []);
});

test('WebSockets reach a program on $PORT, and are told to leave at a reload', async (t) => {
  const portico = await startPortico(t, [
    ...['--upgrade-grace', '0'],
    ...command(process.execPath, program),
  ]);
  const first = await chat(portico);
  portico.signal('SIGHUP');
  assert.equal((await first.closed)[0], 1001);
  const second = await chat(portico);
  assert.notEqual(second.pid, first.pid);
  second.socket.terminate();
});

test('a program that is not there, or ends at once, ends the start with code 3 and the reason', async (t) => {
  const lost = spawnPortico(t, ['-b', '127.0.0.1:0', ...command('no-such-program', '{socket}')]);
  assert.equal(await lost.exited, 3);
  assert.match(lost.log(), /failed to boot: There is no program no-such-program/);
  const barred = spawnPortico(t, ['-b', '127.0.0.1:0', ...command('/etc', '{socket}')]);
  assert.equal(await barred.exited, 3);
  assert.match(barred.log(), /failed to boot: There is no program \/etc that may be run/);
  const script = 'console.error("no luck today"); process.exit(9)';
  const ended = spawnPortico(t, [
    '-b',
    '127.0.0.1:0',
    ...command(process.execPath, '-e', script, '{socket}'),
  ]);
  assert.equal(await ended.exited, 3);
  assert.match(ended.log(), /ended before it served: exit code 9\nno luck today/);
});

test('a program that never listens can be stopped, and nothing is left of it', async (t) => {
  const script = 'console.log("pid", process.pid); setInterval(() => {}, 1000)';
  const portico = spawnPortico(t, [
    '-b',
    '127.0.0.1:0',
    ...command(process.execPath, '-e', script, '{socket}'),
  ]);
  const [, pid] = await portico.logged(/^worker 1: pid (\d+)$/m);
  portico.signal('SIGTERM');
  assert.equal(await portico.exited, 0);
  assert.ok(isGone(Number(pid)));
});

test('one whose socket takes no connection any more is replaced after the timeout', async (t) => {
  const script = `
    const server = require('node:http').createServer((_, response) => response.end(String(process.pid)));
    server.listen(process.argv[1]);
    setInterval(() => {}, 1000);
    process.on('SIGUSR1', () => server.close());`;
  const portico = await startPortico(t, [
    '--timeout',
    '1s',
    ...command(process.execPath, '-e', script, '{socket}'),
  ]);
  const first = await (await fetch(portico.origin, { headers: { Connection: 'close' } })).text();
  process.kill(Number(first), 'SIGUSR1');
  await portico.logged(/did not answer for .*: killing it/);
  assert.notEqual(await (await fetch(portico.origin)).text(), first);
});

test('programs do not outlive an arbiter that was killed', async (t) => {
  const portico = await startPortico(t, command(process.execPath, program, '{socket}'));
  const { pid } = await ask(portico.origin);
  portico.signal('SIGKILL');
  await portico.exited;
  await until('the end of the program', () => isGone(pid as number));
});

test('what the settings of a program contradict is said', async (t) => {
  const said = async (...args: string[]): Promise<string> => {
    const portico = spawnPortico(t, args);
    assert.equal(await portico.exited, 1);
    return portico.log();
  };
  assert.match(await said('-k', 'command'), /workerClass command \(from -k\) without a command/);
  assert.match(
    await said('-k', 'command', 'app.js', '--', 'x'),
    /Cannot use an app .* with a command/,
  );
  assert.match(
    await said('-k', 'asgi', '--threads', '2', 'a:b'),
    /threads 2 \(from --threads\) with workerClass asgi/,
  );
});

test('class http: a Node app over plain HTTP, replaced under load', async (t) => {
  const app = join(repositoryRoot, 'test/fixtures/echo-app.mjs');
  const portico = await startPortico(t, ['-k', 'http', '-w', '2', `${app}:app`]);
  const answer = await fetch(`${portico.origin}/hello?x=1`, { method: 'POST', body: 'content' });
  assert.equal(await answer.text(), 'POST /hello?x=1 7');
  const load = startLoad({ port: portico.port, clients: 8 });
  await load.until('both workers', () => load.pids.size >= 2);
  portico.signal('SIGHUP');
  await load.until('new workers', () => load.pids.size >= 4);
  const [victim] = [...load.pids].slice(-1);
  process.kill(Number(victim), 'SIGKILL');
  await load.until('a replacement', () => load.pids.size >= 5);
  await load.stop();
  assert.deepEqual(load.bad, []);
});
