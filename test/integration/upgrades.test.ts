// The upgrade lane against workers that say what no honest one would, and clients that leave at the wrong time.
// Where http-proxy used as its README says would fail, the test says so.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import type { Config } from '../../src/config/config.ts';
import { readPlainPreface } from '../../src/link/plain-preface.ts';
import { isLinkPreface } from '../../src/link/preface.ts';
import { acceptLink } from '../../src/link/worker-end.ts';
import { type MadePair, makePair } from '../helpers/certificates.ts';
import type { RawClient } from '../helpers/raw-client.ts';
import { type RunningEdge, runEdge } from '../helpers/running-edge.ts';
import { until } from '../helpers/until.ts';
import { workerAddress } from '../helpers/worker-address.ts';

/** What a worker got of plain HTTP on one connection. */
class Asked {
  readonly socket: Socket;
  /** Without the line that says who the client is. */
  text = '';
  constructor(socket: Socket) {
    this.socket = socket;
  }
}

type Script = (asked: Asked) => void;

interface Stage {
  readonly edge: RunningEdge;
  readonly asked: Asked[];
  /** Targets of the requests that came over the link. */
  readonly linked: string[];
}

/** An edge with one worker, which answers over the link, and by `script` when a head has come as plain HTTP. */
async function stage(
  t: TestContext,
  script: Script,
  changes: Partial<Config> = {},
  pairs: readonly MadePair[] = [],
): Promise<Stage> {
  const dir = mkdtempSync(join(tmpdir(), 'portico-up-'));
  const path = join(dir, 'w.sock');
  const asked: Asked[] = [];
  const linked: string[] = [];
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    open.add(socket);
    socket.on('error', () => {});
    socket.once('data', (first: Buffer) => {
      if (isLinkPreface(first))
        acceptLink(socket, { handle: answer, initial: first, onClose() {} });
      else follow(socket, first);
    });
  });
  const answer: Parameters<typeof acceptLink>[1]['handle'] = (exchange) => {
    linked.push(exchange.request.target);
    exchange.attach({ onRequestData() {}, onRequestEnd() {}, onDrain() {}, onClose() {} });
    exchange.respond(200, '', ['Content-Length', '6']);
    exchange.write(Buffer.from('linked'));
    exchange.end([]);
  };
  const follow = (socket: Socket, first: Buffer): void => {
    const one = new Asked(socket);
    asked.push(one);
    let bytes = Buffer.alloc(0);
    let isTold = false;
    const take = (chunk: Buffer): void => {
      bytes = Buffer.concat([bytes, chunk]);
      const preface = readPlainPreface(bytes);
      if (typeof preface === 'string') return;
      one.text = bytes.toString('latin1', preface.at);
      if (isTold || !one.text.includes('\r\n\r\n')) return;
      isTold = true;
      script(one);
    };
    socket.on('data', take);
    take(first);
  };
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const edge = await runEdge(t, { upgradeGraceMs: 0, ...changes }, pairs);
  edge.edge.pools.admit(workerAddress({ id: 1, sockets: [path] }));
  t.after(() => {
    for (const socket of open) socket.destroy();
    server.close();
    rmSync(dir, { recursive: true, force: true });
  });
  return { edge, asked, linked };
}

const upgrade = (protocol: string, fields = ''): string =>
  `GET /up?x HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n${fields}\r\n`;
const agreed = (protocol: string, fields = ''): string =>
  `HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n${fields}\r\n`;

const begin = ({ edge }: Stage, protocol: string, fields = ''): RawClient =>
  edge.connect().send(upgrade(protocol, fields));

test('a protocol of another name: bytes both ways, and the end of one way is not that of the other', async (t) => {
  const scene = await stage(t, ({ socket }) => {
    socket.write(`${agreed('echo/1')}with the answer `);
    socket.on('end', () => socket.end('after your end'));
  });
  const client = begin(scene, 'echo/1');
  assert.match(await client.take('\r\n\r\n'), /^HTTP\/1\.1 101 Switching Protocols\r\n/);
  await client.take('with the answer ');
  client.send('\x00\xffbytes').end();
  await client.take('after your end');
  assert.equal(await client.ended(), 'fin');
  assert.match(scene.asked[0]!.text, /\r\n\r\n\x00\xffbytes$/);
});

test('over TLS as well', async (t) => {
  const pair = await makePair(['localhost']);
  const scene = await stage(
    t,
    ({ socket }) => {
      socket.write(agreed('echo/1'));
      socket.on('data', (chunk) => socket.write(chunk));
    },
    {},
    [pair],
  );
  const client = connectTls({
    ...{ port: scene.edge.tlsPort, servername: 'localhost', rejectUnauthorized: false },
  });
  t.after(() => client.destroy());
  let text = '';
  client.setEncoding('latin1').on('data', (piece: string) => {
    text += piece;
  });
  client.write(upgrade('echo/1'));
  await until('101', () => text.includes('\r\n\r\n'));
  const sent = 'x'.repeat(1_000_000);
  client.write(sent);
  await until('echo', () => text.endsWith(sent));
  assert.match(scene.asked[0]!.text, /X-Forwarded-Proto: https\r\n/);
});

test('the worker gets one request with fields of the edge alone about the client and the connection', async (t) => {
  const scene = await stage(t, ({ socket }) => socket.end('HTTP/1.1 204 No Content\r\n\r\n'));
  const client = scene.edge
    .connect()
    .send(
      'GET //up\\x?y HTTP/1.1\r\nHost: test\r\nConnection: keep-alive, Upgrade, X-Drop\r\nUpgrade: websocket\r\n' +
        'X-Drop: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\nX-Kept: a\r\nx-kept: b\r\n__proto__: c\r\n\r\n',
    );
  assert.equal((await client.response()).status, 204);
  const { text } = scene.asked[0]!;
  assert.match(text, /^GET \/\/up\\x\?y HTTP\/1\.1\r\n/);
  assert.match(text, /\r\nX-Kept: a\r\nX-Kept: b\r\n/);
  assert.doesNotMatch(text, /__proto__/);
  assert.match(text, /\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n/);
  assert.match(text, /\r\nX-Forwarded-For: 127\.0\.0\.1\r\n/);
  assert.doesNotMatch(text, /x-drop|keep-alive/i);
  assert.equal(text.match(/^connection:/gim)?.length, 1);
});

test('what follows a refused upgrade is a request to the edge, never to the worker', async (t) => {
  const scene = await stage(t, ({ socket }) =>
    socket.write('HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno'),
  );
  const client = scene.edge
    .connect()
    .send(`${upgrade('websocket')}GET /smuggled HTTP/1.1\r\nHost: test\r\n\r\n`);
  assert.equal((await client.response()).status, 426);
  assert.equal((await client.response()).body, 'linked');
  assert.deepEqual(scene.linked, ['/smuggled']);
  assert.doesNotMatch(scene.asked[0]!.text, /smuggled/);
  // http-proxy would have piped it there, and kept the connection.
  await until(
    'end of the connection',
    () => scene.asked[0]!.socket.destroyed || scene.asked[0]!.socket.readableEnded,
  );
});

test('a refusal in chunks is framed anew', async (t) => {
  // http-proxy sends Transfer-Encoding: chunked, and then content without chunks.
  const scene = await stage(t, ({ socket }) =>
    socket.write(
      'HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
    ),
  );
  const response = await begin(scene, 'websocket').response();
  assert.deepEqual([response.status, response.body], [403, 'hello']);
  assert.equal(response.fields.get('connection'), undefined);
});

const lies: readonly (readonly [string, string])[] = [
  ['a 101 to another protocol', agreed('other')],
  ['a 101 that names no protocol', 'HTTP/1.1 101 Switching Protocols\r\n\r\n'],
  ['a 101 without Connection', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n'],
  ['a head of 100 KB', `HTTP/1.1 101 X\r\nX-Large: ${'x'.repeat(100_000)}\r\n\r\n`],
  ['what is no HTTP', 'SSH-2.0-OpenSSH_9.2\r\n\r\n'],
  ['two lengths', 'HTTP/1.1 403 X\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'],
];
for (const [what, bytes] of lies) {
  test(`${what} is a 502, and the connection to the worker is closed`, async (t) => {
    const scene = await stage(t, ({ socket }) => socket.write(bytes));
    const client = begin(scene, 'websocket');
    assert.equal((await client.response()).status, 502);
    const { socket } = scene.asked[0]!;
    await until('close', () => socket.destroyed || socket.readableEnded);
    assert.equal(scene.asked.length, 1, 'it is not asked again');
  });
}

test('a worker that hangs up is asked once more, then it is a 502', async (t) => {
  const scene = await stage(t, ({ socket }) => socket.destroy());
  assert.equal((await begin(scene, 'websocket').response()).status, 502);
  assert.equal(scene.asked.length, 2);
});

test('a worker that does not answer is a 504', async (t) => {
  const scene = await stage(t, () => {}, { responseTimeoutMs: 100 });
  assert.equal((await begin(scene, 'websocket').response()).status, 504);
});

test('a client that resets before the answer costs neither the edge nor a connection', async (t) => {
  // http-proxy as it comes: an uncaught exception, and the connection to the worker stays.
  const scene = await stage(t, () => {});
  const client = begin(scene, 'websocket');
  await until('request', () => scene.asked[0]?.text.includes('\r\n\r\n'));
  client.reset();
  await until('close', () => scene.asked[0]!.socket.readableEnded);
  assert.equal((await scene.edge.ask('GET /next').send('\r\n').response()).status, 200);
});

test('a refusal that breaks off is cut, not left hanging', async (t) => {
  const scene = await stage(t, ({ socket }) => {
    socket.write('HTTP/1.1 403 No\r\nContent-Length: 10\r\n\r\nhalf', () => socket.destroy());
  });
  const client = begin(scene, 'websocket');
  await client.take('half');
  await client.ended();
});

test('a request with content is answered as any: it would have to end first', async (t) => {
  const scene = await stage(t, () => {});
  const client = begin(scene, 'websocket', 'Content-Length: 2\r\n');
  assert.equal((await client.send('ab').response()).body, 'linked');
  assert.equal(scene.asked.length, 0);
});

test('a Close is put in after the frame that is under way, and its answer gets to the app', async (t) => {
  const scene = await stage(t, ({ socket }) => {
    socket.write(agreed('websocket'));
    // Text of 300 bytes, of which 10 are there.
    socket.write(Buffer.concat([Buffer.from([0x81, 126, 1, 44]), Buffer.alloc(10, 'a')]));
  });
  const client = begin(scene, 'websocket');
  await client.take('\r\n\r\n');
  await client.take('a'.repeat(10));
  scene.edge.edge.withdraw(1, () => {});
  const { socket } = scene.asked[0]!;
  // Told to go, the edge waits for the rest of the frame; what comes after it is the app's no more.
  setTimeout(() => socket.write(Buffer.alloc(290, 'b')), 50);
  await client.take(`${'b'.repeat(290)}\x88\x02\x03\xe9`);
  client.send('\x88\x82\0\0\0\0\x03\xe9').end();
  await until('Close at the app', () => scene.asked[0]!.text.endsWith('\x03\xe9'));
  assert.equal(await client.ended(), 'fin');
});

test('the event log says why a connection ended, and the settings bound its silence', async (t) => {
  const scene = await stage(t, ({ socket }) => socket.write(agreed('echo/1')), {
    upgradeIdleTimeoutMs: 100,
  });
  const client = begin(scene, 'echo/1');
  await client.take('\r\n\r\n');
  assert.equal(await client.ended(), 'fin');
  client.leave();
  await until('line', () => scene.edge.logged.some((line) => line.includes('UPGRADE_IDLE')));
});
