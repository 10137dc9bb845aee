// Worker class "http": plain HTTP/1.1 on the worker's socket, kept alive, counted and drained.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http, { Agent } from 'node:http';
import { test } from 'node:test';
import { until } from '../helpers/until.ts';
import { spawnWorker, type WorkerProcess } from '../helpers/worker.ts';

const app = 'basic/esm.mjs';

async function talk(worker: WorkerProcess) {
  const ready = await worker.heard('ready');
  const agent = new Agent({ keepAlive: true });
  const begin = (path: string, options: http.RequestOptions = {}) =>
    http.request({ socketPath: ready.sockets[0]!, path, agent, ...options });
  const ask = async (path: string, options: http.RequestOptions = {}, body = '') => {
    const request = begin(path, options);
    request.end(body);
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    let text = '';
    for await (const chunk of response.setEncoding('utf8')) text += chunk;
    return {
      status: response.statusCode,
      fields: response.headers,
      text,
      reused: request.reusedSocket,
    };
  };
  return { ready, begin, ask, agent };
}

const config = { workerClass: 'http', timeoutMs: 300 } as const;

test('an app is served over plain HTTP, several requests on one connection', async (t) => {
  const worker = spawnWorker(t, app, { config });
  const { ready, ask, agent } = await talk(worker);
  t.after(() => agent.destroy());
  assert.equal(ready.protocol, 'http');
  assert.equal((await ask('/')).text, 'hello');
  const second = await ask('/echo', { method: 'POST' }, 'content');
  assert.deepEqual([second.text, second.reused], ['content', true]);
  const failed = await ask('/throw');
  assert.deepEqual([failed.status, failed.text], [500, 'Internal Server Error\n']);
  await until(
    'a heartbeat that counts three requests',
    async () => worker.messages.findLast(({ type }) => type === 'heartbeat'),
    (beat) => beat?.type === 'heartbeat' && beat.served === 3 && beat.inFlight === 0,
  );
});

test('the answer of a request in flight is waited for, idle connections are closed at once', async (t) => {
  const worker = spawnWorker(t, app, { config });
  const { begin, agent } = await talk(worker);
  t.after(() => agent.destroy());
  const echo = begin('/echo', { method: 'POST' });
  echo.write('first, ');
  const [answer] = (await once(echo, 'response')) as [http.IncomingMessage];
  const other = begin('/');
  other.end();
  const [hello] = (await once(other, 'response')) as [http.IncomingMessage];
  const closed = once(hello.socket, 'close');
  hello.resume();
  await once(hello, 'end');
  worker.send({ type: 'drain', deadlineMs: 10_000 });
  await closed;
  echo.end('last');
  let text = '';
  for await (const chunk of answer.setEncoding('utf8')) text += chunk;
  assert.equal(text, 'first, last');
  assert.equal(await worker.exited, 0);
  assert.doesNotMatch(worker.log(), /cut \d+ requests/);
});

test('max-requests counts requests, not connections', async (t) => {
  const worker = spawnWorker(t, app, { config, maxRequests: 3 });
  const { ask, agent } = await talk(worker);
  t.after(() => agent.destroy());
  for (let at = 0; at < 3; at += 1) await ask('/');
  assert.match((await worker.heard('retire')).reason, /served 3 requests/);
});

test('what is in flight at the deadline is cut', async (t) => {
  const worker = spawnWorker(t, app, { config });
  const { begin, ask, agent } = await talk(worker);
  t.after(() => agent.destroy());
  const waiting = begin('/wait?key=a');
  const failed = once(waiting, 'error');
  waiting.end();
  await until(
    'the request in flight',
    async () => JSON.parse((await ask('/waiting')).text).keys.length,
    (keys) => keys === 1,
  );
  worker.send({ type: 'drain', deadlineMs: 50 });
  await failed;
  await worker.logged(/cut 1 requests/);
  assert.equal(await worker.exited, 0);
});
