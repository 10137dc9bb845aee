// Socket.IO with several workers: its polling sessions live in one of them.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { io, type Socket } from 'socket.io-client';
import { startPortico } from '../helpers/portico.ts';
import { until } from '../helpers/until.ts';

const app = 'test/fixtures/apps/upgrade/socketio.mjs';

test('Socket.IO begins by polling and goes over to a WebSocket, with three workers', async (t) => {
  const origin = await threeWorkers(t, [app]);
  for (let turn = 0; turn < 3; turn++) {
    const socket = connect(t, origin);
    const [hello] = await once(socket as never, 'hello');
    assert.equal(hello.address, '127.0.0.1');
    // By then it may have gone over.
    if (socket.io.engine.transport.name !== 'websocket')
      await once(socket.io.engine as never, 'upgrade');
    const answer = await socket.emitWithAck('echo', { n: turn, bytes: Buffer.from('b') });
    assert.deepEqual([answer.value.n, answer.pid], [turn, hello.pid]);
    socket.disconnect();
  }
});

test('Socket.IO that may only poll keeps its worker, whatever the client is', async (t) => {
  const origin = await threeWorkers(t, [app]);
  const clients = Array.from({ length: 6 }, async (_, turn) => {
    // A proxy in front says who the client is.
    const extraHeaders = { 'X-Forwarded-For': `203.0.113.${turn}` };
    const socket = connect(t, origin, { transports: ['polling'], extraHeaders });
    const [hello] = await once(socket as never, 'hello');
    for (let n = 0; n < 2; n++) {
      const answer = await socket.emitWithAck('echo', n);
      assert.deepEqual(answer, { value: n, pid: hello.pid });
    }
    return hello.pid;
  });
  const pids = new Set(await Promise.all(clients));
  assert.ok(pids.size > 1, 'clients are spread');
});

test('by cookie a client comes back to its worker, and others go elsewhere', async (t) => {
  const origin = await threeWorkers(t, [
    ...['test/fixtures/apps/upgrade/ws.cjs', '--sticky', 'cookie'],
  ]);
  const first = await fetch(`${origin}/pid`);
  const cookie = first.headers.get('set-cookie')!;
  assert.match(cookie, /^portico_worker=[123]; Path=\/; HttpOnly; SameSite=Lax$/);
  const pid = await first.text();
  const others = new Set<string>();
  for (let turn = 0; turn < 9; turn++) {
    const again = await fetch(`${origin}/pid`, { headers: { cookie: cookie.split(';')[0]! } });
    assert.equal(again.headers.get('set-cookie'), null);
    assert.equal(await again.text(), pid);
    others.add(await (await fetch(`${origin}/pid`)).text());
  }
  assert.equal(others.size, 3);
});

/** Their origin, when all are there: one that comes later takes clients from the others. */
async function threeWorkers(t: TestContext, args: readonly string[]): Promise<string> {
  const { origin } = await startPortico(t, [...args, '-w', '3', '--ready-workers', '3']);
  await until('three workers', async () => ((await fetch(`${origin}/-/readyz`)).ok ? true : null));
  return origin;
}

function connect(t: TestContext, origin: string, options = {}): Socket {
  const socket = io(origin, { reconnection: false, forceNew: true, ...options });
  t.after(() => void socket.disconnect());
  return socket;
}
