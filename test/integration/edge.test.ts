// The edge as a whole, between raw clients and workers at the other end of real links.

import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, unlinkSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { staticMount } from '../../src/config/static-mounts.ts';
import { failure } from '../../src/errors/failure.ts';
import { type Taken, workerFactory } from '../helpers/link-workers.ts';
import { runEdge } from '../helpers/running-edge.ts';
import { until } from '../helpers/until.ts';
import { workerAddress } from '../helpers/worker-address.ts';

const echo = (taken: Taken): void => taken.echo();
const ignore = (): void => {};

test('a request goes through edge and link to a worker and its answer comes back', async (t) => {
  const { edge, ask } = await runEdge(t);
  const worker = await workerFactory(t)(echo);
  edge.pools.admit(worker.address);
  const client = ask(
    'POST /hello?a=b',
    'Content-Length: 5\r\nConnection: x-drop\r\nX-Drop: 1\r\n\r\nworld',
  );
  const response = await client.response();
  assert.equal(response.status, 200);
  assert.equal(response.body, 'POST /hello?a=b world');
  const { fields } = worker.taken[0]!.exchange.request;
  const names = fields.filter((_, index) => index % 2 === 0);
  assert.ok(!names.includes('X-Drop') && !names.includes('Connection'));
  assert.equal(fields[fields.indexOf('X-Forwarded-For') + 1], '127.0.0.1');
  assert.equal(worker.taken[0]!.exchange.requestId, response.fields.get('x-request-id'));
});

test('the request id and the client are taken from a trusted proxy only', async (t) => {
  const { edge, configure, connect } = await runEdge(t, { forwardedAllowIps: [] });
  const worker = await workerFactory(t)(echo);
  edge.pools.admit(worker.address);
  const request =
    'GET / HTTP/1.1\r\nHost: test\r\nX-Request-Id: abc-1\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n';
  const client = connect();
  const stranger = await client.send(request).response();
  assert.notEqual(stranger.fields.get('x-request-id'), 'abc-1');
  configure({ forwardedAllowIps: ['127.0.0.1'] });
  const trusted = await client.send(request).response();
  assert.equal(trusted.fields.get('x-request-id'), 'abc-1');
  assert.equal(worker.taken[0]?.exchange.client.address, '127.0.0.1');
  assert.equal(worker.taken[1]?.exchange.client.address, '203.0.113.9');
});

test('a reload changes what the next request on an open connection meets', async (t) => {
  const { edge, configure, connect } = await runEdge(t);
  const worker = await workerFactory(t)(echo);
  edge.pools.admit(worker.address);
  const client = connect();
  assert.equal(
    (await client.send('GET /LICENSE HTTP/1.1\r\nHost: a\r\n\r\n').response()).body,
    'GET /LICENSE ',
  );
  configure({
    static: [staticMount({ prefix: '/', dir: process.cwd() })],
    limitRequestLineBytes: 100,
  });
  const file = await client.send('GET /LICENSE HTTP/1.1\r\nHost: a\r\n\r\n').response();
  assert.match(file.body, /MIT License/);
  assert.throws(() => configure({ forwardedAllowIps: ['nonsense'] }), /nonsense/);
  const same = await client.send('GET /LICENSE HTTP/1.1\r\nHost: a\r\n\r\n').response();
  assert.match(same.body, /MIT License/);
  const long = await client.send(`GET /${'x'.repeat(200)} HTTP/1.1\r\nHost: a\r\n\r\n`).response();
  assert.equal(long.status, 414);
});

test('a refused client is named in the event log with the reason, once, and each at debug', async (t) => {
  const { edge, logged, connect } = await runEdge(t);
  for (let n = 0; n < 3; n++)
    assert.equal((await connect().send('GET /a?secret HTTP/1.1\r\n\r\n').response()).status, 400);
  const told = await until('the third one', () => {
    const lines = logged.filter((line) => line.includes('"code":"BAD_HOST"'));
    return lines.length === 3 && lines;
  });
  assert.match(told[0]!, /^info Host is missing.*"status":400,"client":"127\.0\.0\.1"/);
  assert.match(told[0]!, /"path":"\/a"/);
  assert.match(told[1]! + told[2]!, /^debug Host.*debug Host/);
  await edge.drain(0);
  assert.match(logged.join('\n'), /info More requests.*"code":"BAD_HOST","requests":2/);
});

test('the access log names the worker, and a reload moves it', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'portico-edge-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const first = join(dir, 'first.log');
  const second = join(dir, 'second.log');
  const { edge, configure, connect } = await runEdge(t, {
    accessLogfile: first,
    accessLogformat: 'json',
  });
  const worker = await workerFactory(t)(echo);
  edge.pools.admit(worker.address);
  const client = connect();
  await client.send('GET /one HTTP/1.1\r\nHost: a\r\n\r\n').response();
  configure({ accessLogfile: second });
  await client.send('GET /two HTTP/1.1\r\nHost: a\r\n\r\n').response();
  const read = (path: string) => (existsSync(path) ? readFileSync(path, 'utf8') : '');
  await until('line in the first log', () => read(first).includes('/one'));
  await until('line in the second log', () => {
    edge.reopenLogs();
    return read(second).includes('/two');
  });
  assert.match(read(second), /worker 1/);
  assert.doesNotMatch(read(first), /two/);
});

test('requests wait for the first worker, and the queue refuses with Retry-After', async (t) => {
  const { edge, ask } = await runEdge(t, { queueSize: 1 });
  const waiting = ask('GET /waits', '\r\n');
  await until('queued request', () => edge.pools.queued === 1);
  const refused = await ask('GET /refused', '\r\n').response();
  assert.equal(refused.status, 503);
  assert.match(refused.fields.get('retry-after') ?? '', /^\d+$/);
  const worker = await workerFactory(t)(echo);
  edge.pools.admit(worker.address);
  assert.equal((await waiting.response()).body, 'GET /waits ');
});

test('requests that wait are answered with 503 before a drain ends, and once no worker is left', async (t) => {
  const slow = await runEdge(t);
  const late = slow.ask('GET /late', '\r\n');
  await until('queued request', () => slow.edge.pools.queued === 1);
  await slow.edge.drain(300);
  const answer = await late.response();
  assert.equal(answer.status, 503);
  assert.equal(answer.fields.get('connection'), 'close');

  const { edge, ask, connect } = await runEdge(t);
  const client = connect();
  const waiting = client.send('GET /a HTTP/1.1\r\nHost: a\r\n\r\n').response();
  await until('queued request', () => edge.pools.queued === 1);
  edge.pools.refuse(failure('SHUTTING_DOWN', 'no worker is left'));
  assert.equal((await waiting).status, 503);
  assert.equal((await ask('GET /next', '\r\n').response()).status, 503);
});

test('the wait for a worker ends with 503, and is told in the log', async (t) => {
  const { ask, logged } = await runEdge(t, { queueTimeoutMs: 50 });
  assert.equal((await ask('GET /a?token=secret', '\r\n').response()).status, 503);
  const line = await until('log line', () => logged.find((text) => text.includes('QUEUE_TIMEOUT')));
  assert.match(line, /^warning .*"method":"GET","path":"\/a"/);
  assert.doesNotMatch(line, /secret/);
});

test('an app that never answers is given up with 504, and hears of it', async (t) => {
  const { edge, ask, logged } = await runEdge(t, { responseTimeoutMs: 50 });
  const worker = await workerFactory(t)(ignore);
  edge.pools.admit(worker.address);
  assert.equal((await ask('GET /', '\r\n').response()).status, 504);
  await until('cancel', () => worker.taken[0]?.closed);
  assert.ok(logged.some((text) => /^warning .*RESPONSE_TIMEOUT.*worker 1/.test(text)));
});

test('a client that leaves is heard of by the app, and waits no more', async (t) => {
  const { edge, ask } = await runEdge(t);
  const worker = await workerFactory(t)(ignore, { capacity: 1 });
  edge.pools.admit(worker.address);
  const first = ask('GET /first', '\r\n');
  await until('request', () => worker.taken.length === 1);
  const second = ask('GET /second', '\r\n');
  await until('queued request', () => edge.pools.queued === 1);
  second.reset();
  await until('empty queue', () => edge.pools.queued === 0);
  first.reset();
  await until('close in the app', () => worker.taken[0]?.closed);
  await until('free place', () => edge.status().workers[0]?.inFlight === 0);
  assert.equal(worker.taken.length, 1);
});

test('withdraw: nothing more is sent, what is in flight finishes, then the link ends', async (t) => {
  const { edge, ask } = await runEdge(t);
  const make = workerFactory(t);
  const old = await make(ignore);
  edge.pools.admit(old.address);
  const slow = ask('GET /slow', '\r\n');
  await until('request', () => old.taken.length === 1);
  const fresh = await make(echo);
  edge.pools.admit(fresh.address);
  await until('link', () => fresh.links.size === 1);
  edge.withdraw(old.address.id, () => {});
  for (let count = 0; count < 5; count++)
    assert.equal((await ask('GET /', '\r\n').response()).fields.get('x-worker'), '2');
  assert.equal(old.links.size, 1);
  old.taken[0]?.reply('done');
  assert.equal((await slow.response()).body, 'done');
  await until('end of the link', () => old.links.size === 0);
  assert.equal(old.taken.length, 1);
});

test('a worker killed under GET load: each request is answered by another', async (t) => {
  const { edge, ask } = await runEdge(t);
  const make = workerFactory(t);
  const doomed = await make(ignore);
  edge.pools.admit(doomed.address);
  const clients = Array.from({ length: 20 }, (_, index) => ask(`GET /${index}`, '\r\n'));
  await until('requests', () => doomed.taken.length === 20);
  doomed.die();
  edge.gone(doomed.address.id);
  const next = await make(echo);
  edge.pools.admit(next.address);
  const bodies = await Promise.all(clients.map(async (client) => (await client.response()).body));
  assert.deepEqual(
    bodies,
    Array.from({ length: 20 }, (_, index) => `GET /${index} `),
  );
});

test('a POST whose worker dies is answered with 502, the reason in the log', async (t) => {
  const { edge, ask, logged } = await runEdge(t);
  const make = workerFactory(t);
  const doomed = await make(ignore);
  const other = await make(echo);
  edge.pools.admit(doomed.address);
  const client = ask('POST /pay', 'Content-Length: 3\r\n\r\nabc');
  await until('request', () => doomed.taken[0]?.complete);
  edge.pools.admit(other.address);
  doomed.die();
  const response = await client.response();
  assert.equal(response.status, 502);
  assert.equal(other.taken.length, 0);
  const line = await until('log line', () => logged.find((text) => text.includes('WORKER_DIED')));
  assert.match(line, /^warning .*POST.*\/pay.*worker 1 \(pid 10001\).*not idempotent/);
});

test('a POST that never reached its worker goes to another', async (t) => {
  const { edge, ask } = await runEdge(t);
  const make = workerFactory(t);
  // A worker whose socket is full: the edge's bytes never leave its process.
  const stuck = await stuckWorker(t);
  edge.pools.admit(workerAddress({ id: 77, sockets: [stuck.path], capacity: 1 }));
  await until('link to the stuck worker', () => edge.status().workers.some((it) => it.id === 77));
  const other = await make(echo, { capacity: 1 });
  const client = ask('POST /order', 'Content-Length: 4\r\n\r\nmilk');
  await until(
    'request in flight',
    () => edge.status().workers[0]?.inFlight === 1 || edge.pools.queued === 1,
  );
  edge.pools.admit(other.address);
  stuck.die();
  edge.gone(77);
  const response = await client.response();
  assert.equal(response.status, 200);
  assert.equal(response.body, 'POST /order milk');
  assert.equal(other.taken.length, 1);
});

test('a worker that dies in the middle of its answer cuts it visibly', async (t) => {
  const { edge, ask } = await runEdge(t);
  const make = workerFactory(t);
  const worker = await make((taken) => {
    taken.exchange.respond(200, '', []);
    taken.exchange.write(Buffer.from('half an ans'));
  });
  edge.pools.admit(worker.address);
  const client = ask('GET /', '\r\n');
  await client.take('half an ans');
  worker.die();
  await client.ended();
  assert.ok(!client.received.includes('0\r\n\r\n'), 'no last chunk');
});

test('a worker that speaks nonsense is cut off, and its request goes to another', async (t) => {
  const { edge, ask, logged } = await runEdge(t);
  const nonsense = await nonsenseWorker(t);
  edge.pools.admit(workerAddress({ id: 66, sockets: [nonsense.path] }));
  const client = ask('GET /', '\r\n');
  const other = await workerFactory(t)(echo);
  await until('warning', () => logged.find((text) => text.includes('link to a worker broken')));
  edge.pools.admit(other.address);
  assert.equal((await client.response()).body, 'GET / ');
});

test('sync: a slow upload holds no worker', async (t) => {
  const { edge, ask } = await runEdge(t, { workerClass: 'sync' });
  const worker = await workerFactory(t)(echo, { capacity: 1 });
  edge.pools.admit(worker.address);
  const slow = ask('POST /slow', 'Content-Length: 10\r\n\r\nhalf ');
  for (let count = 0; count < 3; count++)
    assert.equal((await ask('GET /quick', '\r\n').response()).body, 'GET /quick ');
  assert.equal(worker.taken.length, 3);
  slow.send('whole');
  assert.equal((await slow.response()).body, 'POST /slow half whole');
});

test('sync: a large upload goes through a file that is gone at once', async (t) => {
  const { edge, ask } = await runEdge(t, { workerClass: 'sync' });
  const worker = await workerFactory(t)(echo, { capacity: 1 });
  edge.pools.admit(worker.address);
  const body = 'x'.repeat(3_000_000);
  const client = ask(
    'PUT /large',
    `Content-Length: ${body.length}\r\nExpect: 100-continue\r\n\r\n`,
  );
  await client.take('100 Continue\r\n\r\n');
  client.send(body.slice(0, 2_000_000));
  await until('spooling', () => edge.status().requestsInFlight === 1);
  assert.equal(worker.taken.length, 0);
  client.send(body.slice(2_000_000));
  const response = await client.response();
  assert.equal(response.body.length, 'PUT /large '.length + body.length);
  const left = readdirSync(tmpdir()).filter((name) => name.startsWith(`portico-${process.pid}-`));
  assert.deepEqual(left, []);
});

test('a slow reader does not hold more of the response than the windows', async (t) => {
  const { edge, connect } = await runEdge(t);
  let given = 0;
  let full = false;
  const worker = await workerFactory(t)((taken) => {
    taken.exchange.respond(200, '', []);
    const more = (): void => {
      while (given < 64_000_000) {
        given += 65_536;
        if (!taken.exchange.write(Buffer.alloc(65_536, 'x'))) break;
      }
      full = true;
    };
    taken.onDrain = more;
    more();
  });
  edge.pools.admit(worker.address);
  const client = connect();
  client.socket.pause();
  client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await until('backpressure', () => full);
  const other = await workerFactory(t)(echo);
  edge.pools.admit(other.address);
  assert.ok(given < 8_000_000, `${given} bytes`);
  client.reset();
  await until('cancel', () => worker.taken[0]?.closed);
});

/** Takes connections and says nothing at all: never a preface. */
async function stuckWorker(t: TestContext) {
  return rawWorker(t, () => {});
}

/** Answers the preface with one of its own and then with bytes that are no frames. */
async function nonsenseWorker(t: TestContext) {
  return rawWorker(t, (socket) => {
    socket.once('data', () => socket.write(Buffer.alloc(64, 0xff)));
  });
}

async function rawWorker(t: TestContext, onConnection: (socket: Socket) => void) {
  const path = `${tmpdir()}/portico-raw-${process.pid}-${Math.random().toString(36).slice(2)}.sock`;
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on('error', () => {});
    onConnection(socket);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const die = (): void => {
    server.close();
    for (const socket of open) socket.destroy();
  };
  t.after(() => {
    die();
    if (existsSync(path)) unlinkSync(path);
  });
  return { path, die };
}
