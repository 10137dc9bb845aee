// Public sockets: bound without accepting, shared with whoever listens, refused with a reason.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type BoundSocket, bindSocket } from '../../src/arbiter/sockets.ts';
import type { BindAddress } from '../../src/config/config.ts';
import { tempDir } from '../helpers/arbiter.ts';

const hasV6 = Object.values(networkInterfaces()).some((list) =>
  list?.some(({ address }) => address === '::1'),
);
const needsV6 = { skip: hasV6 ? false : 'no IPv6 on this machine' };

async function bind(
  t: TestContext,
  address: BindAddress,
  others: readonly BindAddress[] = [],
): Promise<BoundSocket> {
  const bound = await bindSocket('key', address, { umask: 0o022, others });
  assert.ok(bound.ok, bound.ok ? '' : bound.problem);
  t.after(() => bound.socket.close());
  return bound.socket;
}

async function refusal(address: BindAddress): Promise<string> {
  const bound = await bindSocket('key', address, { umask: 0, others: [] });
  if (bound.ok) bound.socket.close();
  return bound.ok ? 'it was bound' : bound.problem;
}

/** Accepts on the bound socket, as an edge does. */
async function listen(t: TestContext, socket: BoundSocket): Promise<Server> {
  const server = createServer((client) => client.on('error', () => {}).end('hello'));
  server.listen(socket.handle);
  await once(server, 'listening');
  t.after(() => server.close());
  return server;
}

async function answer(options: { host: string; port: number } | { path: string }) {
  const client = connect(options);
  let text = '';
  client.setEncoding('utf8').on('data', (chunk) => {
    text += chunk;
  });
  await once(client, 'close');
  return text;
}

function portOf(socket: BoundSocket): number {
  assert.equal(socket.address.kind, 'tcp');
  return socket.address.kind === 'tcp' ? socket.address.port : 0;
}

test('port 0 becomes a real port, and the URL names it', async (t) => {
  const socket = await bind(t, { kind: 'tcp', host: '127.0.0.1', port: 0, tls: false });
  const port = portOf(socket);
  assert.ok(port > 0);
  assert.equal(socket.url, `http://127.0.0.1:${port}`);
  await listen(t, socket);
  assert.equal(await answer({ host: '127.0.0.1', port }), 'hello');
});

test('a host name is resolved, IPv4 first; brackets are put round IPv6', needsV6, async (t) => {
  const named = await bind(t, { kind: 'tcp', host: 'localhost', port: 0, tls: false });
  assert.match(named.url, /^http:\/\/127\.0\.0\.1:\d+$/);
  const v6 = await bind(t, { kind: 'tcp', host: '::1', port: 0, tls: false });
  assert.match(v6.url, /^http:\/\/\[::1\]:\d+$/);
});

test('no host is every address, of IPv4 and IPv6', needsV6, async (t) => {
  const socket = await bind(t, { kind: 'tcp', host: '', port: 0, tls: false });
  await listen(t, socket);
  const port = portOf(socket);
  assert.equal(await answer({ host: '127.0.0.1', port }), 'hello');
  assert.equal(await answer({ host: '::1', port }), 'hello');
});

test('0.0.0.0 and [::] get along on one port', needsV6, async (t) => {
  const free = await bind(t, { kind: 'tcp', host: '0.0.0.0', port: 0, tls: false });
  const port = portOf(free);
  free.close();
  const both = [
    { kind: 'tcp', host: '0.0.0.0', port, tls: false },
    { kind: 'tcp', host: '::', port, tls: false },
  ] as const;
  await listen(t, await bind(t, both[0], both));
  await listen(t, await bind(t, both[1], both));
  assert.equal(await answer({ host: '127.0.0.1', port }), 'hello');
  assert.equal(await answer({ host: '::1', port }), 'hello');
});

test('an address in use is refused, whether the other listens by itself or is bound as ours', async (t) => {
  const other = createServer().listen(0, '127.0.0.1');
  t.after(() => other.close());
  await once(other, 'listening');
  const { port } = other.address() as { port: number };
  assert.match(
    await refusal({ kind: 'tcp', host: '127.0.0.1', port, tls: false }),
    /^Cannot listen at 127\.0\.0\.1:\d+: the address is in use by another program \(EADDRINUSE\)$/,
  );
  const ours = await bind(t, { kind: 'tcp', host: '127.0.0.1', port: 0, tls: false });
  await listen(t, ours);
  assert.match(await refusal(ours.address), /EADDRINUSE/);
});

test('what cannot be bound says why', async () => {
  assert.match(
    await refusal({ kind: 'tcp', host: '192.0.2.1', port: 0, tls: false }),
    /this machine does not have the address \(EADDRNOTAVAIL\)/,
  );
  assert.match(
    await refusal({ kind: 'tcp', host: 'no-such-host.invalid', port: 0, tls: false }),
    /the name cannot be resolved/,
  );
});

test('a Unix socket has the mode that the umask leaves, and its file goes with it', async (t) => {
  const path = join(tempDir(t), 'public.sock');
  const socket = await bind(t, { kind: 'unix', path, tls: false });
  assert.equal(statSync(path).mode & 0o777, 0o755);
  await listen(t, socket);
  assert.equal(await answer({ path }), 'hello');
  assert.match(await refusal({ kind: 'unix', path, tls: false }), /in use/);
  socket.close();
  socket.close();
  assert.ok(!existsSync(path));
});

test('the file of a dead Unix socket is replaced; any other file is not', async (t) => {
  const dir = tempDir(t);
  const path = join(dir, 'stale.sock');
  // Bound and never listened on: nobody answers there.
  const stale = await bind(t, { kind: 'unix', path, tls: false });
  const next = await bind(t, { kind: 'unix', path, tls: false });
  assert.equal(next.url, `unix:${path}`);
  stale.close();
  const file = join(dir, 'file');
  writeFileSync(file, 'mine');
  assert.match(
    await refusal({ kind: 'unix', path: file, tls: false }),
    /a file that is no socket is in the way/,
  );
  assert.match(
    await refusal({ kind: 'unix', path: join(dir, 'x'.repeat(120)), tls: false }),
    /longer than the 10\d bytes/,
  );
  assert.match(
    await refusal({ kind: 'unix', path: join(dir, 'none', 'x'), tls: false }),
    /Cannot listen at/,
  );
});
