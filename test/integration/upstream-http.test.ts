// Workers that are reached by HTTP/1.1: requests and responses of all shapes, connections kept and retried.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { test } from 'node:test';
import { httpWorker, lyingWorker, socketPath } from '../helpers/http-workers.ts';
import type { RawClient } from '../helpers/raw-client.ts';
import { runEdge } from '../helpers/running-edge.ts';
import { until } from '../helpers/until.ts';

const hello = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello';

/** All that comes until the connection ends. */
async function restOf(client: RawClient): Promise<string> {
  await client.ended();
  return client.received;
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

test('requests go to an HTTP worker one after another on one connection', async (t) => {
  const { edge, connect } = await runEdge(t);
  const worker = await httpWorker(t, async (request, response) => {
    const content = await bodyOf(request);
    response.setHeader('X-Seen', JSON.stringify(request.headers));
    response.end(`${request.method} ${request.url} ${content.toString()}`);
  });
  edge.pools.admit(worker.address);
  await until('worker', () => edge.pools.workersReady === 1);
  const client = connect();
  for (let n = 0; n < 5; n++) {
    const request = `POST /a?n=${n} HTTP/1.1\r\nHost: test.example\r\nContent-Length: 4\r\nConnection: x-drop\r\nX-Drop: 1\r\n\r\nbody`;
    const response = await client.send(request).response();
    assert.equal(response.body, `POST /a?n=${n} body`);
    const seen = JSON.parse(response.fields.get('x-seen')!);
    assert.equal(seen.host, 'test.example');
    assert.equal(seen['content-length'], '4');
    assert.equal(seen['x-forwarded-for'], '127.0.0.1');
    assert.equal(seen['x-request-id'], response.fields.get('x-request-id'));
    assert.equal(seen['x-drop'], undefined);
  }
  assert.equal(worker.connections.size, 1);
});

test('chunked content, trailers and early hints pass both ways', async (t) => {
  const { edge, connect } = await runEdge(t);
  const worker = await httpWorker(t, async (request, response) => {
    const content = await bodyOf(request);
    response.writeEarlyHints({ link: '</a.css>; rel=preload' });
    response.writeHead(200, { Trailer: 'X-Sum' });
    response.write(content);
    response.addTrailers({ 'X-Sum': `${content.length} ${request.trailers['x-check'] ?? ''}` });
    response.end();
  });
  edge.pools.admit(worker.address);
  const client = connect();
  client.send(
    'PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\nX-Check: 7\r\n\r\n',
  );
  const text = await until(
    'whole response',
    () => client.received.includes('X-Sum: 7 7') && client.received,
  );
  assert.match(text, /^HTTP\/1\.1 103 Early Hints\r\n/);
  assert.match(text, /\r\n7\r\nabcdefg\r\n0\r\n/);
});

test('a response until the end of the connection arrives whole, and the connection is not kept', async (t) => {
  const { edge, ask } = await runEdge(t);
  const worker = await lyingWorker(t, ({ socket }) =>
    socket.end('HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nall of it'),
  );
  edge.pools.admit(worker.address);
  for (let n = 1; n <= 2; n++) {
    const response = await ask('GET /', '\r\n').response();
    assert.equal(response.body, 'all of it');
    assert.equal(worker.lies.length, n);
  }
});

test('HEAD, 204 and 304 have no content, whatever their fields say, and the connection is kept', async (t) => {
  const { edge, ask } = await runEdge(t);
  const worker = await lyingWorker(t, (lie) => {
    const [line] = lie.received.split('\r\n');
    lie.received = '';
    if (line!.startsWith('HEAD')) lie.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n');
    else if (line!.includes('/204')) lie.socket.write('HTTP/1.1 204 No Content\r\n\r\n');
    else lie.socket.write('HTTP/1.1 304 Not Modified\r\nContent-Length: 50\r\nETag: "a"\r\n\r\n');
  });
  edge.pools.admit(worker.address);
  const head = await restOf(ask('HEAD /', 'Connection: close\r\n\r\n'));
  assert.match(head, /^HTTP\/1\.1 200 OK[\s\S]*Content-Length: 50\r\n/);
  assert.match(await restOf(ask('GET /204', 'Connection: close\r\n\r\n')), /^HTTP\/1\.1 204 /);
  assert.match(await restOf(ask('GET /304', 'Connection: close\r\n\r\n')), /^HTTP\/1\.1 304 /);
  assert.equal(worker.lies.length, 1);
});

test('a client that waits for 100 (Continue) is asked for its content by the worker', async (t) => {
  const { edge, connect } = await runEdge(t);
  const worker = await httpWorker(t, async (request, response) => {
    response.end(`${request.headers.expect} ${(await bodyOf(request)).toString()}`);
  });
  worker.server.on('checkContinue', (request, response) => {
    if (request.url === '/refused') {
      response.writeHead(403, { 'Content-Length': '0' }).end();
      return;
    }
    response.writeContinue();
    worker.server.emit('request', request, response);
  });
  edge.pools.admit(worker.address);
  const client = connect();
  client.send('POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n');
  await until('100', () => client.received.includes('100 Continue'));
  client.send('body');
  await until('answer', () => client.received.includes('100-continue body'));
  const refused = connect();
  refused.send(
    'POST /refused HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n',
  );
  const text = await until('refusal', () => refused.received.includes('403') && refused.received);
  assert.doesNotMatch(text, /100 Continue/);
});

test('large content goes both ways without filling memory, and a client that leaves ends the request', async (t) => {
  const { edge, connect } = await runEdge(t);
  const content = randomBytes(4 * 1024 * 1024);
  let closed = 0;
  const worker = await httpWorker(t, async (request, response) => {
    request.on('close', () => closed++);
    if (request.url === '/sum')
      response.end(
        createHash('sha256')
          .update(await bodyOf(request))
          .digest('hex'),
      );
    else if (request.url === '/large') response.end(content);
    else response.write('begun');
  });
  edge.pools.admit(worker.address);
  const upload = connect();
  upload.send(`PUT /sum HTTP/1.1\r\nHost: a\r\nContent-Length: ${content.length}\r\n\r\n`);
  upload.socket.write(content);
  const sum = createHash('sha256').update(content).digest('hex');
  assert.equal((await upload.response()).body, sum);

  const download = connect();
  download.send('GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  const all = await restOf(download);
  const body = Buffer.from(all.slice(all.indexOf('\r\n\r\n') + 4), 'latin1');
  assert.equal(createHash('sha256').update(body).digest('hex'), sum);

  const before = closed;
  const leaver = connect();
  leaver.send('GET /hangs HTTP/1.1\r\nHost: a\r\n\r\n');
  await until('begin', () => leaver.received.includes('begun'));
  leaver.leave();
  await until('end at the worker', () => closed > before);
});

test('a client that reads nothing stops the worker, and gets all of it once it reads', async (t) => {
  const { edge, connect } = await runEdge(t);
  let sent = 0;
  const total = 32 * 1024 * 1024;
  const worker = await httpWorker(t, (_request, response) => {
    response.writeHead(200, { 'Content-Length': String(total) });
    const block = Buffer.alloc(64 * 1024, 'x');
    const more = (): void => {
      while (sent < total) {
        sent += block.length;
        if (!response.write(block)) {
          response.once('drain', more);
          return;
        }
      }
      response.end();
    };
    more();
  });
  edge.pools.admit(worker.address);
  const client = connect();
  client.socket.pause();
  client.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  // It stands still: nothing more is sent from one look to the next ten.
  let last = -1;
  let still = 0;
  await until('standstill', () => {
    still = sent > 0 && sent === last ? still + 1 : 0;
    last = sent;
    return still > 10;
  });
  assert.ok(sent < total, `${sent} bytes were taken`);
  client.socket.resume();
  assert.equal((await restOf(client)).length - total > 0, true);
});

test('a connection that the worker has closed is not the end of the next request', async (t) => {
  const { edge, connect } = await runEdge(t);
  let closes = true;
  const worker = await lyingWorker(t, (lie) => {
    const isSecond = lie.received.split('GET /').length > 2;
    // Kept, and closed under the next request: what a server does whose patience ends just then.
    if (isSecond && closes) lie.socket.destroy();
    else lie.socket.write(hello);
  });
  edge.pools.admit(worker.address);
  const client = connect();
  for (let n = 0; n < 3; n++)
    assert.equal((await client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n').response()).body, 'hello');
  assert.ok(worker.lies.length >= 2);
  closes = false;
});

test('what the worker closes while idle is not used again, for any method', async (t) => {
  const { edge, connect } = await runEdge(t);
  const worker = await lyingWorker(t, (lie) => {
    lie.received = '';
    lie.socket.end(hello);
  });
  edge.pools.admit(worker.address);
  const client = connect();
  for (let n = 0; n < 20; n++)
    assert.equal(
      (await client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n').response())
        .body,
      'hello',
    );
});

test('a worker that stops is left for another, and found again when it is back', async (t) => {
  const { edge, connect } = await runEdge(t);
  const path = socketPath(t);
  const first = await lyingWorker(t, (lie) => lie.socket.end(hello), { path });
  const second = await lyingWorker(t, (lie) => lie.socket.end(hello));
  edge.pools.admit(first.address);
  edge.pools.admit(second.address);
  await until('both', () => edge.pools.workersReady === 2);
  first.die();
  const client = connect();
  for (let n = 0; n < 10; n++) {
    const request = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n';
    assert.equal((await client.send(request).response()).status, 200);
  }
  assert.equal(edge.pools.workersReady, 1);
  await lyingWorker(t, (lie) => lie.socket.end(hello), { path });
  await until('the first again', () => edge.pools.workersReady === 2);
});

test('as many connections as the capacity are opened, and the rest of the requests wait', async (t) => {
  const { edge, connect } = await runEdge(t);
  const open: (() => void)[] = [];
  const worker = await httpWorker(t, (_request, response) => open.push(() => response.end('ok')), {
    capacity: 2,
  });
  edge.pools.admit(worker.address);
  const clients = Array.from({ length: 5 }, () =>
    connect().send('GET / HTTP/1.1\r\nHost: a\r\n\r\n'),
  );
  await until('two in work, three waiting', () => open.length === 2 && edge.pools.queued === 3);
  for (const _ of clients) {
    await until('a request in work', () => open.length > 0);
    open.shift()!();
  }
  for (const client of clients) assert.equal((await client.response()).body, 'ok');
  assert.ok(worker.connections.size <= 2);
});

test('a withdrawn worker finishes what it has, and its connections end', async (t) => {
  const { edge, connect } = await runEdge(t);
  let answer: (() => void) | null = null;
  const worker = await httpWorker(t, (_request, response) => {
    answer = () => response.end('late');
  });
  edge.pools.admit(worker.address);
  const client = connect().send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await until('request', () => answer !== null);
  edge.withdraw(worker.address.id, () => {});
  answer!();
  assert.equal((await client.response()).body, 'late');
  const count = await new Promise((resolve) =>
    worker.server.close(() => resolve('no connection is left')),
  );
  assert.equal(count, 'no connection is left');
});
