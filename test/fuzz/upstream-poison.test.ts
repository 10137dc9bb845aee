// An upstream that answers one request with a mutated response: whatever becomes of that, the next request gets its own.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { connectHttp } from '../../src/edge/upstream/http-link.ts';
import type { LinkRequest, LinkStream } from '../../src/link/link.ts';
import { lyingWorker } from '../helpers/http-workers.ts';
import { mutated } from '../helpers/requests.ts';
import { until } from '../helpers/until.ts';

const seed = Number(process.env.FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31));
console.log(`seed ${seed} (FUZZ_SEED repeats it)`);

const first = fc.constantFrom(
  'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n0\r\nX-A: b\r\n\r\n',
  'HTTP/1.1 103 Early\r\nLink: a\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n',
  'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: "a"\r\n\r\n',
  'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nfirst',
);

interface Result {
  status: number;
  body: string;
  end: string;
}

test('no byte of a mutated response gets to the next request', async (t) => {
  let lie: string | null = null;
  const worker = await lyingWorker(t, (one) => {
    const target = /^\S+ (\S+) /.exec(one.received)?.[1] ?? '';
    one.received = '';
    if (lie !== null) one.socket.write(lie, 'latin1');
    else one.socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${target.length}\r\n\r\n${target}`);
    lie = null;
  });
  let isUp = false;
  const link = connectHttp({
    address: { kind: 'unix', path: worker.address.sockets[0]! },
    settings: {
      ...{ connectTimeoutMs: 5_000, idleTimeoutMs: 0, keepAliveMs: 5_000, host: null },
      ...{ maxConnections: 8, idleConnections: 8 },
    },
    preamble: null,
    onUp: () => {
      isUp = true;
    },
    onDown: () => {},
  });
  t.after(() => link.destroy({} as never));
  await until('up', () => isUp);
  let count = 0;
  const ask = (result: Result): LinkStream => {
    const request: LinkRequest = {
      request: { method: 'GET', target: `/${count++}`, version: '1.1', fields: ['Host', 'a'] },
      client: {
        ...{ address: '', port: 0, peerAddress: '', localAddress: '', localPort: 0, tls: null },
        scheme: 'http',
      },
      ...{ requestId: 'r', bodyLength: 0, expectsContinue: false },
    };
    return link.open(request, {
      onInform: () => {},
      onResponse: (status) => {
        result.status = status;
      },
      onData: (chunk) => {
        result.body += Buffer.from(chunk).toString('latin1');
      },
      onEnd: () => {
        result.end = 'whole';
      },
      onConsumed: () => {},
      onFailed: ({ code }) => {
        result.end = code;
      },
    });
  };
  const property = fc.asyncProperty(first.chain(mutated), async (bytes) => {
    lie = bytes;
    const one: Result = { status: 0, body: '', end: '' };
    const stream = ask(one);
    // What is not over by then waits for more.
    for (let turn = 0; one.end === '' && turn < 5; turn++)
      await new Promise((resolve) => setTimeout(resolve, 1));
    stream.cancel();
    const own = `/${count}`;
    const two: Result = { status: 0, body: '', end: '' };
    lie = null;
    ask(two);
    await until('the second response', () => two.end !== '');
    assert.deepEqual(two, { status: 200, body: own, end: 'whole' });
  });
  await fc.assert(property, { seed, numRuns: 300 });
  assert.equal(link.inFlight, 0);
});
