// Upstreams that lie: whatever they send, the client gets a 502 or 504 or a response that is cut, the log has the
// reason, and the connection never carries another request.

import assert from 'node:assert/strict';
import * as net from 'node:net';
import { type TestContext, test } from 'node:test';
import { connectHttp } from '../../src/edge/upstream/http-link.ts';
import type { LinkRequest } from '../../src/link/link.ts';
import { type Lie, lyingWorker, socketPath } from '../helpers/http-workers.ts';
import { runEdge } from '../helpers/running-edge.ts';
import { until } from '../helpers/until.ts';

const hello = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello';
const head = 'HTTP/1.1 200 OK\r\n';

interface Case {
  readonly what: string;
  /** What the upstream sends for the first request. */
  readonly sends: string;
  /** It closes behind that. */
  readonly closes?: boolean;
  readonly status: number;
  /** In the log. */
  readonly says: RegExp;
}

const refused: readonly Case[] = [
  {
    what: 'two Content-Length fields',
    sends: `${head}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello`,
    ...{ status: 502, says: /more than one Content-Length/ },
  },
  {
    what: 'two Content-Lengths in one field',
    sends: `${head}Content-Length: 5, 6\r\n\r\nhello`,
    ...{ status: 502, says: /Content-Length is not a number/ },
  },
  {
    what: 'a negative Content-Length',
    sends: `${head}Content-Length: -5\r\n\r\nhello`,
    ...{ status: 502, says: /Content-Length is not a number/ },
  },
  {
    what: 'Content-Length and Transfer-Encoding',
    sends: `${head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
    ...{ status: 502, says: /Transfer-Encoding together with Content-Length/ },
  },
  {
    what: 'an unknown transfer coding',
    sends: `${head}Transfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
    ...{ status: 502, says: /not plain chunked/ },
  },
  {
    what: 'chunked in HTTP/1.0',
    sends: 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
    ...{ status: 502, says: /HTTP\/1\.0 has no Transfer-Encoding/ },
  },
  {
    what: 'lines that end with LF alone',
    sends: 'HTTP/1.1 200 OK\nContent-Length: 5\n\nhello',
    ...{ status: 502, says: /not a status line/ },
  },
  {
    what: 'a field line that ends with LF alone',
    sends: `${head}Content-Length: 5\n\r\nhello`,
    ...{ status: 502, says: /ends with LF alone/ },
  },
  {
    what: 'a NUL in a field',
    sends: `${head}X-A: a\0b\r\nContent-Length: 5\r\n\r\nhello`,
    ...{ status: 502, says: /holds 0x00/ },
  },
  {
    what: 'a bare CR in a field',
    sends: `${head}X-A: a\rSet-Cookie: b\r\nContent-Length: 5\r\n\r\nhello`,
    ...{ status: 502, says: /holds a bare CR/ },
  },
  {
    what: 'a folded field',
    sends: `${head}X-A: a\r\n b\r\nContent-Length: 5\r\n\r\nhello`,
    ...{ status: 502, says: /folding is not allowed/ },
  },
  {
    what: 'a space before the colon',
    sends: `${head}Content-Length : 5\r\n\r\nhello`,
    ...{ status: 502, says: /white space after the field name/ },
  },
  {
    what: 'a 101 nobody asked for',
    sends: 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n',
    ...{ status: 502, says: /101.*nobody asked for/ },
  },
  {
    what: 'an informational response with content',
    sends: `HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\nhello${hello}`,
    ...{ status: 502, says: /announces content/ },
  },
  {
    what: 'informational responses without end',
    sends: 'HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n'.repeat(100),
    ...{ status: 502, says: /more than 64 informational/ },
  },
  {
    what: 'status 99',
    sends: 'HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n',
    ...{ status: 502, says: /99 is not a status/ },
  },
  {
    what: 'garbage',
    sends: 'SSH-2.0-OpenSSH_9.2p1 Debian\r\n',
    ...{ status: 502, says: /does not begin as an HTTP\/1\.1 response/ },
  },
  {
    what: 'HTTP/2 frames',
    sends: '\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0d',
    ...{ status: 502, says: /does not begin as/ },
  },
  {
    what: 'HTTP/0.9',
    sends: '<html>hello</html>\r\n',
    ...{ closes: true, status: 502, says: /does not begin as/ },
  },
  {
    what: 'HTTP/2.0 in the status line',
    sends: 'HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n',
    ...{ status: 502, says: /not a status line/ },
  },
  {
    what: 'a head of 10 MB in one field',
    sends: `${head}X-A: ${'a'.repeat(10 * 1024 * 1024)}`,
    ...{ status: 502, says: /longer than 32768 bytes/ },
  },
  {
    what: 'a head of 10 MB in many fields',
    sends: `${head}${`X-A: ${'a'.repeat(30_000)}\r\n`.repeat(350)}`,
    ...{ status: 502, says: /the head is longer than/ },
  },
  {
    what: 'ten thousand fields',
    sends: `${head}${'A: b\r\n'.repeat(10_000)}`,
    ...{ status: 502, says: /more than 256 fields/ },
  },
  {
    what: 'a status line of 1 MB',
    sends: `HTTP/1.1 200 ${'a'.repeat(1024 * 1024)}`,
    ...{ status: 502, says: /the status line is longer/ },
  },
  {
    what: 'nothing, and the end',
    sends: '',
    ...{ closes: true, status: 502, says: /without a response/ },
  },
  {
    what: 'half a head, and the end',
    sends: `${head}Content-Le`,
    ...{ closes: true, status: 502, says: /in the midst of a response head/ },
  },
];

/** The client sees that the response is not whole. */
const cut: readonly Case[] = [
  {
    what: 'less content than announced, and the end',
    sends: `${head}Content-Length: 50\r\n\r\nhello`,
    ...{ closes: true, status: 200, says: /in the midst of its response/ },
  },
  {
    what: 'chunks without the last, and the end',
    sends: `${head}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`,
    ...{ closes: true, status: 200, says: /in the midst of its response/ },
  },
  {
    what: 'a chunk size that is none',
    sends: `${head}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nxyz\r\n`,
    ...{ status: 200, says: /a chunk size is not hexadecimal/ },
  },
  {
    what: 'a chunk size beyond all bounds',
    sends: `${head}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nffffffffffffffff\r\n`,
    ...{ status: 200, says: /more than 13 digits/ },
  },
  {
    what: 'a chunk longer than its size',
    sends: `${head}Transfer-Encoding: chunked\r\n\r\n5\r\nhello world\r\n0\r\n\r\n`,
    ...{ status: 200, says: /longer than its size/ },
  },
  {
    what: 'a chunk size line that ends with LF alone',
    sends: `${head}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\nworld\r\n0\r\n\r\n`,
    ...{ status: 200, says: /ends with LF alone/ },
  },
  {
    what: 'trailers without end',
    sends: `${head}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n${'A: b\r\n'.repeat(100)}`,
    ...{ status: 200, says: /the trailer has more than/ },
  },
];

/** Lies to the first request on a connection, and answers all others as it should. */
function liar(one: Case) {
  return (lie: Lie): void => {
    if (lie.nth > 1) lie.socket.write(hello);
    else if (one.closes === true) lie.socket.end(one.sends, 'latin1');
    else lie.socket.write(one.sends, 'latin1');
  };
}

for (const one of refused)
  test(`${one.what}: ${one.status}, the reason in the log, and a new connection for the next`, async (t) => {
    const { edge, ask, logged } = await runEdge(t);
    const worker = await lyingWorker(t, liar(one));
    edge.pools.admit(worker.address);
    // POST: nothing is tried twice.
    const client = ask('POST /first', 'Content-Length: 0\r\n\r\n');
    let { status } = await client.response();
    while (status < 200) ({ status } = await client.response());
    assert.equal(status, one.status);
    await until('log', () => one.says.test(logged.join('\n')));
    assert.equal((await ask('GET /second', '\r\n').response()).body, 'hello');
    assert.equal(worker.lies.length, 2);
    assert.doesNotMatch(worker.lies[0]!.received, /second/);
  });

for (const one of cut)
  test(`${one.what}: the response is cut, and a new connection for the next`, async (t) => {
    const { edge, ask, logged } = await runEdge(t);
    const at = one.sends.indexOf('hello');
    const first = { ...one, sends: one.sends.slice(0, at + 5), closes: false };
    const worker = await lyingWorker(t, liar(first));
    edge.pools.admit(worker.address);
    const client = ask('POST /first', 'Content-Length: 0\r\n\r\n');
    // The client has the head before the fault comes.
    await client.take('hello');
    const { socket } = worker.lies[0]!;
    const rest = one.sends.slice(at + 5);
    if (one.closes === true) socket.end(rest, 'latin1');
    else socket.write(rest, 'latin1');
    await client.ended();
    assert.doesNotMatch(client.received, /(^|\r\n)0\r\n/);
    await until('log', () => one.says.test(logged.join('\n')));
    assert.equal((await ask('GET /second', '\r\n').response()).body, 'hello');
    assert.equal(worker.lies.length, 2);
  });

const poison: readonly (readonly [string, string, string])[] = [
  ['bytes after the content', 'GET', `${hello}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil`],
  ['content in answer to HEAD', 'HEAD', hello],
  ['content after a 204', 'GET', 'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello'],
  ['content after a 304', 'GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello'],
  [
    'bytes after the last chunk',
    'GET',
    `${head}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil`,
  ],
];

for (const [what, method, sends] of poison)
  test(`${what}: nobody else gets them`, async (t) => {
    const { edge, ask, logged } = await runEdge(t);
    const worker = await lyingWorker(t, (lie) => lie.socket.write(lie.nth > 1 ? hello : sends));
    edge.pools.admit(worker.address);
    const first = await ask(`${method} /first`, '\r\n').response(method);
    assert.ok(first.status < 400);
    assert.equal((await ask('GET /second', '\r\n').response()).body, 'hello');
    assert.equal(worker.lies.length, 2);
    assert.match(logged.join('\n'), /bytes after the end of its response/);
  });

test('bytes that come while a connection is idle are no answer to the next request', async (t) => {
  const { edge, ask } = await runEdge(t);
  const closed: number[] = [];
  const worker = await lyingWorker(t, ({ socket, nth }) => {
    socket.write(hello);
    socket.on('close', () => closed.push(nth));
    // As servers do that say 408 to an idle connection.
    if (nth === 1) setTimeout(() => socket.write('HTTP/1.1 408 Late\r\n\r\n'), 20);
  });
  edge.pools.admit(worker.address);
  assert.equal((await ask('GET /first', '\r\n').response()).body, 'hello');
  await until('end of the first connection', () => closed.includes(1));
  assert.equal((await ask('POST /second', 'Content-Length: 0\r\n\r\n').response()).body, 'hello');
  assert.equal(worker.lies.length, 2);
});

test('an answer before the content was sent ends the connection, not the next request', async (t) => {
  const { edge, connect, ask } = await runEdge(t);
  const worker = await lyingWorker(t, (lie) => lie.socket.write(hello));
  edge.pools.admit(worker.address);
  const early = connect();
  early.send('POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n');
  assert.equal((await early.response()).body, 'hello');
  assert.equal((await ask('GET /second', '\r\n').response()).body, 'hello');
  assert.equal(worker.lies.length, 2);
});

test('a first byte that does not come is a 504 in responseTimeout', async (t) => {
  const { edge, ask, logged } = await runEdge(t, { responseTimeoutMs: 100 });
  const closed: number[] = [];
  const worker = await lyingWorker(t, ({ socket, nth }) => {
    socket.on('close', () => closed.push(nth));
  });
  edge.pools.admit(worker.address);
  assert.equal((await ask('GET /', '\r\n').response()).status, 504);
  await until('end of the connection', () => closed.includes(1));
  assert.match(logged.join('\n'), /RESPONSE_TIMEOUT/);
});

/** A link of its own, where time-outs can be set. */
function link(t: TestContext, path: string, idleTimeoutMs: number, connectTimeoutMs: number) {
  const told: string[] = [];
  const made = connectHttp({
    address: { kind: 'unix', path },
    settings: {
      ...{ connectTimeoutMs, idleTimeoutMs, keepAliveMs: 1_000, host: null },
      ...{ maxConnections: 10, idleConnections: 10 },
    },
    preamble: null,
    onUp: () => told.push('up'),
    onDown: (reason) => told.push(`down ${reason?.code} ${reason?.detail}`),
  });
  t.after(() => made.destroy({} as never));
  return { link: made, told };
}

const client = {
  ...{ address: '192.0.2.1', port: 1, peerAddress: '192.0.2.1', localAddress: '', localPort: 0 },
  ...({ scheme: 'http', tls: null } as const),
} as const;

function get(method = 'GET'): LinkRequest {
  return {
    request: { method, target: '/', version: '1.1', fields: ['Host', 'a'] },
    ...{ client, requestId: 'r1', bodyLength: 0, expectsContinue: false },
  };
}

function observer(told: string[]) {
  return {
    onInform: (status: number) => told.push(`inform ${status}`),
    onResponse: (status: number) => told.push(`response ${status}`),
    onData: (chunk: Uint8Array) => told.push(`data ${Buffer.from(chunk).toString()}`),
    onEnd: () => told.push('end'),
    onConsumed: () => {},
    onFailed: (reason: { code: string }, reached: boolean) =>
      told.push(`failed ${reason.code} reached ${reached}`),
  };
}

test('silence within a response is cut in idleTimeout', async (t) => {
  const worker = await lyingWorker(t, ({ socket }) =>
    socket.write(`${head}Content-Length: 50\r\n\r\nhello`),
  );
  const { link: one, told } = link(t, worker.address.sockets[0]!, 60, 1_000);
  await until('up', () => told.includes('up'));
  const heard: string[] = [];
  one.open(get(), observer(heard));
  await until('failure', () => heard.some((it) => it.startsWith('failed')));
  assert.deepEqual(heard, ['response 200', 'data hello', 'failed UPSTREAM_SILENT reached true']);
  assert.equal(one.inFlight, 0);
});

test('an upstream that accepts nothing is given up in connectTimeout, and nothing got there', async (t) => {
  const path = socketPath(t);
  // A listener whose queue is full: it has a place for one, and never accepts.
  const { _createServerHandle } = net as unknown as {
    _createServerHandle(
      path: string,
      port: -1,
      family: -1,
    ): { listen(n: number): number; close(): void };
  };
  const handle = _createServerHandle(path, -1, -1);
  handle.listen(0);
  t.after(() => handle.close());
  const queued = net.connect(path);
  t.after(() => queued.destroy());
  await new Promise((resolve) => queued.once('connect', resolve));
  const { link: one, told } = link(t, path, 0, 100);
  const heard: string[] = [];
  one.open(get('POST'), observer(heard));
  await until('failure', () => heard.length > 0);
  assert.match(heard[0]!, /^failed UPSTREAM_(UNREACHABLE|TIMEOUT) reached false$/);
  await until('down', () => told.some((it) => it.startsWith('down UPSTREAM_')));
});

test('a socket that is not there is told so, and nothing got there', async (t) => {
  const { link: one, told } = link(t, socketPath(t), 0, 1_000);
  const heard: string[] = [];
  one.open(get('POST'), observer(heard));
  await until('failure', () => heard.length > 0);
  assert.deepEqual(heard, ['failed UPSTREAM_UNREACHABLE reached false']);
  await until('down', () => told.some((it) => /^down UPSTREAM_UNREACHABLE ENOENT/.test(it)));
});

test('fields and targets that could begin another request are not sent', async (t) => {
  const worker = await lyingWorker(t, ({ socket }) => socket.write(hello));
  const { link: one, told } = link(t, worker.address.sockets[0]!, 0, 1_000);
  await until('up', () => told.includes('up'));
  const bad = [
    { fields: ['Host', 'a', 'X', 'a\r\nY: b'] },
    { fields: ['Host', 'a', 'X\r\nY', 'b'] },
    { fields: ['Host', 'a\r\nY: b'] },
    { target: '/ HTTP/1.1\r\nX: y\r\n\r\nGET /' },
    { target: '/a b' },
    { method: 'GET /evil HTTP/1.1\r\n\r\nGET' },
  ];
  for (const change of bad) {
    const heard: string[] = [];
    const { request, ...rest } = get();
    one.open({ ...rest, request: { ...request, ...change } }, observer(heard));
    await until('failure', () => heard.length > 0);
    assert.deepEqual(heard, ['failed EDGE_FAULT reached false']);
  }
  assert.equal(worker.lies.length, 0);
});

test('content of another length than announced never becomes another request', async (t) => {
  const worker = await lyingWorker(t, () => {});
  const { link: one, told } = link(t, worker.address.sockets[0]!, 0, 1_000);
  await until('up', () => told.includes('up'));
  for (const content of ['abcGET / HTTP/1.1\r\n\r\n', 'a']) {
    const heard: string[] = [];
    const stream = one.open({ ...get('POST'), bodyLength: 3 }, observer(heard));
    stream.write(Buffer.from(content));
    stream.end([]);
    await until('failure', () => heard.length > 0);
    assert.match(heard[0]!, /^failed EDGE_FAULT/);
  }
  assert.equal(one.inFlight, 0);
  for (const { received } of worker.lies) assert.doesNotMatch(received, /abcGET/);
});
