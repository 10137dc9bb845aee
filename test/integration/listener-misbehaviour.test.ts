// What an HTTP/1.1 connection at the edge does with clients and handlers that don't behave.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { failure } from '../../src/errors/failure.ts';
import { type Edge, echo, type Heard, startEdge } from '../helpers/edge-listener.ts';
import type { RawClient } from '../helpers/raw-client.ts';

const HOST = 'Host: a\r\n';
const GET = `GET / HTTP/1.1\r\n${HOST}\r\n`;

/** The code of the failure with which the first exchange settled, and its status. */
async function settledAs(edge: Edge): Promise<[string | undefined, number]> {
  const { record } = await edge.until('settled exchange', () => edge.settled[0]);
  return [record.failure?.code, record.status];
}

/** A handler that does nothing by itself. */
function silent(): void {}

function stream(heard: Heard): void {
  heard.exchange.respond(200, '', []);
  heard.exchange.write(Buffer.from('some'));
}

for (const [what, request, status, code] of [
  ['two Host fields', `GET /x HTTP/1.1\r\n${HOST}${HOST}\r\n`, 400, 'BAD_HOST'],
  ['bytes that are no HTTP', '\x16\x03\x01\x02\x00\x01', 400, 'BAD_METHOD'],
  ['a field without colon', `GET /x HTTP/1.1\r\n${HOST}nonsense\r\n\r\n`, 400, 'BAD_FIELD'],
  ['a version not spoken', `GET /x HTTP/2.0\r\n${HOST}\r\n`, 505, 'BAD_VERSION'],
  ['a long request line', `GET /${'x'.repeat(5000)} HTTP/1.1\r\n`, 414, 'LINE_TOO_LONG'],
  ['a large field', `GET /x HTTP/1.1\r\nX: ${'x'.repeat(9000)}\r\n`, 431, 'FIELD_TOO_LARGE'],
] as const) {
  test(`${what}: ${status}, one line that says why, and the connection ends`, async (t) => {
    const edge = await startEdge(t);
    const client = edge.connect().send(`${GET}${request}GET /smuggled HTTP/1.1\r\n${HOST}\r\n`);
    assert.equal((await client.response()).status, 200);
    const response = await client.response();
    assert.equal(response.status, status);
    assert.equal(response.fields.get('connection'), 'close');
    assert.equal(response.fields.get('content-type'), 'text/plain; charset=utf-8');
    assert.match(response.body, new RegExp(`^${status} ${code}: [ -~]+\\n$`));
    assert.equal(await client.ended(), 'fin');
    assert.equal(client.received, '');
    assert.equal(edge.heard.length, 1);
    assert.equal(edge.settled.length, 2);
    assert.equal(edge.settled[1]!.record.failure?.code, code);
    assert.equal(edge.settled[1]!.record.status, status);
  });
}

test('of a refused request the log has what was understood', async (t) => {
  const edge = await startEdge(t);
  edge.connect().send('POST /form HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n');
  assert.deepEqual(await settledAs(edge), ['BAD_LENGTH', 400]);
  const { method, target } = edge.settled[0]!.received;
  assert.deepEqual([method, target], ['POST', '/form']);
});

test('a malformed chunk ends the request it belongs to', async (t) => {
  const edge = await startEdge(t, silent);
  const client = edge.connect();
  client.send(`POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n`);
  assert.equal((await client.response()).status, 400);
  assert.equal(await client.ended(), 'fin');
  assert.equal(edge.heard[0]!.closes[0]?.code, 'BAD_CHUNK');
  assert.deepEqual(await settledAs(edge), ['BAD_CHUNK', 400]);
});

test('content over the limit: 413, which a client that is still sending gets to read', async (t) => {
  const edge = await startEdge(t, silent);
  edge.options.limits = { ...edge.options.limits, bodyBytes: 1000 };
  const client = edge.connect();
  client.send(`POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n`);
  for (let chunk = 0; chunk < 50; chunk++) client.send(`10000\r\n${'x'.repeat(65536)}\r\n`);
  const response = await client.response();
  assert.equal(response.status, 413);
  assert.match(response.body, /^413 BODY_TOO_LARGE/);
  assert.equal(await client.ended(), 'fin');
});

test('a handler that answers before the content came: little is read over, and the connection lives', async (t) => {
  const edge = await startEdge(t, (heard) => heard.reply(200, heard.exchange.request.target));
  const client = edge.connect().send(`POST /1 HTTP/1.1\r\n${HOST}Content-Length: 3\r\n\r\n`);
  const response = await client.response();
  assert.equal(response.fields.has('connection'), false);
  client.send(`abcGET /2 HTTP/1.1\r\n${HOST}\r\n`);
  assert.equal((await client.response()).body, '/2');
});

test('a handler that answers before much content came: the client reads the answer, then the end', async (t) => {
  const edge = await startEdge(t, (heard) => heard.reply(401, 'who are you?'));
  const size = 8 * 1024 * 1024;
  const client = edge.connect();
  client.send(`POST / HTTP/1.1\r\n${HOST}Content-Length: ${size}\r\n\r\n`);
  client.send(Buffer.alloc(size));
  const response = await client.response();
  assert.equal(response.body, 'who are you?');
  assert.equal(response.fields.get('connection'), 'close');
  assert.equal(await client.ended(), 'fin');
});

test('chunked content without end that nobody wanted ends the connection', async (t) => {
  const edge = await startEdge(t, (heard) => heard.reply(200, 'done'));
  const client = edge.connect();
  client.send(`POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n`);
  assert.equal((await client.response()).body, 'done');
  for (let chunk = 0; chunk < 10; chunk++) client.send(`10000\r\n${'x'.repeat(65536)}\r\n`);
  assert.equal(await client.ended(), 'fin');
  assert.deepEqual(await settledAs(edge), [undefined, 200]);
});

test('a client that sends FIN after its request still gets its answer', async (t) => {
  const edge = await startEdge(t, silent);
  const client = edge.connect().send(`${GET}`).end();
  const heard = await edge.until('request', () => edge.heard[0]);
  await edge.until('probe', () => client.received.length > 0);
  echo(heard);
  // Asked whether it still listens, as anyone who waits for long.
  let response = await client.response();
  while (response.status === 102) response = await client.response();
  assert.equal(response.status, 200);
  assert.equal(response.fields.get('connection'), 'close');
  assert.equal(await client.ended(), 'fin');
});

test('pipelined requests and a FIN: all are answered', async (t) => {
  const edge = await startEdge(t, (heard) => {
    heard.onEnd = () => setImmediate(() => heard.reply(200, heard.exchange.request.target));
  });
  const requests = [1, 2, 3].map((n) => `GET /${n} HTTP/1.1\r\n${HOST}\r\n`).join('');
  const client = edge.connect().send(requests).end();
  for (const n of [1, 2, 3]) assert.equal((await client.response()).body, `/${n}`);
  assert.equal(await client.ended(), 'fin');
});

for (const [how, leave] of [
  ['closes', (client: RawClient) => client.leave()],
  ['resets', (client: RawClient) => client.reset()],
] as const) {
  test(`a client that ${how} before the answer: the handler hears of it, and the log says 499`, async (t) => {
    const edge = await startEdge(t, silent);
    const client = edge.connect().send(GET);
    const heard = await edge.until('request', () => edge.heard[0]);
    leave(client);
    assert.deepEqual(await settledAs(edge), ['CLIENT_LEFT', 499]);
    assert.equal(heard.closes.length, 1);
    assert.equal(heard.closes[0]?.code, 'CLIENT_LEFT');
    // What the handler still does goes nowhere, and harms nobody.
    heard.exchange.respond(200, '', []);
    assert.equal(heard.exchange.write(Buffer.from('x')), true);
    heard.exchange.end([]);
    heard.exchange.fail(failure('WORKER_DIED'));
    assert.equal(edge.settled.length, 1);
    assert.equal(edge.settled[0]!.record.status, 499);
  });

  test(`a client that ${how} while the answer streams: the handler hears of it`, async (t) => {
    const edge = await startEdge(t, stream);
    const client = edge.connect().send(GET);
    await client.take('some');
    leave(client);
    const timer = setInterval(() => edge.heard[0]!.exchange.write(Buffer.from('more')), 10);
    t.after(() => clearInterval(timer));
    assert.deepEqual(await settledAs(edge), ['CLIENT_LEFT', 499]);
  });
}

test('a client that closes while a quiet answer is open is found out without a word sent', async (t) => {
  const edge = await startEdge(t, stream);
  const client = edge.connect().send(GET);
  await client.take('some');
  client.leave();
  assert.deepEqual(await settledAs(edge), ['CLIENT_LEFT', 499]);
});

test('a client that has no more to say when an event stream begins is taken to have left', async (t) => {
  const edge = await startEdge(t, silent);
  const client = edge.connect().send(GET).end();
  await client.take('102 Processing');
  const { exchange } = edge.heard[0]!;
  exchange.respond(200, '', ['Content-Type', 'text/event-stream']);
  // It reads on, and is never without an event: nothing else would tell.
  const timer = setInterval(() => exchange.write(Buffer.from('data: more\n\n')), 10);
  t.after(() => clearInterval(timer));
  assert.deepEqual(await settledAs(edge), ['CLIENT_LEFT', 499]);
});

test('a client that leaves in the midst of its content', async (t) => {
  const edge = await startEdge(t, silent);
  const client = edge.connect().send(`POST / HTTP/1.1\r\n${HOST}Content-Length: 9\r\n\r\nabc`);
  await edge.until('content', () => edge.heard[0]?.body === 'abc');
  client.leave();
  assert.deepEqual(await settledAs(edge), ['CLIENT_LEFT', 499]);
  assert.equal(edge.heard[0]!.trailers, null);
});

test('a client over TCP that resets at once is no client of a Unix socket: nothing is made of its request', async (t) => {
  const edge = await startEdge(t);
  for (let at = 0; at < 20; at++) {
    const { socket } = edge.connect();
    await once(socket, 'connect');
    // In one turn: the request and the reset are both there when it is read.
    socket.write(GET);
    socket.resetAndDestroy();
  }
  assert.equal((await edge.connect().send(GET).response()).status, 200);
  await edge.until('end of the others', () => edge.listener.connections === 1);
  assert.deepEqual(
    edge.settled.map(({ client }) => client.address),
    ['127.0.0.1'],
  );
});

test('a client that leaves in the midst of a head has a line in the log', async (t) => {
  const edge = await startEdge(t);
  edge.connect().send(`GET /begun HTTP/1.1\r\n${HOST}`).end();
  assert.deepEqual(await settledAs(edge), ['CLIENT_LEFT', 499]);
  assert.equal(edge.settled[0]!.received.target, '/begun');
  assert.equal(edge.heard.length, 0);
});

test('less content than Content-Length promised: the response is cut, and not kept alive', async (t) => {
  const edge = await startEdge(t, ({ exchange }) => {
    exchange.respond(200, '', ['Content-Length', '10']);
    exchange.write(Buffer.from('1234'));
    setImmediate(() => setImmediate(() => exchange.end([])));
  });
  const client = edge.connect().send(GET + GET);
  await client.ended();
  assert.match(client.received, /\r\n\r\n1234$/);
  assert.deepEqual(await settledAs(edge), ['RESPONSE_LENGTH', 200]);
  assert.equal(edge.heard.length, 1);
});

test('more content than Content-Length promised is not sent', async (t) => {
  const edge = await startEdge(t, ({ exchange }) => {
    exchange.respond(200, '', ['Content-Length', '2']);
    setImmediate(() => setImmediate(() => exchange.write(Buffer.from('1234'))));
  });
  const client = edge.connect().send(GET);
  await client.ended();
  assert.match(client.received, /\r\n\r\n$/);
  assert.deepEqual(await settledAs(edge), ['RESPONSE_LENGTH', 200]);
});

test('a wrong length that shows before the head has left is a 502', async (t) => {
  const edge = await startEdge(t, ({ exchange }) => {
    exchange.respond(200, '', ['Content-Length', '2']);
    exchange.write(Buffer.from('1234'));
    exchange.end([]);
  });
  const client = edge.connect().send(GET);
  const response = await client.response();
  assert.equal(response.status, 502);
  assert.match(response.body, /^502 RESPONSE_LENGTH: .* Request [0-9a-f]{32}\.\n$/);
});

test('a response head that HTTP does not allow is a 502', async (t) => {
  const edge = await startEdge(t, ({ exchange }) => exchange.respond(200, '', ['a b', 'c']));
  const response = await edge.connect().send(GET).response();
  assert.equal(response.status, 502);
  assert.deepEqual(await settledAs(edge), ['RESPONSE_INVALID', 502]);
});

test('fail() before the head: the status of the failure, and the connection stays', async (t) => {
  const edge = await startEdge(t, ({ exchange }) => {
    exchange.fail(failure('QUEUE_FULL'));
    exchange.fail(failure('WORKER_DIED'));
  });
  const client = edge.connect().send(GET);
  const response = await client.response();
  assert.equal(response.status, 503);
  assert.equal(response.fields.get('retry-after'), '1');
  assert.match(response.body, /^503 QUEUE_FULL: /);
  assert.equal(edge.heard[0]!.closes.length, 1);
  assert.equal(edge.heard[0]!.closes[0]?.code, 'QUEUE_FULL');
  client.send(`HEAD / HTTP/1.1\r\n${HOST}\r\n`);
  assert.equal((await client.response('HEAD')).status, 503);
  client.send(GET);
  assert.match((await client.response()).body, /^503 QUEUE_FULL: /);
});

test('fail() after the head cuts a chunked response short of its end', async (t) => {
  const edge = await startEdge(t, stream);
  const client = edge.connect().send(GET);
  await client.take('some\r\n');
  edge.heard[0]!.exchange.fail(failure('WORKER_DIED'));
  await client.ended();
  assert.equal(client.received, '');
  assert.deepEqual(await settledAs(edge), ['WORKER_DIED', 200]);
});

test('fail() after the head resets where only the end of the connection ends the content', async (t) => {
  const edge = await startEdge(t, stream);
  const client = edge.connect().send('GET / HTTP/1.0\r\n\r\n');
  await client.take('some');
  edge.heard[0]!.exchange.fail(failure('WORKER_DIED'));
  assert.equal(await client.ended(), 'reset');
});

test('a head that comes byte by byte does not get more time: 408', async (t) => {
  const edge = await startEdge(t, echo, { headerTimeoutMs: 150 });
  const client = edge.connect().send(`GET / HTTP/1.1\r\n${HOST}X: `);
  const timer = setInterval(() => client.send('x'), 10);
  t.after(() => clearInterval(timer));
  const response = await client.response();
  clearInterval(timer);
  assert.equal(response.status, 408);
  assert.match(response.body, /^408 HEAD_TIMEOUT: [ -~]+\n$/);
  assert.equal(await client.ended(), 'fin');
  assert.deepEqual(await settledAs(edge), ['HEAD_TIMEOUT', 408]);
});

test('a connection without a byte is closed without a word', async (t) => {
  const edge = await startEdge(t, echo, { headerTimeoutMs: 50 });
  const client = edge.connect();
  assert.equal(await client.ended(), 'fin');
  assert.equal(client.received, '');
  assert.equal(edge.settled.length, 0);
});

test('an idle connection is closed without a word after keepAliveMs', async (t) => {
  const edge = await startEdge(t, echo, { keepAliveMs: 50 });
  const client = edge.connect().send(GET);
  await client.response();
  assert.equal(await client.ended(), 'fin');
  assert.equal(client.received, '');
  assert.equal(edge.settled.length, 1);
});

test('content that stops coming: 408', async (t) => {
  const edge = await startEdge(t, silent, { bodyTimeoutMs: 100 });
  const client = edge.connect().send(`POST / HTTP/1.1\r\n${HOST}Content-Length: 9\r\n\r\nabc`);
  const response = await client.response();
  assert.equal(response.status, 408);
  assert.equal(response.fields.get('connection'), 'close');
  assert.equal(edge.heard[0]!.closes[0]?.code, 'BODY_TIMEOUT');
});

test('content the handler did not ask for, or has not consumed, has no time limit', async (t) => {
  const edge = await startEdge(t, silent, { bodyTimeoutMs: 50 });
  const asking = edge.connect();
  asking.send(`POST / HTTP/1.1\r\n${HOST}Expect: 100-continue\r\nContent-Length: 1\r\n\r\n`);
  const heard = await edge.until('request', () => edge.heard[0]);
  // Others time out meanwhile.
  const other = edge.connect().send(`POST / HTTP/1.1\r\n${HOST}Content-Length: 9\r\n\r\n`);
  assert.equal((await other.response()).status, 408);
  assert.equal(heard.closes.length, 0);
  heard.exchange.consumed(0);
  assert.equal((await asking.response()).status, 100);
  asking.send('x');
  await edge.until('content', () => heard.body === 'x');
});

test('a client that takes nothing of its answer is cut off after sendTimeoutMs', async (t) => {
  const edge = await startEdge(
    t,
    ({ exchange }) => {
      exchange.respond(200, '', []);
      exchange.write(Buffer.alloc(32 * 1024 * 1024));
      exchange.end([]);
    },
    { sendTimeoutMs: 100 },
  );
  const client = edge.connect();
  client.socket.pause();
  client.send(GET);
  assert.deepEqual(await settledAs(edge), ['SEND_TIMEOUT', 200]);
});

test('CONNECT and TRACE are refused with 405', async (t) => {
  const edge = await startEdge(t);
  for (const request of [
    `CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n`,
    `TRACE / HTTP/1.1\r\n${HOST}\r\n`,
  ]) {
    const client = edge.connect().send(request);
    const response = await client.response();
    assert.equal(response.status, 405);
    assert.match(response.fields.get('allow') ?? '', /^GET, /);
    assert.equal(await client.ended(), 'fin');
  }
  assert.equal(edge.heard.length, 0);
  assert.equal(edge.settled.length, 2);
});

test('a request for an upgrade is an ordinary one that says so', async (t) => {
  const edge = await startEdge(t);
  const client = edge.connect();
  client.send(`GET / HTTP/1.1\r\n${HOST}Connection: upgrade\r\nUpgrade: websocket\r\n\r\n`);
  assert.equal((await client.response()).status, 200);
  assert.equal((edge.heard[0]!.exchange as { upgrade?: string | null }).upgrade, 'websocket');
});

test('a handler that throws costs its client a 500, and nobody else anything', async (t) => {
  const edge = await startEdge(t, (heard) => {
    if (heard.exchange.request.target === '/bad') throw new Error('a mistake');
    echo(heard);
  });
  const client = edge.connect().send(`GET /bad HTTP/1.1\r\n${HOST}\r\n`);
  const response = await client.response();
  assert.equal(response.status, 500);
  assert.match(response.body, /^500 EDGE_FAULT/);
  assert.equal(await client.ended(), 'fin');
  assert.equal(edge.logged.length, 1);
  assert.equal((await edge.connect().send(GET).response()).status, 200);
});

test('a drain answers what is open with Connection: close, closes what is idle, and then resolves', async (t) => {
  const edge = await startEdge(t, (heard) => {
    if (heard.exchange.request.target === '/slow') return;
    echo(heard);
  });
  const idle = edge.connect().send(GET);
  await idle.response();
  const slow = edge.connect().send(`GET /slow HTTP/1.1\r\n${HOST}\r\n`);
  const heard = await edge.until('request', () => edge.heard[1]);
  let isDrained = false;
  const drained = edge.listener.drain(10_000).then(() => {
    isDrained = true;
  });
  assert.equal(await idle.ended(), 'fin');
  idle.end();
  assert.equal(isDrained, false);
  echo(heard);
  assert.equal((await slow.response()).fields.get('connection'), 'close');
  await slow.ended();
  slow.end();
  await drained;
  assert.equal(edge.listener.connections, 0);
  assert.equal(edge.listener.requestsInFlight, 0);
});

test('a connection accepted just before a drain has its request answered', async (t) => {
  const edge = await startEdge(t);
  const client = edge.connect();
  await edge.until('connection', () => edge.listener.connections === 1);
  const drained = edge.listener.drain(10_000);
  await new Promise((resolve) => setImmediate(resolve));
  client.send(GET);
  assert.equal((await client.response()).fields.get('connection'), 'close');
  client.end();
  await drained;
});

test('what is still open at the deadline of a drain is cut', async (t) => {
  const edge = await startEdge(t, silent);
  const client = edge.connect().send(GET);
  await edge.until('request', () => edge.heard[0]);
  await edge.listener.drain(50);
  assert.deepEqual(await settledAs(edge), ['SHUTTING_DOWN', 503]);
  await client.ended();
});

test('a second drain may be in more of a hurry, and both resolve', async (t) => {
  const edge = await startEdge(t, silent);
  edge.connect().send(GET);
  await edge.until('request', () => edge.heard[0]);
  const first = edge.listener.drain(10_000);
  await edge.listener.drain(20);
  await first;
  assert.equal(edge.listener.connections, 0);
});
