// The control socket, asked by clients that misbehave.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { askArbiter, findInstances } from '../../src/arbiter/control/client.ts';
import { type ArbiterProcess, startArbiter, tempDir } from '../helpers/arbiter.ts';

function open(t: TestContext, arbiter: ArbiterProcess): Socket {
  const socket = connect(join(arbiter.runtimeDir, 'control.sock'));
  socket.on('error', () => {});
  t.after(() => socket.destroy());
  return socket;
}

async function said(socket: Socket): Promise<string> {
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk) => {
    text += chunk;
  });
  await once(socket, 'close');
  return text;
}

test('what is no request is refused, and the arbiter lives on', async (t) => {
  const arbiter = await startArbiter(t, { workers: 1 });
  const wrong = [
    'hello\n',
    '\n\nnull\n',
    '{"command":"explode"}\n',
    '{"command":"scale"}\n',
    '{"command":"scale","workers":0}\n',
    '{"command":"scale","workers":1e9}\n',
    '{"command":"__proto__"}\n',
    `"${'x'.repeat(100_000)}`,
    Buffer.alloc(100_000, 0xff),
  ];
  for (const text of wrong) {
    const socket = open(t, arbiter);
    socket.write(text);
    assert.match(await said(socket), /^\{"ok":false,"problems":\["Expected a line/, String(text));
  }
  assert.ok((await arbiter.ask({ command: 'status' })).ok);
});

test('one request is answered a connection, in pieces too; more is ignored', async (t) => {
  const arbiter = await startArbiter(t, { workers: 1 });
  const socket = open(t, arbiter);
  const answer = said(socket);
  for (const byte of '{"command":"scale","workers":2}\n{"command":"stop"}\n') socket.write(byte);
  assert.equal(await answer, '{"ok":true,"command":"scale","workers":2}\n');
  assert.equal((await arbiter.status()).arbiter.phase, 'running');
});

test('clients that leave before the answer, or are too many, do no harm', async (t) => {
  const arbiter = await startArbiter(t, { workers: 1 });
  for (let count = 0; count < 20; count += 1) {
    const socket = open(t, arbiter);
    socket.write('{"command":"reload"}\n');
    await once(socket, 'connect');
    socket.destroy();
  }
  const idle = Array.from({ length: 40 }, () => open(t, arbiter));
  await Promise.all(idle.map((socket) => once(socket, 'connect').catch(() => {})));
  for (const socket of idle) socket.destroy();
  await arbiter.statusIs('idle', ({ arbiter: { reloading } }) => reloading === null);
});

test('instances are found in the usual places, and nobody answers where none is', async (t) => {
  const base = tempDir(t);
  const before = process.env.XDG_RUNTIME_DIR;
  process.env.XDG_RUNTIME_DIR = base;
  t.after(() => {
    if (before === undefined) delete process.env.XDG_RUNTIME_DIR;
    else process.env.XDG_RUNTIME_DIR = before;
  });
  const arbiter = await startArbiter(
    t,
    { workers: 1 },
    { ownRuntimeDir: false, env: { XDG_RUNTIME_DIR: base } },
  );
  const runtimeDir = join(base, 'portico', String(arbiter.pid));
  const found = (await findInstances()).filter(({ pid }) => pid === arbiter.pid);
  assert.deepEqual(found, [{ pid: arbiter.pid, runtimeDir }]);
  assert.ok((await askArbiter(runtimeDir, { command: 'stop' })).ok);
  assert.equal(await arbiter.exited, 0);
  assert.ok(!(await findInstances()).some(({ pid }) => pid === arbiter.pid));
  await assert.rejects(askArbiter(runtimeDir, { command: 'status' }), /ENOENT/);
});
