// WebSockets through the whole program, to an Express app with ws on a server of its own.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { WebSocket } from 'ws';
import { type PorticoProcess, spawnPortico, startPortico, suiteOwner } from '../helpers/portico.ts';
import { RawClient } from '../helpers/raw-client.ts';
import { until } from '../helpers/until.ts';
import {
  edgeStatus,
  Messages,
  openUpgrades,
  openWebSocket,
  upgradeHead,
} from '../helpers/websockets.ts';

const app = 'test/fixtures/apps/upgrade/ws.cjs';
const suite = suiteOwner();
let portico: PorticoProcess;

before(async () => {
  const format = '"%(r)s" %(s)s %(b)s %({request-bytes}x)s %(L)s';
  const log = ['--access-logfile', '-', '--access-logformat', format];
  portico = await startPortico(suite, [app, '--workers', '1', ...log]);
});
after(() => suite.end());

const open = (path: string, options = {}) =>
  openWebSocket(`ws://127.0.0.1:${portico.port}${path}`, options);

test('text and binary messages are echoed', async () => {
  const { socket, messages, closed } = await open('/echo');
  socket.send('hello');
  assert.equal((await messages.next()).toString(), 'hello');
  socket.send(Buffer.from([0, 1, 255]));
  assert.deepEqual(await messages.next(), Buffer.from([0, 1, 255]));
  socket.close(1000);
  assert.equal((await closed)[0], 1000);
});

test('fragments, pings and messages of 16 MB pass', async () => {
  const { socket, messages } = await open('/echo', { perMessageDeflate: false });
  socket.send('one ', { fin: false });
  socket.send('two', { fin: true });
  assert.equal((await messages.next()).toString(), 'one two');
  socket.ping('are you there');
  const [pong] = await once(socket, 'pong');
  assert.equal(pong.toString(), 'are you there');
  const large = Buffer.alloc(16 * 1024 * 1024, 'portico ');
  socket.send(large);
  assert.ok(large.equals(await messages.next()));
  socket.terminate();
});

test('a subprotocol and permessage-deflate are agreed on', async () => {
  const protocols = ['chat.v1', 'chat.v2'];
  const { socket, messages } = await open('/echo', { protocols });
  assert.equal(socket.protocol, 'chat.v2');
  assert.match(socket.extensions, /permessage-deflate/);
  const text = 'again and '.repeat(10_000);
  socket.send(text);
  assert.equal((await messages.next()).toString(), text);
  socket.close();
});

test('the app sees who asks, and the client every field of the answer', async () => {
  const socket = new WebSocket(`ws://127.0.0.1:${portico.port}/info//a?b=%20`, {
    headers: {
      'X-Forwarded-For': '203.0.113.7',
      'X-Forwarded-Proto': 'https',
      Cookie: 'session=1',
      'X-Client': 'kept',
    },
  });
  const messages = new Messages(socket);
  const upgraded = once(socket, 'upgrade');
  const info = JSON.parse((await messages.next()).toString());
  assert.equal(info.url, '/info//a?b=%20');
  assert.equal(info.remoteAddress, '203.0.113.7');
  assert.equal(info.encrypted, true);
  assert.equal(info.headers['x-forwarded-for'], '203.0.113.7, 127.0.0.1');
  assert.equal(info.headers['x-real-ip'], '203.0.113.7');
  assert.equal(info.headers['x-forwarded-proto'], 'https');
  assert.equal(info.headers.cookie, 'session=1');
  assert.equal(info.headers['x-client'], 'kept');
  assert.equal(info.headers.host, `127.0.0.1:${portico.port}`);
  const [answer] = await upgraded;
  assert.deepEqual(answer.headers['set-cookie'], ['a=1', 'b=\xc3\xa9']);
  assert.equal(answer.headers['x-request-id'], info.headers['x-request-id']);
  socket.close();
});

test('the app may close with a code of its own', async () => {
  const { closed } = await open('/bye');
  assert.deepEqual(await closed, [4001, 'bye']);
});

test('a client that vanishes is noticed by the app', async () => {
  const { socket } = await open('/echo');
  const before = (await codes()).length;
  socket.terminate();
  const after = await until('end', async () => {
    const now = await codes();
    return now.length > before ? now : null;
  });
  assert.equal(after.at(-1), 1006);
});

test('five hundred connections at a time are all served', async () => {
  await until('end of all', async () => (await openUpgrades(portico.runtimeDir)) === 0 || null);
  const all = await Promise.all(Array.from({ length: 500 }, () => open('/echo')));
  assert.equal(await openUpgrades(portico.runtimeDir), 500);
  assert.equal((await edgeStatus(portico.runtimeDir)).requestsInFlight, 0);
  for (const [at, { socket }] of all.entries()) socket.send(`number ${at}`);
  const texts = await Promise.all(all.map(async ({ messages }) => String(await messages.next())));
  assert.deepEqual(
    texts,
    all.map((_, at) => `number ${at}`),
  );
  for (const { socket } of all) socket.terminate();
  await until('end of all', async () => (await openUpgrades(portico.runtimeDir)) === 0 || null);
});

test('a refusal is an answer like any, and the connection goes on as HTTP', async (t) => {
  const client = rawClient(t);
  client.send(`${upgradeHead('/refuse')}GET /pid HTTP/1.1\r\nHost: x\r\n\r\n`);
  const refused = await client.response();
  assert.equal(refused.status, 403);
  assert.equal(refused.fields.get('x-why'), 'no');
  assert.equal(refused.body, 'no\n');
  const next = await client.response();
  assert.equal(next.status, 200);
  assert.match(next.body, /^\d+$/);
});

test('h2c, which curl offers, is left alone', async (t) => {
  const client = rawClient(t);
  client.send('GET /pid HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n');
  assert.equal((await client.response()).status, 200);
});

test('an app that throws lives on, in its upgrade listener as in any other', async () => {
  const pid = await (await fetch(`${portico.origin}/pid`)).text();
  await assert.rejects(open('/throw'), /502/);
  assert.equal(await (await fetch(`${portico.origin}/pid`)).text(), pid);
  await portico.logged(/the app threw while it handled an upgrade/);
});

test('bytes that a client sends with the head are not lost', async (t) => {
  const client = rawClient(t);
  // A masked text frame "hi", its mask 0.
  const frame = '\x81\x82\0\0\0\0hi';
  client.send(upgradeHead('/echo') + frame);
  assert.match(await client.take('\r\n\r\n'), /^HTTP\/1\.1 101 Switching Protocols\r\n/);
  await client.take('\x81\x02hi');
});

test('the access log has the connection at its end, with bytes and duration', async () => {
  const from = portico.log().length;
  const { socket, messages } = await open('/echo?logged', { perMessageDeflate: false });
  socket.send('x'.repeat(1000));
  await messages.next();
  assert.doesNotMatch(portico.log().slice(from), /echo\?logged/);
  socket.close();
  const line = /"GET \/echo\?logged HTTP\/1\.1" 101 (\d+) (\d+) ([\d.]+)/;
  const [, sent, received, seconds] = await portico.logged(line, { from });
  // The frame (4 + 1000) and the Close (2); those of the client are masked.
  assert.deepEqual([Number(sent), Number(received)], [1006, 1014]);
  assert.ok(Number(seconds) > 0);
});

test('a client that reads nothing stops the app, and loses nothing', async (t) => {
  const client = rawClient(t);
  client.send(upgradeHead('/flood'));
  await client.take('\r\n\r\n');
  client.socket.pause();
  const sent = async () => Number(await (await fetch(`${portico.origin}/flooded`)).text());
  let before = -1;
  await until('standstill', async () => {
    const now = await sent();
    const stands = now === before;
    before = now;
    return stands ? true : null;
  });
  // What both kernels and both processes hold.
  assert.ok(before < 16 * 1024 * 1024, `${before} bytes`);
  client.socket.resume();
  await until('more', async () => ((await sent()) > before ? true : null));
});

test('when its worker is killed a connection ends at once', async () => {
  const other = await startPortico(suite, [app, '--workers', '1']);
  const { closed } = await openWebSocket(`ws://127.0.0.1:${other.port}/echo`);
  const pid = Number(await (await fetch(`${other.origin}/pid`)).text());
  process.kill(pid, 'SIGKILL');
  assert.equal((await closed)[0], 1006);
});

test('at a reload connections go on, are then told to leave, and come to the new worker', async () => {
  const other = await startPortico(suite, [app, '-w', '1', '--upgrade-grace', '0.5']);
  const url = `ws://127.0.0.1:${other.port}/echo`;
  const { socket, messages, closed } = await openWebSocket(url);
  other.signal('SIGHUP');
  await other.logged(/reload/i);
  socket.send('still');
  assert.equal((await messages.next()).toString(), 'still');
  assert.equal((await closed)[0], 1001);
  const again = await openWebSocket(url);
  again.socket.terminate();
});

test('at a stop clients are told to leave', async () => {
  const other = await startPortico(suite, [app, '-w', '1', '--upgrade-grace', '0']);
  const { closed } = await openWebSocket(`ws://127.0.0.1:${other.port}/echo`);
  other.signal('SIGTERM');
  assert.equal((await closed)[0], 1001);
  assert.equal(await other.exited, 0);
});

test('limits: how many, and how long without a word', async () => {
  const other = await startPortico(suite, [
    ...[app, '-w', '1', '--upgrade-connections', '1', '--upgrade-idle-timeout', '1'],
  ]);
  const url = `ws://127.0.0.1:${other.port}/echo`;
  const { closed } = await openWebSocket(url);
  await assert.rejects(openWebSocket(url), /503/);
  assert.equal((await closed)[0], 1001);
  await other.logged(/UPGRADE_IDLE/);
});

test('a worker of class http is asked on its own socket', async () => {
  const other = await startPortico(suite, [app, '-k', 'http', '-w', '1', '--upgrade-grace', '0']);
  const headers = { 'X-Forwarded-For': '203.0.113.7' };
  const url = `ws://127.0.0.1:${other.port}`;
  const { socket: info, messages: facts } = await openWebSocket(`${url}/info`, { headers });
  const seen = JSON.parse(String(await facts.next()));
  assert.equal(seen.headers['x-forwarded-for'], '203.0.113.7, 127.0.0.1');
  // The edge's end of a Unix socket has no address.
  assert.equal(seen.remoteAddress, undefined);
  const { socket, messages, closed } = await openWebSocket(`${url}/echo`);
  socket.send('hello');
  assert.equal(String(await messages.next()), 'hello');
  info.terminate();
  other.signal('SIGTERM');
  assert.equal((await closed)[0], 1001);
});

test('a server that the module exports, in threads, on a Unix socket of the edge', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'portico-ws-'));
  const socketPath = join(dir, 'edge.sock');
  const args = ['test/fixtures/apps/upgrade/exported.mjs', '-w', '1', '--threads', '2'];
  const other = spawnPortico(t, [...args, '--bind', `unix:${socketPath}`]);
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  await other.logged(/Listening at/);
  for (let turn = 0; turn < 4; turn++) {
    const { socket, messages } = await openWebSocket(`ws+unix:${socketPath}:/graphql`);
    socket.send('it');
    assert.equal(String(await messages.next()), 'got it');
    socket.terminate();
  }
  // ws answers those itself that are not for its path.
  await assert.rejects(openWebSocket(`ws+unix:${socketPath}:/else`), /400/);
});

/** Codes that connections of the app closed with. */
async function codes(): Promise<number[]> {
  return (await fetch(`${portico.origin}/closed`)).json() as Promise<number[]>;
}

function rawClient(t: TestContext): RawClient {
  const client = new RawClient(portico.port);
  t.after(() => client.leave());
  return client;
}
