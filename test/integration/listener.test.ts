// What an HTTP/1.1 connection at the edge does with well-behaved clients.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { failure } from '../../src/errors/failure.ts';
import type { Fields } from '../../src/http/exchange.ts';
import { plainAddress } from '../../src/http/trust.ts';
import { echo, startEdge } from '../helpers/edge-listener.ts';
import { needs } from '../helpers/need.ts';

const HOST = 'Host: a\r\n';

test('a request is answered and the connection stays open for the next', async (t) => {
  const edge = await startEdge(t);
  const client = edge.connect();
  for (const target of ['/1', '/2?x=%20']) {
    client.send(`GET ${target} HTTP/1.1\r\n${HOST}\r\n`);
    const response = await client.response();
    assert.equal(response.status, 200);
    assert.equal(response.body, `GET ${target} `);
    assert.equal(response.fields.has('connection'), false);
    assert.match(response.fields.get('date') ?? '', /^\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT$/);
  }
  assert.equal(edge.settled.length, 2);
  const { record, requestId, client: facts } = edge.settled[0]!;
  assert.equal(record.status, 200);
  assert.equal(record.responseBytes, 'GET /1 '.length);
  assert.equal(record.failure, null);
  assert.ok(record.respondedMs >= record.startedMs && record.startedMs > 0);
  assert.match(requestId, /^[0-9a-f]{32}$/);
  assert.notEqual(requestId, edge.settled[1]!.requestId);
  assert.deepEqual(
    [facts.address, facts.peerAddress, facts.scheme],
    ['127.0.0.1', '127.0.0.1', 'http'],
  );
  assert.equal(facts.localPort, edge.port);
  assert.deepEqual(edge.heard[0]!.closes, [null]);
});

test('pipelined requests are answered in order, one at a time', async (t) => {
  const waiting: (() => void)[] = [];
  const edge = await startEdge(t, (heard) => {
    heard.onEnd = () => waiting.push(() => echo(heard));
  });
  const client = edge.connect();
  client.send(
    [1, 2, 3].map((n) => `POST /${n} HTTP/1.1\r\n${HOST}Content-Length: 2\r\n\r\nb${n}`).join(''),
  );
  for (const n of [1, 2, 3]) {
    await edge.until('request', () => waiting.length === 1);
    assert.equal(edge.heard.length, n);
    waiting.pop()!();
    assert.equal((await client.response()).body, `POST /${n} b${n}`);
  }
  assert.equal(edge.settled.length, 3);
});

test('pipelined requests that are answered at once are answered in one piece', async (t) => {
  const edge = await startEdge(t, echoAtHead);
  const client = edge.connect();
  client.send(`GET /1 HTTP/1.1\r\n${HOST}\r\nGET /2 HTTP/1.1\r\n${HOST}\r\n`);
  let pieces = 0;
  client.socket.on('data', () => pieces++);
  assert.equal((await client.response()).body, '/1');
  assert.equal((await client.response()).body, '/2');
  assert.equal(pieces, 1);
});

test('while a request is in work the edge stops reading the ones behind it', async (t) => {
  const edge = await startEdge(t, (heard) => {
    heard.onEnd = () => {};
  });
  const client = edge.connect();
  const request = `GET / HTTP/1.1\r\n${HOST}X: ${'x'.repeat(4000)}\r\n\r\n`;
  let sent = 0;
  let stalledFor = 0;
  // Far more than two socket buffers hold: the client must come to a stand.
  while (stalledFor < 20 && sent < 64 * 1024 * 1024) {
    if (client.socket.writableLength < 65536) {
      client.send(request);
      sent += request.length;
      stalledFor = 0;
    } else {
      stalledFor++;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  assert.ok(sent < 64 * 1024 * 1024, 'the edge read all that was sent');
  assert.equal(edge.heard.length, 1);
});

test('HTTP/1.0 closes after the answer, unless it asks for keep-alive', async (t) => {
  const edge = await startEdge(t);
  const one = edge.connect().send('GET /1 HTTP/1.0\r\n\r\n');
  const response = await one.response();
  assert.match(response.head, /^HTTP\/1\.1 200 /);
  assert.equal(response.fields.get('connection'), 'close');
  assert.equal(await one.ended(), 'fin');
  const two = edge.connect().send('GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
  assert.equal((await two.response()).fields.get('connection'), 'keep-alive');
  two.send('GET /2 HTTP/1.0\r\n\r\n');
  assert.equal((await two.response()).body, 'GET /2 ');
  assert.equal(await two.ended(), 'fin');
});

test('Connection: close is answered in kind', async (t) => {
  const edge = await startEdge(t);
  const client = edge.connect().send(`GET / HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`);
  assert.equal((await client.response()).fields.get('connection'), 'close');
  assert.equal(await client.ended(), 'fin');
});

test('a client that asked for the end is not waited for, and has its answer whole', async (t) => {
  const content = 'a'.repeat(4_000_000);
  const edge = await startEdge(t, (heard) => {
    heard.onEnd = () => heard.reply(200, content);
  });
  const client = edge.connect();
  client.socket.pause();
  client.send(`GET / HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`);
  await edge.until('request', () => edge.heard.length === 1);
  client.socket.resume();
  const { body } = await client.response();
  assert.ok(body === content);
  assert.equal(await client.ended(), 'fin');
  // Long before LINGER_MS is over.
  await edge.until('closed connection', () => edge.listener.connections === 0);
});

test('keepAliveMs 0 means one request a connection', async (t) => {
  const edge = await startEdge(t, echo, { keepAliveMs: 0 });
  const client = edge.connect().send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
  assert.equal((await client.response()).fields.get('connection'), 'close');
  assert.equal(await client.ended(), 'fin');
});

test('HEAD, 204 and 304 have no content', async (t) => {
  const edge = await startEdge(t, (heard) => {
    heard.onEnd = () => {
      const { method, target } = heard.exchange.request;
      if (method === 'HEAD') return heard.reply(200, 'hello');
      heard.exchange.respond(Number(target.slice(1)), '', ['ETag', '"1"']);
      heard.exchange.write(Buffer.from('no one wants this'));
      heard.exchange.end([]);
    };
  });
  const client = edge.connect();
  client.send(`HEAD / HTTP/1.1\r\n${HOST}\r\n`);
  assert.equal((await client.response('HEAD')).fields.get('content-length'), '5');
  for (const status of [204, 304]) {
    client.send(`GET /${status} HTTP/1.1\r\n${HOST}\r\n`);
    const response = await client.response();
    assert.equal(response.status, status);
    assert.equal(response.fields.has('transfer-encoding'), false);
  }
  client.send(`HEAD / HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`);
  await client.ended();
  await client.response('HEAD');
  assert.equal(client.received, '');
  assert.deepEqual(
    edge.settled.map(({ record }) => record.responseBytes),
    [0, 0, 0, 0],
  );
});

test('content goes both ways in chunks, with trailers', async (t) => {
  const edge = await startEdge(t, (heard) => {
    heard.onEnd = () => {
      heard.exchange.respond(200, '', []);
      heard.exchange.write(Buffer.from(heard.body));
      heard.exchange.write(Buffer.from('!'));
      heard.exchange.end(heard.trailers as Fields);
    };
  });
  const client = edge.connect();
  client.send(`POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n`);
  client.send('3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 5\r\n\r\n');
  const response = await client.response();
  assert.equal(response.body, 'abcde!');
  assert.equal(response.trailers, 'X-Sum: 5\r\n');
  assert.equal(edge.settled[0]!.record.requestBytes, 5);
  assert.equal(edge.settled[0]!.record.responseBytes, 6);
});

test('content of unknown length ends with the connection for HTTP/1.0', async (t) => {
  const edge = await startEdge(t, (heard) => {
    heard.exchange.respond(200, '', []);
    heard.exchange.write(Buffer.from('abc'));
    heard.exchange.end(['X', 'dropped']);
  });
  const client = edge.connect().send('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
  const response = await client.response();
  assert.equal(response.body, 'abc');
  assert.equal(response.fields.get('connection'), 'close');
  assert.equal(client.ending, 'fin');
});

test('a head and pieces of content are sent when they are given, not when the answer ends', async (t) => {
  const edge = await startEdge(t, (heard) => {
    heard.exchange.respond(200, '', ['Content-Type', 'text/event-stream']);
  });
  const client = edge.connect().send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
  assert.match(await client.take('\r\n\r\n'), /event-stream/);
  const { exchange } = edge.heard[0]!;
  for (const piece of ['one', 'two']) {
    exchange.write(Buffer.from(piece));
    assert.equal(await client.take(`3\r\n${piece}\r\n`), `3\r\n${piece}\r\n`);
  }
  exchange.end([]);
  await client.take('0\r\n\r\n');
});

test('informational responses go to HTTP/1.1 clients and not to HTTP/1.0', async (t) => {
  const edge = await startEdge(t, (heard) => {
    heard.exchange.inform(103, ['Link', '</a.css>; rel=preload']);
    heard.reply(200, 'x');
  });
  const client = edge.connect().send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
  const hint = await client.response();
  assert.equal(hint.status, 103);
  assert.equal(hint.fields.get('link'), '</a.css>; rel=preload');
  assert.equal((await client.response()).status, 200);
  const old = edge.connect().send('GET / HTTP/1.0\r\n\r\n');
  assert.equal((await old.response()).status, 200);
});

test('Expect: 100-continue is answered when the handler wants the content', async (t) => {
  const edge = await startEdge(t, (heard) => {
    heard.exchange.consumed(0);
    heard.exchange.consumed(0);
    heard.onEnd = () => heard.reply(200, heard.body);
  });
  const client = edge.connect();
  client.send(`PUT / HTTP/1.1\r\n${HOST}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n`);
  assert.equal((await client.response()).status, 100);
  client.send('ab');
  const response = await client.response();
  assert.equal(response.body, 'ab');
  assert.equal(response.fields.has('connection'), false);
});

test('a handler that refuses an Expect: 100-continue never asks for the content, and closes', async (t) => {
  const edge = await startEdge(t, (heard) => heard.reply(403, 'no'));
  const client = edge.connect();
  client.send(`PUT / HTTP/1.1\r\n${HOST}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n`);
  const response = await client.response();
  assert.equal(response.status, 403);
  assert.equal(response.fields.get('connection'), 'close');
  assert.equal(await client.ended(), 'fin');
});

test('content that comes unasked after Expect: 100-continue needs no 100', async (t) => {
  const edge = await startEdge(t);
  const client = edge.connect();
  client.send(`PUT / HTTP/1.1\r\n${HOST}Expect: 100-continue\r\nContent-Length: 2\r\n\r\nab`);
  assert.equal((await client.response()).body, 'PUT / ab');
});

test('a large answer is sent whole, and onDrain says when there is room', async (t) => {
  const piece = Buffer.alloc(48 * 1024, 'p');
  let left = 200;
  let refused = 0;
  const edge = await startEdge(t, (heard) => {
    const { exchange } = heard;
    exchange.respond(200, '', ['Content-Length', String(left * piece.length)]);
    const more = (): void => {
      while (left > 0) {
        left--;
        if (!exchange.write(piece)) {
          refused++;
          break;
        }
      }
      if (left === 0) exchange.end([]);
    };
    heard.onRoom = more;
    more();
  });
  const total = left * piece.length;
  const client = edge.connect();
  client.socket.pause();
  client.send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
  await edge.until('backpressure', () => refused > 0 && edge.heard[0]!.drains === refused - 1);
  assert.ok(left > 0, 'all was written although the client reads nothing');
  client.socket.resume();
  const response = await client.response();
  assert.equal(response.body.length, total);
  assert.ok(edge.heard[0]!.drains > 0);
  assert.equal(edge.settled[0]!.record.responseBytes, total);
});

test('a handler that does not consume stops the upload, and one that does gets it all', async (t) => {
  const edge = await startEdge(t, (heard) => {
    heard.consumes = false;
    heard.onEnd = () => heard.reply(200, String(heard.body.length));
  });
  const total = 8 * 1024 * 1024;
  const client = edge.connect();
  client.send(`POST / HTTP/1.1\r\n${HOST}Content-Length: ${total}\r\n\r\n`);
  client.send(Buffer.alloc(total, 'b'));
  const heard = await edge.until('content', () => edge.heard[0]);
  const limit = 256 * 1024;
  await edge.until('a full window', () => heard.body.length > limit);
  assert.ok(heard.body.length <= limit + 65536, `${heard.body.length} bytes came unasked`);
  let given = 0;
  while (given < total) {
    const got = await edge.until(
      'more content',
      () => heard.body.length > given && heard.body.length,
    );
    heard.exchange.consumed(got - given);
    given = got;
  }
  assert.equal((await client.response()).body, String(total));
});

test('content that comes before attach() is kept for the handler', async (t) => {
  const edge = await startEdge(t, undefined, {}, { attach: 'later' });
  const client = edge.connect();
  client.send(`POST /x HTTP/1.1\r\n${HOST}Content-Length: 4\r\n\r\nab`);
  const exchange = await edge.until('exchange', () => edge.waiting[0]);
  client.send('cd');
  await edge.until('content', () => exchange.record.requestBytes === 4);
  edge.attach(exchange);
  assert.equal((await client.response()).body, 'POST /x abcd');
});

test('large content in many pieces comes out as it was given', async (t) => {
  const pieces = [1, 20_000, 3, 70_000, 0, 5, 16_384].map((n, i) =>
    Buffer.alloc(n, String.fromCharCode(97 + i)),
  );
  const edge = await startEdge(t, ({ exchange }) => {
    exchange.respond(200, '', []);
    for (const piece of pieces) exchange.write(piece);
    exchange.end([]);
  });
  const client = edge.connect().send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
  assert.equal((await client.response()).body, Buffer.concat(pieces).toString());
});

test('a Unix socket has no client address', async (t) => {
  const edge = await startEdge(t, (heard) => {
    if (heard.exchange.request.target === '/cut') {
      heard.exchange.respond(200, '', []);
      setImmediate(() => setImmediate(() => heard.exchange.fail(failure('WORKER_DIED'))));
    } else echo(heard);
  });
  const client = edge.connect(edge.path).send(`GET /1 HTTP/1.1\r\n${HOST}\r\n`);
  assert.equal((await client.response()).body, 'GET /1 ');
  const { address, peerAddress, port } = edge.settled[0]!.client;
  assert.deepEqual([address, peerAddress, port], ['', '', 0]);
  // Such a socket can't be reset, only closed.
  client.send('GET /cut HTTP/1.0\r\n\r\n');
  await client.ended();
});

test('addresses are shown without IPv4 mapping and without zone', () => {
  assert.equal(plainAddress('::ffff:192.0.2.1'), '192.0.2.1');
  assert.equal(plainAddress('fe80::1%eth0'), 'fe80::1');
  assert.equal(plainAddress('::1'), '::1');
  assert.equal(plainAddress(undefined), '');
});

test('curl: keep-alive, an upload that expects 100, HTTP/1.0, HEAD', needs('curl'), async (t) => {
  const edge = await startEdge(t);
  const url = `http://127.0.0.1:${edge.port}`;
  const curl = async (...args: string[]): Promise<string> =>
    (await promisify(execFile)('curl', ['-sS', '--max-time', '10', ...args])).stdout;
  const twice = await curl('-w', ' %{num_connects}\n', `${url}/1`, `${url}/2`);
  assert.equal(twice, 'GET /1  1\nGET /2  0\n');
  const dir = mkdtempSync(join(tmpdir(), 'portico-'));
  t.after(() => rmSync(dir, { recursive: true }));
  writeFileSync(join(dir, 'body'), 'b'.repeat(900_000));
  const upload = ['--data-binary', `@${join(dir, 'body')}`, '-H', 'Expect: 100-continue'];
  assert.equal((await curl(...upload, `${url}/up`)).length, 'POST /up '.length + 900_000);
  const chunked = ['-T', join(dir, 'body'), '-H', 'Transfer-Encoding: chunked'];
  assert.equal((await curl(...chunked, `${url}/up`)).length, 'PUT /up '.length + 900_000);
  assert.equal(await curl('--http1.0', `${url}/old`), 'GET /old ');
  assert.match(await curl('-I', `${url}/head`), /^HTTP\/1\.1 200 OK\r\nDate: /);
});

test('limits and times that a reload changes hold for the next request', async (t) => {
  const edge = await startEdge(t);
  const client = edge.connect().send(`GET / HTTP/1.1\r\n${HOST}\r\n`);
  assert.equal((await client.response()).status, 200);
  edge.options.limits = { ...edge.options.limits, requestLineBytes: 20 };
  client.send(`GET /${'x'.repeat(30)} HTTP/1.1\r\n${HOST}\r\n`);
  assert.equal((await client.response()).status, 414);
});

test('unlisten stops accepting, and what is open goes on', async (t) => {
  const edge = await startEdge(t);
  const client = edge.connect().send(`GET /1 HTTP/1.1\r\n${HOST}\r\n`);
  await client.response();
  await edge.listener.unlisten('tcp');
  await edge.listener.unlisten('tcp');
  assert.equal(await edge.connect().ended(), 'reset');
  client.send(`GET /2 HTTP/1.1\r\n${HOST}\r\n`);
  assert.equal((await client.response()).body, 'GET /2 ');
});

function echoAtHead(heard: Parameters<typeof echo>[0]): void {
  heard.reply(200, heard.exchange.request.target);
}
