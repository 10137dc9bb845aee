// Event streams and long polling through the whole program, compression on.

import assert from 'node:assert/strict';
import http2 from 'node:http2';
import { after, before, type TestContext, test } from 'node:test';
import { createGunzip } from 'node:zlib';
import { type PorticoProcess, startPortico, suiteOwner } from '../helpers/portico.ts';
import { RawClient } from '../helpers/raw-client.ts';
import { until } from '../helpers/until.ts';

const app = 'test/fixtures/apps/upgrade/streams.mjs';
const suite = suiteOwner();
let portico: PorticoProcess;

before(async () => {
  // A second without a word must not end a stream, nor 2 in which it says nothing.
  portico = await startPortico(suite, [
    ...[app, '-w', '1', '--h2c', '--keep-alive', '1', '--send-timeout', '1', '--body-timeout', '1'],
    ...['--response-timeout', '3'],
  ]);
});
after(() => suite.end());

const left = async (): Promise<number> =>
  Number(await (await fetch(`${portico.origin}/left`)).text());

/** The app is told within 100 ms; a busy machine may take longer, but not as long as any time-out. */
async function noticed(before: number): Promise<void> {
  const fromMs = performance.now();
  await until('end', async () => ((await left()) > before ? true : null));
  const tookMs = performance.now() - fromMs;
  assert.ok(tookMs < 1000, `${tookMs} ms`);
}

for (const path of ['/express/events', '/plain/events']) {
  test(`${path}: the first event comes at once, compressed or not, and the app hears of the end`, async (t) => {
    for (const coding of ['identity', 'gzip']) {
      const before = await left();
      const client = rawClient(t);
      client.send(`GET ${path} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: ${coding}\r\n\r\n`);
      const head = await client.take('\r\n\r\n');
      if (coding === 'gzip' && /content-encoding: gzip/i.test(head)) {
        const size = Number.parseInt(await client.take('\r\n'), 16);
        assert.ok(size > 0);
        const gunzip = createGunzip();
        let text = '';
        gunzip.on('data', (piece: Buffer) => {
          text += piece;
        });
        await until('event', () => {
          if (client.received !== '') {
            gunzip.write(Buffer.from(client.received.replace(/\r\n$/, ''), 'latin1'));
            client.received = '';
          }
          return text.includes('data: first') ? true : null;
        });
      } else await client.take('data: first\n\n');
      client.leave();
      await noticed(before);
    }
  });

  test(`${path}: the same over HTTP/2`, async (t) => {
    const before = await left();
    const session = http2.connect(portico.origin);
    t.after(() => session.destroy());
    const stream = session.request({ ':path': path, 'accept-encoding': 'gzip' });
    stream.on('error', () => {});
    let bytes = 0;
    stream.on('data', (piece: Buffer) => {
      bytes += piece.length;
    });
    await until('event', () => (bytes > 0 ? true : null));
    stream.close(http2.constants.NGHTTP2_CANCEL);
    await noticed(before);
  });
}

test('a client that leaves its long poll is noticed', async (t) => {
  const before = await left();
  const client = rawClient(t);
  client.send('GET /poll HTTP/1.1\r\nHost: x\r\n\r\n');
  await until('request', async () =>
    (await (await fetch(`${portico.origin}/waiting`)).text()) === '0' ? null : true,
  );
  client.leave();
  await noticed(before);
});

test('a stream that says nothing for longer than any time-out goes on', async (t) => {
  const client = rawClient(t);
  client.send('GET /express/events HTTP/1.1\r\nHost: x\r\n\r\n');
  await client.take('data: first\n\n');
  const other = rawClient(t);
  other.send('GET /poll HTTP/1.1\r\nHost: x\r\n\r\n');
  // The poll ends by responseTimeout (3 s), which is longer than the others: by then they would have struck.
  assert.equal((await other.response()).status, 504);
  assert.equal(client.ending, null);
});

test('a long poll is answered when there is something to tell', async (t) => {
  const client = rawClient(t);
  client.send('GET /poll HTTP/1.1\r\nHost: x\r\n\r\n');
  const answered = client.response();
  let text = '';
  void answered.then(({ body }) => {
    text = body;
  });
  // It may not have got there at the first.
  await until('answer', async () => {
    await fetch(`${portico.origin}/tell?text=news`);
    return text === '' ? null : text;
  });
  assert.equal(text, 'news');
});

function rawClient(t: TestContext): RawClient {
  const client = new RawClient(portico.port);
  t.after(() => client.leave());
  return client;
}
