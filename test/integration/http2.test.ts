// What an HTTP/2 connection at the edge does with well-behaved clients, over h2c with prior knowledge.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { test } from 'node:test';
import { failure } from '../../src/errors/failure.ts';
import type { Fields } from '../../src/http/exchange.ts';
import { echo, startEdge, whenWhole } from '../helpers/edge-listener.ts';
import { answerOf, ask, FrameClient, GOAWAY, h2c } from '../helpers/http2-client.ts';

const on = { h2c: true };

test('requests are answered on one connection, many at a time', async (t) => {
  const edge = await startEdge(t, echo, on);
  const session = h2c(t, edge.port);
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, at) => ask(session, `/${at}?x=%20`)),
  );
  for (const [at, answer] of answers.entries()) {
    assert.equal(answer.status, 200);
    assert.equal(answer.body, `GET /${at}?x=%20 `);
    assert.equal(answer.headers['content-length'], String(answer.body.length));
    assert.match(answer.headers.date ?? '', /^\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT$/);
  }
  await edge.until('end of all', () => edge.settled.length === 50);
  assert.equal(edge.listener.connections, 1);
  assert.equal(edge.listener.requestsInFlight, 0);
  const { record, received, client } = edge.settled[0]!;
  assert.equal(received.version, '2.0');
  assert.equal(record.status, 200);
  assert.equal(record.failure, null);
  assert.equal(record.responseBytes, 'GET /0?x=%20 '.length);
  assert.ok(record.respondedMs >= record.startedMs && record.startedMs > 0);
  assert.deepEqual([client.address, client.scheme], ['127.0.0.1', 'http']);
  assert.deepEqual(edge.heard[0]!.closes, [null]);
});

test('on the same port HTTP/1.1 goes on, also where it begins as the preface does', async (t) => {
  const edge = await startEdge(t, echo, on);
  const client = edge.connect();
  for (const piece of ['P', 'O', 'ST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab'])
    client.send(piece);
  assert.equal((await client.response()).body, 'POST /1 ab');
  client.send('GET /2 HTTP/1.1\r\nHost: a\r\n\r\n');
  assert.equal((await client.response()).body, 'GET /2 ');
});

test('without h2c the preface is a request of a version that is not spoken', async (t) => {
  const edge = await startEdge(t);
  const client = edge.connect().send('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  assert.equal((await client.response()).status, 505);
});

test('a preface that comes byte by byte is one', async (t) => {
  const edge = await startEdge(t, echo, on);
  const client = new FrameClient(t, edge.port, { settings: false });
  for (const byte of 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n') {
    client.send(byte);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await client.frame('SETTINGS', ({ type }) => type === 4);
});

test('the app sees Host, one Cookie, and fields in order', async (t) => {
  const edge = await startEdge(t, echo, on);
  const session = h2c(t, edge.port);
  await ask(session, '/', {
    headers: {
      ':authority': 'shop.example:81',
      accept: '*/*',
      cookie: ['a=1', 'b=2', 'c=3'],
      'x-one': ['1', '2'],
      te: 'trailers',
    },
  });
  assert.deepEqual(edge.settled[0]?.received ?? edge.heard[0]!.exchange.request, {
    method: 'GET',
    target: '/',
    version: '2.0',
    fields: [
      ...['host', 'shop.example:81', 'accept', '*/*', 'cookie', 'a=1; b=2; c=3'],
      ...['x-one', '1', 'x-one', '2', 'te', 'trailers'],
    ],
  });
});

test('content goes both ways, with trailers', async (t) => {
  const edge = await startEdge(
    t,
    (heard) => {
      heard.onEnd = () => {
        heard.exchange.respond(200, '', ['Set-Cookie', 'a', 'Set-Cookie', 'b']);
        heard.exchange.write(Buffer.from(heard.body));
        setImmediate(() => {
          heard.exchange.write(Buffer.from('!'));
          heard.exchange.end(heard.trailers as Fields);
        });
      };
    },
    on,
  );
  const session = h2c(t, edge.port);
  const answer = await ask(session, '/', {
    body: 'abcde',
    trailers: { 'x-sum': '5', host: 'x', 'content-type': 'x' },
  });
  assert.equal(answer.body, 'abcde!');
  assert.deepEqual(answer.headers['set-cookie'], ['a', 'b']);
  assert.deepEqual(Object.entries(answer.trailers), [['x-sum', '5']]);
  assert.equal(edge.heard[0]!.exchange.bodyLength, 'unknown');
  await edge.until('end', () => edge.settled.length === 1);
  assert.equal(edge.settled[0]!.record.requestBytes, 5);
  assert.equal(edge.settled[0]!.record.responseBytes, 6);
});

test('trailers are sent with an answer that is whole at once, and with one without content', async (t) => {
  const edge = await startEdge(
    t,
    ({ exchange }) => {
      exchange.respond(200, '', []);
      if (exchange.request.target === '/content') exchange.write(Buffer.from('x'));
      exchange.end(['Grpc-Status', '0', 'Content-Length', '3']);
    },
    on,
  );
  const session = h2c(t, edge.port);
  for (const path of ['/content', '/none']) {
    const answer = await ask(session, path);
    assert.equal(answer.body, path === '/content' ? 'x' : '');
    assert.deepEqual(Object.entries(answer.trailers), [['grpc-status', '0']]);
  }
});

test('HEAD, 204, 205 and 304 have no content', async (t) => {
  const edge = await startEdge(
    t,
    (heard) => {
      whenWhole(heard, () => {
        const { method, target } = heard.exchange.request;
        if (method === 'HEAD') return heard.reply(200, 'hello');
        heard.exchange.respond(Number(target.slice(1)), '', ['ETag', '"1"']);
        heard.exchange.write(Buffer.from('no one wants this'));
        heard.exchange.end([]);
      });
    },
    on,
  );
  const session = h2c(t, edge.port);
  const head = await ask(session, '/', { headers: { ':method': 'HEAD' } });
  assert.equal(head.headers['content-length'], '5');
  assert.equal(head.body, '');
  for (const status of [204, 205, 304]) {
    const answer = await ask(session, `/${status}`);
    assert.equal(answer.status, status);
    assert.equal(answer.body, '');
    assert.equal(answer.resetCode, 0);
  }
  await edge.until('end of all', () => edge.settled.length === 4);
  for (const { record } of edge.settled) {
    assert.equal(record.responseBytes, 0);
    assert.equal(record.failure, null);
  }
});

test('early hints and other informational answers are sent', async (t) => {
  const edge = await startEdge(
    t,
    (heard) => {
      heard.exchange.inform(103, ['Link', '</a.css>; rel=preload', 'Connection', 'x']);
      heard.exchange.inform(101, []);
      heard.exchange.inform(102, []);
      heard.reply(200, 'x');
    },
    on,
  );
  const answer = await ask(h2c(t, edge.port), '/');
  assert.deepEqual(
    answer.informational.map((fields) => [fields[':status'], fields.link]),
    [
      [103, '</a.css>; rel=preload'],
      [102, undefined],
    ],
  );
  assert.equal(answer.body, 'x');
});

test('Expect: 100-continue is answered when the handler wants the content', async (t) => {
  const edge = await startEdge(
    t,
    (heard) => {
      heard.exchange.consumed(0);
      heard.exchange.consumed(0);
      whenWhole(heard, () => heard.reply(200, heard.body));
    },
    on,
  );
  const stream = h2c(t, edge.port).request({ ':method': 'PUT', expect: '100-continue' });
  const answer = answerOf(stream);
  await once(stream, 'continue');
  stream.end('ab');
  assert.equal((await answer).body, 'ab');
});

test('a handler that refuses an Expect: 100-continue never asks for the content', async (t) => {
  const edge = await startEdge(t, (heard) => heard.reply(403, 'no'), on);
  const stream = h2c(t, edge.port).request({ ':method': 'PUT', expect: '100-continue' });
  stream.on('continue', () => assert.fail('asked'));
  stream.on('response', () => stream.end());
  const answer = await answerOf(stream);
  assert.equal(answer.status, 403);
  assert.equal(answer.body, 'no');
});

test('a head and pieces of content are sent when they are given', async (t) => {
  const edge = await startEdge(
    t,
    (heard) => heard.exchange.respond(200, '', ['Content-Type', 'text/event-stream']),
    on,
  );
  const stream = h2c(t, edge.port).request({});
  const [fields] = await once(stream, 'response');
  assert.equal(fields['content-type'], 'text/event-stream');
  const { exchange } = edge.heard[0]!;
  for (const piece of ['one', 'two']) {
    exchange.write(Buffer.from(piece));
    const [chunk] = await once(stream, 'data');
    assert.equal(String(chunk), piece);
  }
  exchange.end([]);
  await once(stream, 'end');
});

test('a large answer is sent whole, and onDrain says when there is room', async (t) => {
  const piece = Buffer.alloc(48 * 1024, 'p');
  const pieces = 200;
  let blocked = 0;
  const edge = await startEdge(
    t,
    (heard) => {
      let left = pieces;
      const { exchange } = heard;
      exchange.respond(200, '', ['Content-Length', String(pieces * piece.length)]);
      const send = (): void => {
        while (left > 0) {
          left--;
          if (!exchange.write(piece)) {
            blocked++;
            return;
          }
        }
        exchange.end([]);
      };
      heard.onRoom = send;
      send();
    },
    on,
  );
  const answer = await ask(h2c(t, edge.port), '/');
  assert.equal(answer.body.length, pieces * piece.length);
  assert.ok(blocked > 10, `${blocked} times`);
  await edge.until('end', () => edge.settled.length === 1);
  assert.equal(edge.settled[0]!.record.failure, null);
});

test('large content comes out as it was given', async (t) => {
  const sum = createHash('sha1');
  let bytes = 0;
  const edge = await startEdge(
    t,
    (heard) => {
      const take = heard.onRequestData.bind(heard);
      heard.onRequestData = (chunk) => {
        sum.update(chunk);
        bytes += chunk.length;
        take(chunk);
      };
      whenWhole(heard, () => heard.reply(200, `${bytes} ${sum.digest('hex')}`));
    },
    on,
  );
  const body = Buffer.from(Array.from({ length: 3_000_001 }, (_, at) => at % 251));
  const answer = await ask(h2c(t, edge.port), '/', { body });
  assert.equal(answer.body, `${body.length} ${createHash('sha1').update(body).digest('hex')}`);
});

test('a handler that does not consume stops the upload, and one that does gets it all', async (t) => {
  const edge = await startEdge(
    t,
    (heard) => {
      heard.consumes = false;
      whenWhole(heard, () => heard.reply(200, String(heard.body.length)));
    },
    on,
  );
  const session = h2c(t, edge.port);
  const answer = ask(session, '/', { body: Buffer.alloc(2 * 1024 * 1024, 'u') });
  const heard = await edge.until('request', () => edge.heard[0]);
  await edge.until('content', () => heard.body.length >= 64 * 1024);
  await ask(session, '/other'); // what was sent before it has come
  const stopped = heard.body.length;
  assert.ok(stopped < 256 * 1024, `${stopped} bytes came`);
  heard.consumes = true;
  heard.exchange.consumed(stopped);
  assert.equal((await answer).body, String(2 * 1024 * 1024));
});

test('one slow upload does not stop the others on its connection', async (t) => {
  const edge = await startEdge(
    t,
    (heard) => {
      heard.consumes = heard.exchange.request.target !== '/slow';
      whenWhole(heard, () => heard.reply(200, String(heard.body.length)));
    },
    on,
  );
  const session = h2c(t, edge.port);
  void ask(session, '/slow', { body: Buffer.alloc(1024 * 1024) });
  await edge.until('slow one', () => (edge.heard[0]?.body.length ?? 0) > 0);
  const answer = await ask(session, '/fast', { body: Buffer.alloc(1024 * 1024) });
  assert.equal(answer.body, String(1024 * 1024));
});

test('content that comes before attach() is kept for the handler', async (t) => {
  const edge = await startEdge(t, echo, on, { attach: 'later' });
  const answer = ask(h2c(t, edge.port), '/', { body: 'abc' });
  const exchange = await edge.until('request', () => edge.waiting[0]);
  await new Promise((resolve) => setTimeout(resolve, 20));
  edge.attach(exchange);
  assert.equal((await answer).body, 'POST / abc');
});

test('a field that may be sent only once, sent twice, is a list', async (t) => {
  const edge = await startEdge(
    t,
    (heard) =>
      heard.reply(200, 'x', ['Server', 'a', 'Server', 'b', 'X', ' padded ', 'constructor', 'c']),
    on,
  );
  const { headers } = await ask(h2c(t, edge.port), '/');
  assert.equal(headers.server, 'a, b');
  assert.equal(headers.x, 'padded');
  assert.equal(headers.constructor, 'c');
});

test('a handler that answers before the content came: the client reads the answer', async (t) => {
  const edge = await startEdge(t, (heard) => heard.reply(200, 'early'), on);
  const session = h2c(t, edge.port);
  const small = await ask(session, '/', { body: 'x'.repeat(1000) });
  assert.equal(small.body, 'early');
  const large = await ask(session, '/', { body: Buffer.alloc(4 * 1024 * 1024) });
  assert.equal(large.status, 200);
  assert.equal(large.body, 'early');
  await edge.until('end of both', () => edge.settled.length === 2);
  assert.deepEqual(
    edge.settled.map(({ record }) => record.failure),
    [null, null],
  );
});

test('a client that resets before the answer: the handler hears of it, and the log says 499', async (t) => {
  const edge = await startEdge(t, () => {}, on);
  const session = h2c(t, edge.port);
  for (const method of ['GET', 'HEAD']) {
    const stream = session.request({ ':method': method });
    stream.on('error', () => {});
    const heard = await edge.until('request', () =>
      edge.heard.find((one) => one.closes.length === 0),
    );
    stream.close(8);
    await edge.until('end', () => heard.closes.length === 1);
    assert.equal(heard.closes[0]?.code, 'CLIENT_LEFT');
    assert.equal(edge.settled.at(-1)!.record.status, 499);
  }
  assert.equal(
    (await Promise.race([once(session, 'close'), Promise.resolve('open')])) as string,
    'open',
  );
});

test('a client that resets while the answer streams: the handler hears of it', async (t) => {
  const edge = await startEdge(t, (heard) => heard.exchange.respond(200, '', []), on);
  for (const code of [8, 0]) {
    const session = h2c(t, edge.port);
    const stream = session.request({});
    stream.on('error', () => {});
    await once(stream, 'response');
    stream.close(code);
    const heard = edge.heard.at(-1)!;
    await edge.until('end', () => heard.closes.length === 1);
    assert.equal(heard.closes[0]?.code, 'CLIENT_LEFT');
  }
});

test('a client that closes its connection: all its requests hear of it', async (t) => {
  const edge = await startEdge(t, () => {}, on);
  const session = h2c(t, edge.port);
  for (let at = 0; at < 5; at++) session.request({}).on('error', () => {});
  await edge.until('requests', () => edge.heard.length === 5);
  session.destroy();
  await edge.until('end of all', () => edge.settled.length === 5);
  assert.deepEqual(
    edge.heard.map(({ closes }) => closes[0]?.code),
    Array(5).fill('CLIENT_LEFT'),
  );
  await edge.until('end of the connection', () => edge.listener.connections === 0);
});

test('fail(): its status before the head, and after it a reset stream', async (t) => {
  const edge = await startEdge(
    t,
    ({ exchange }) => {
      if (exchange.request.target === '/late') {
        exchange.respond(200, '', []);
        exchange.write(Buffer.from('some'));
        setImmediate(() => setImmediate(() => exchange.fail(failure('WORKER_DIED'))));
      } else if (exchange.request.target === '/taken-back') {
        exchange.respond(200, '', []);
        exchange.fail(failure('WORKER_DIED'));
      } else exchange.fail(failure('QUEUE_FULL'));
    },
    on,
  );
  const session = h2c(t, edge.port);
  const early = await ask(session, '/early');
  assert.equal(early.status, 503);
  assert.equal(early.headers['retry-after'], '1');
  const late = await ask(session, '/late');
  assert.equal(late.body, 'some');
  assert.equal(late.resetCode, 2); // INTERNAL_ERROR
  assert.equal((await ask(session, '/taken-back')).status, 502);
  assert.equal((await ask(session, '/early')).status, 503);
});

test('more or less content than promised is no whole answer', async (t) => {
  const edge = await startEdge(
    t,
    ({ exchange }) => {
      exchange.respond(200, '', ['Content-Length', '4']);
      exchange.write(Buffer.from(exchange.request.target === '/less' ? 'abc' : 'abcde'));
      exchange.end([]);
    },
    on,
  );
  const session = h2c(t, edge.port);
  for (const path of ['/less', '/more']) assert.equal((await ask(session, path)).status, 502);
});

test('a status or a field that HTTP/2 does not have is a 502', async (t) => {
  const edge = await startEdge(
    t,
    ({ exchange }) => {
      const [, kind] = exchange.request.target.split('/');
      exchange.respond(kind === 'status' ? 700 : 200, '', kind === 'field' ? ['X', 'a\nb'] : []);
      exchange.end([]);
    },
    on,
  );
  const session = h2c(t, edge.port);
  for (const path of ['/status', '/field']) assert.equal((await ask(session, path)).status, 502);
});

test('a handler that throws costs its client a 500, and nobody else anything', async (t) => {
  const edge = await startEdge(
    t,
    (heard) => {
      if (heard.exchange.request.target === '/throw') throw new Error('oops');
      heard.reply(200, 'fine');
    },
    on,
  );
  const session = h2c(t, edge.port);
  assert.equal((await ask(session, '/throw')).status, 500);
  assert.equal((await ask(session, '/')).body, 'fine');
  assert.match(edge.logged.join(), /fault/);
});

test('an idle connection is asked to leave and closed', async (t) => {
  const edge = await startEdge(t, echo, { ...on, keepAliveMs: 60 });
  const session = h2c(t, edge.port);
  const left = once(session, 'goaway');
  await ask(session, '/');
  const [code] = await left;
  assert.equal(code, 0);
  await edge.until('end of the connection', () => edge.listener.connections === 0);
});

test('a connection that asks for nothing is closed after headerTimeoutMs', async (t) => {
  const edge = await startEdge(t, echo, { ...on, headerTimeoutMs: 60 });
  const client = new FrameClient(t, edge.port);
  assert.equal(await client.goaway(), 0);
  assert.equal(edge.settled.length, 0);
});

test('a drain answers what is open and what is on its way, tells the client to leave, and resolves', async (t) => {
  const waiting: (() => void)[] = [];
  const edge = await startEdge(
    t,
    (heard) => {
      whenWhole(heard, () => waiting.push(() => echo(heard)));
    },
    on,
  );
  const session = h2c(t, edge.port);
  const first = ask(session, '/1');
  await edge.until('request', () => waiting.length === 1);
  const left = once(session, 'goaway');
  const drained = edge.listener.drain(5_000);
  // Sent before the client can have seen the GOAWAY.
  const second = ask(session, '/2');
  await edge.until('second request', () => waiting.length === 2);
  await left;
  for (const answer of waiting) answer();
  assert.equal((await first).body, 'GET /1 ');
  assert.equal((await second).body, 'GET /2 ');
  await drained;
  assert.deepEqual(
    edge.settled.map(({ record }) => record.failure),
    [null, null],
  );
});

test('the last GOAWAY names the last stream that is answered', async (t) => {
  const edge = await startEdge(t, echo, on);
  const session = h2c(t, edge.port);
  await ask(session, '/1');
  await ask(session, '/2');
  const client = new FrameClient(t, edge.port);
  await client.frame('SETTINGS', ({ type }) => type === 4);
  await edge.listener.drain(5_000);
  await client.closed();
  const last = client.frames
    .filter(({ type }) => type === GOAWAY)
    .map(({ payload }) => payload.readUInt32BE(0));
  assert.ok(last.length >= 1);
  assert.equal(last.at(-1), 0);
});

test('what is still open at the deadline of a drain is cut', async (t) => {
  const edge = await startEdge(t, () => {}, on);
  const answer = ask(h2c(t, edge.port), '/');
  await edge.until('request', () => edge.heard.length === 1);
  await edge.listener.drain(30);
  assert.notEqual((await answer).status, 200);
  assert.equal(edge.heard[0]!.closes[0]?.code, 'SHUTTING_DOWN');
});

test('content that stops coming: 408, on its own stream only', async (t) => {
  const edge = await startEdge(t, echo, { ...on, bodyTimeoutMs: 60 });
  const session = h2c(t, edge.port);
  const stream = session.request({ ':method': 'POST' });
  stream.write('ab');
  assert.equal((await answerOf(stream)).status, 408);
  assert.equal((await ask(session, '/')).status, 200);
});

test('content the handler has not consumed has no time limit', async (t) => {
  const edge = await startEdge(
    t,
    (heard) => {
      heard.consumes = false;
      whenWhole(heard, () => heard.reply(200, 'x'));
    },
    { ...on, bodyTimeoutMs: 60 },
  );
  const session = h2c(t, edge.port);
  const answer = ask(session, '/', { body: Buffer.alloc(1024 * 1024) });
  await edge.until('content', () => (edge.heard[0]?.body.length ?? 0) > 64 * 1024);
  await new Promise((resolve) => setTimeout(resolve, 150));
  const heard = edge.heard[0]!;
  assert.deepEqual(heard.closes, []);
  heard.consumes = true;
  heard.exchange.consumed(heard.body.length);
  assert.equal((await answer).status, 200);
});

test('a client that takes nothing of its answer: the stream is reset after sendTimeoutMs', async (t) => {
  const edge = await startEdge(
    t,
    (heard) => {
      if (heard.exchange.request.target === '/other') return heard.reply(200, 'x');
      heard.exchange.respond(200, '', []);
      while (heard.exchange.write(Buffer.alloc(64 * 1024)));
    },
    { ...on, sendTimeoutMs: 80 },
  );
  const session = h2c(t, edge.port);
  const stream = session.request({});
  stream.pause();
  stream.on('error', () => {});
  await edge.until('end', () => edge.settled.length === 1);
  assert.equal(edge.settled[0]!.record.failure?.code, 'SEND_TIMEOUT');
  assert.equal((await ask(session, '/other')).body, 'x');
});
