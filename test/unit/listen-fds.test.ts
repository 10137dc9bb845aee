// Where sockets that were passed on go among the binds.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listenFds, takeListenFds } from '../../src/arbiter/listen-fds.ts';
import { bindAddress, showBind } from '../../src/config/address.ts';
import type { BindAddress } from '../../src/config/config.ts';
import { testConfig } from '../helpers/config.ts';

/** Descriptor N listens at port 8000 + N. */
function open(fd: number) {
  if (fd === 9) throw new Error('it is no socket');
  return { kind: 'tcp', host: '127.0.0.1', port: 8000 + fd, tls: false, fd } as const;
}

function config(...bind: string[]) {
  return testConfig({ bind: bind.map((text) => bindAddress.read(text) as BindAddress) });
}

function placed(names: readonly string[], ...bind: string[]): readonly string[] {
  const passed = names.map((name, index) => ({ fd: 3 + index, name }));
  const result = listenFds(passed, open).place(config(...bind));
  return result.ok ? result.config.bind.map(showBind) : result.problems;
}

test('without such sockets the binds are as they were', () => {
  assert.deepEqual(placed([], ':80', 'https://:443'), ['0.0.0.0:80', 'https://0.0.0.0:443']);
});

test('they stand in place of all binds, and are TLS by port, by name, or as all binds are', () => {
  assert.deepEqual(placed(['a', 'b'], ':80'), ['127.0.0.1:8003', '127.0.0.1:8004']);
  assert.deepEqual(placed(['a', 'b'], ':80', 'https://:8004'), [
    '127.0.0.1:8003',
    'https://127.0.0.1:8004',
  ]);
  assert.deepEqual(placed(['https', 'b'], ':80'), ['https://127.0.0.1:8003', '127.0.0.1:8004']);
  assert.deepEqual(placed(['https'], ':8003'), ['127.0.0.1:8003']);
  assert.deepEqual(placed(['a'], 'https://:443'), ['https://127.0.0.1:8003']);
});

test('a bind that names one takes it, and other binds stay', () => {
  assert.deepEqual(placed(['a', 'b', 'a'], 'fd://a', ':80'), [
    '127.0.0.1:8003',
    '127.0.0.1:8005',
    '0.0.0.0:80',
  ]);
  assert.deepEqual(placed(['a', 'b'], 'https+fd://4'), ['https://127.0.0.1:8004']);
  assert.deepEqual(placed([], 'fd://7'), ['127.0.0.1:8007']);
});

test('names that were not passed, and descriptors that are no sockets, are problems', () => {
  assert.deepEqual(placed(['a'], 'fd://x'), [
    'Cannot listen at fd://x: the sockets that were passed at the start: 3 (a)',
  ]);
  assert.deepEqual(placed([], 'fd://9'), [
    'Cannot listen at descriptor 9 (unknown): it is no socket',
  ]);
  assert.match(placed([], 'fd://0')[0] ?? '', /Cannot listen at fd:\/\/0/);
});

test('a reload takes no descriptor that the start did not: by then it may be one of Portico’s own', () => {
  const fds = listenFds([], open);
  assert.ok(fds.place(config(':80')).ok);
  const later = fds.place(config('fd://7'));
  assert.deepEqual(later, {
    ok: false,
    problems: ['Cannot listen at fd://7: the sockets that were passed at the start: none'],
  });
});

test('the variables are removed, and count only for the process they name', () => {
  const env = { LISTEN_PID: '42', LISTEN_FDS: '2', LISTEN_FDNAMES: 'a:b', PATH: '/bin' };
  const other = { ...env };
  const result = takeListenFds(other, 43).place(config(':80'));
  assert.deepEqual(Object.keys(other), ['PATH']);
  assert.ok(result.ok && result.config.bind.length === 1);
});
