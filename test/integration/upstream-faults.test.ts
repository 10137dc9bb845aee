// What proxies are known to get wrong on the way to an HTTP upstream (http-proxy 1.18.1 as its README uses it does all of
// it): none of it happens on this lane.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { type TestContext, test } from 'node:test';
import { httpWorker } from '../helpers/http-workers.ts';
import { runEdge } from '../helpers/running-edge.ts';
import { until } from '../helpers/until.ts';

/** A worker that writes down each request with its content, and answers with its number. */
async function recorder(t: TestContext) {
  const requests: { line: string; framing: string; body: string }[] = [];
  let malformed = 0;
  const worker = await httpWorker(t, async (request: IncomingMessage, response) => {
    let body = '';
    for await (const chunk of request) body += String(chunk);
    const { 'content-length': length, 'transfer-encoding': coding } = request.headers;
    const framing = `${length ?? '-'} ${coding ?? '-'}`;
    requests.push({ line: `${request.method} ${request.url}`, framing, body });
    response.setHeader('X-Fields', JSON.stringify(request.headers));
    response.end(String(requests.length));
  });
  worker.server.on('clientError', () => malformed++);
  return { worker, requests, malformed: () => malformed };
}

test('clients that leave in the midst of a download leave no connection behind', async (t) => {
  const { edge, connect } = await runEdge(t);
  let closed = 0;
  const worker = await httpWorker(t, (_request, response) => {
    response.on('close', () => closed++);
    const more = (): void => {
      while (!response.destroyed && response.write(Buffer.alloc(65_536)));
    };
    response.on('drain', more);
    more();
  });
  edge.pools.admit(worker.address);
  const clients = Array.from({ length: 20 }, () =>
    connect().send('GET / HTTP/1.1\r\nHost: a\r\n\r\n'),
  );
  for (const client of clients) await client.take('\r\n\r\n');
  for (const client of clients) client.leave();
  await until('the end of all downloads', () => closed === 20);
  assert.equal(edge.pools.status()[0]!.inFlight, 0);
});

const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n';

for (const method of ['DELETE', 'OPTIONS', 'GET', 'POST'])
  test(`${method} with chunked content is one request, framed`, async (t) => {
    const { edge, connect } = await runEdge(t);
    const { worker, requests, malformed } = await recorder(t);
    edge.pools.admit(worker.address);
    const client = connect();
    const chunk = `${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`;
    const fields = 'Host: a\r\nTransfer-Encoding: chunked';
    await client.send(`${method} /one HTTP/1.1\r\n${fields}\r\n\r\n${chunk}`).response();
    await client.send('GET /two HTTP/1.1\r\nHost: a\r\n\r\n').response();
    assert.deepEqual(requests, [
      { line: `${method} /one`, framing: '- chunked', body: smuggled },
      { line: 'GET /two', framing: '- -', body: '' },
    ]);
    assert.equal(malformed(), 0);
  });

test('content that comes over HTTP/2 without a length is framed too', async (t) => {
  const { edge, port } = await runEdge(t, { h2c: true });
  const { worker, requests, malformed } = await recorder(t);
  edge.pools.admit(worker.address);
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  t.after(() => session.destroy());
  for (const method of ['DELETE', 'GET', 'OPTIONS']) {
    const stream = session.request({ ':method': method, ':path': '/one' }, { endStream: false });
    stream.end(smuggled);
    await once(stream.resume(), 'end');
  }
  const expected = ['DELETE', 'GET', 'OPTIONS'].map((method) => ({
    ...{ line: `${method} /one`, framing: '- chunked', body: smuggled },
  }));
  assert.deepEqual(requests, expected);
  assert.equal(malformed(), 0);
});

test('Connection takes away neither what frames content nor what says who the client is', async (t) => {
  const { edge, connect } = await runEdge(t);
  const { worker, requests } = await recorder(t);
  edge.pools.admit(worker.address);
  const named = 'content-length, transfer-encoding, host, x-forwarded-for, x-drop';
  const fields = `Host: a\r\nConnection: ${named}\r\nX-Drop: 1\r\nKeep-Alive: 5\r\nProxy-Authorization: b\r\nContent-Length: ${smuggled.length}`;
  const response = await connect()
    .send(`DELETE /one HTTP/1.1\r\n${fields}\r\n\r\n${smuggled}`)
    .response();
  assert.deepEqual(requests, [
    { line: 'DELETE /one', framing: `${smuggled.length} -`, body: smuggled },
  ]);
  const seen = JSON.parse(response.fields.get('x-fields')!);
  assert.equal(seen.host, 'a');
  assert.equal(seen['x-forwarded-for'], '127.0.0.1');
  for (const name of ['x-drop', 'keep-alive', 'proxy-authorization'])
    assert.equal(seen[name], undefined, name);
});

test('a target arrives as it was sent', async (t) => {
  const { edge, connect } = await runEdge(t);
  const { worker, requests } = await recorder(t);
  edge.pools.admit(worker.address);
  const targets = ['//a//b', '/a\\b', '/a/../b', '/%2e%2e/c', '/?a=//b', '/a;b=c?d=e|f'];
  const client = connect();
  for (const target of targets)
    await client.send(`GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`).response();
  assert.deepEqual(
    requests.map(({ line }) => line),
    targets.map((target) => `GET ${target}`),
  );
});
