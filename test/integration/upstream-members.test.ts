// HTTP upstreams whose members come and go, fail and recover: DNS, health checks, weights, slow start, circuit breaking.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { UpstreamTarget } from '../../src/config/upstream-config.ts';
import { httpWorker } from '../helpers/http-workers.ts';
import { until } from '../helpers/until.ts';
import { fakeDns, tcpServer, type UpstreamEdge, upstreamEdge } from '../helpers/upstream-edge.ts';

function tcp(host: string, port: number, weight = 1): UpstreamTarget {
  return { protocol: 'http', kind: 'tcp', host, port, path: '', weight };
}

/** Servers on 127.0.0.1, 127.0.0.2, … with one port, each answering with its number. */
async function servers(t: TestContext, count: number) {
  const first = await tcpServer(t, (_request, response) => response.end('1'));
  const { port } = first;
  const all = [first];
  for (let n = 2; n <= count; n++)
    all.push(
      await tcpServer(t, (_request, response) => response.end(String(n)), {
        ...{ host: `127.0.0.${n}`, port },
      }),
    );
  return { port, all };
}

/** So many requests one after another; how often each server answered. */
async function tally(edge: UpstreamEdge, requests: number): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  const client = edge.connect();
  for (let n = 0; n < requests; n++) {
    const { body } = await client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n').response();
    counts[body] = (counts[body] ?? 0) + 1;
  }
  return counts;
}

function states({ upstream }: UpstreamEdge): string {
  return upstream
    .status()
    .members.map(({ state }) => state)
    .join(' ');
}

/** What a member's share has grown to. */
function weightOf({ upstream }: UpstreamEdge, at: number): number {
  const { backends } = upstream.pool as unknown as { backends: readonly { weight: number }[] };
  return backends[at]?.weight ?? 0;
}

test('all addresses of a name are used, and those that come and go are noticed', async (t) => {
  const { port } = await servers(t, 3);
  const dns = await fakeDns(t, { 'api.test': ['127.0.0.1', '127.0.0.2'] });
  const edge = await upstreamEdge(t, { targets: [tcp('api.test', port)], resolveMs: 500 }, [
    dns.address,
  ]);
  await until('two members', () => states(edge) === 'up up');
  assert.deepEqual(await tally(edge, 10), { 1: 5, 2: 5 });
  dns.records = { 'api.test': ['127.0.0.2', '127.0.0.3'] };
  await until('another member', () =>
    edge.upstream.status().members.some(({ address }) => address.startsWith('127.0.0.3')),
  );
  await until('two members', () => states(edge) === 'up up');
  assert.deepEqual(await tally(edge, 10), { 2: 5, 3: 5 });
  // A server of DNS that does not answer takes nothing away.
  dns.records = { 'api.test': null };
  const asked = dns.questions;
  await until('questions', () => dns.questions > asked);
  assert.deepEqual(await tally(edge, 10), { 2: 5, 3: 5 });
});

test('a short TTL is obeyed, and a long one does not hide a change', async (t) => {
  const dns = await fakeDns(t, { 'api.test': ['127.0.0.1'] });
  dns.ttlSeconds = 600;
  await upstreamEdge(t, { targets: [tcp('api.test', 9)], resolveMs: 500 }, [dns.address]);
  await until('the name to be asked for again', () => dns.questions >= 6);
  const short = await fakeDns(t, { 'api.test': ['127.0.0.1'] });
  await upstreamEdge(t, { targets: [tcp('api.test', 9)], resolveMs: 60_000 }, [short.address]);
  await until('the name to be asked for again', () => short.questions >= 4);
});

test('a name that DNS does not know is looked up by the system, and what nobody knows is a 503', async (t) => {
  const { port } = await servers(t, 1);
  const dns = await fakeDns(t, {});
  const edge = await upstreamEdge(t, { targets: [tcp('localhost', port)] }, [dns.address]);
  assert.equal((await edge.get()).body, '1');
  const none = await upstreamEdge(
    t,
    { targets: [tcp('nobody.invalid', port)], connectTimeoutMs: 300 },
    [dns.address],
  );
  assert.equal((await none.get()).status, 503);
  assert.match(none.logged.join('\n'), /failed UPSTREAM_NONE nobody\.invalid: /);
});

test('requests that wait for a member that restarts are served when it is back', async (t) => {
  const { port, all } = await servers(t, 1);
  const edge = await upstreamEdge(t, { targets: [tcp('127.0.0.1', port)] });
  assert.equal((await edge.get()).body, '1');
  all[0]!.die();
  await until('down', () => {
    void edge.get().catch(() => {});
    return states(edge) === 'down';
  });
  const waiting = edge.get();
  await tcpServer(t, (_request, response) => response.end('again'), { port });
  assert.equal((await waiting).body, 'again');
});

test('one of three dies under load, and nothing is lost', async (t) => {
  const { port, all } = await servers(t, 3);
  const targets = ['127.0.0.1', '127.0.0.2', '127.0.0.3'].map((host) => tcp(host, port));
  const edge = await upstreamEdge(t, { targets });
  await until('three members', () => states(edge) === 'up up up');
  let isOver = false;
  let served = 0;
  const failed: string[] = [];
  const load = Array.from({ length: 8 }, async () => {
    const client = edge.connect();
    while (!isOver) {
      const response = await client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n').response();
      if (response.status === 200) served++;
      else failed.push(response.head + response.body);
    }
  });
  await until('load', () => served > 200);
  all[1]!.die();
  const before = served;
  await until('more load', () => served > before + 500);
  await until('two members', () => states(edge) === 'up down up');
  await tcpServer(t, (_request, response) => response.end('2'), { host: '127.0.0.2', port });
  await until('three members', () => states(edge) === 'up up up');
  isOver = true;
  await Promise.all(load);
  assert.deepEqual(failed, []);
  assert.match(edge.logged.join('\n'), /warning an upstream cannot be reached.*127\.0\.0\.2/);
  await until('word of its return', () =>
    /info an upstream can be reached again/.test(edge.logged.join('\n')),
  );
});

test('weights share out the requests, evenly spread', async (t) => {
  const { port } = await servers(t, 3);
  const edge = await upstreamEdge(t, {
    targets: [tcp('127.0.0.1', port, 5), tcp('127.0.0.2', port, 3), tcp('127.0.0.3', port, 2)],
  });
  await until('three members', () => states(edge) === 'up up up');
  assert.deepEqual(await tally(edge, 100), { 1: 50, 2: 30, 3: 20 });
});

test('a member that comes gets more and more until its full share', async (t) => {
  const { port } = await servers(t, 2);
  const dns = await fakeDns(t, { 'api.test': ['127.0.0.1'] });
  const edge = await upstreamEdge(
    t,
    { targets: [tcp('api.test', port)], resolveMs: 500, slowStartMs: 2_000 },
    [dns.address],
  );
  await until('a member', () => states(edge) === 'up');
  // The first one is to be warm when the second comes.
  await until('full share', () => weightOf(edge, 0) === 1);
  dns.records = { 'api.test': ['127.0.0.1', '127.0.0.2'] };
  await until('two members', () => states(edge) === 'up up');
  const early = await tally(edge, 40);
  assert.ok((early[2] ?? 0) < 15, JSON.stringify(early));
  await until('full share', () => weightOf(edge, 1) === 1);
  const late = await tally(edge, 40);
  assert.ok(late[2]! >= 18, JSON.stringify(late));
});

test('a member whose health check fails gets no requests until it is well again', async (t) => {
  const { port, all } = await servers(t, 2);
  let isWell = false;
  const hosts: string[] = [];
  all[1]!.server.removeAllListeners('request');
  all[1]!.server.on('request', (request, response) => {
    if (request.url === '/health') {
      hosts.push(request.headers.host ?? '');
      response.writeHead(isWell ? 204 : 503).end();
    } else response.end('2');
  });
  const edge = await upstreamEdge(t, {
    targets: [tcp('127.0.0.1', port), tcp('127.0.0.2', port)],
    healthCheck: { path: '/health', intervalMs: 20, timeoutMs: 500, failures: 2, successes: 2 },
  });
  await until('the first member', () => states(edge) === 'up unwell');
  assert.deepEqual(await tally(edge, 6), { 1: 6 });
  isWell = true;
  await until('both members', () => states(edge) === 'up up');
  assert.deepEqual(await tally(edge, 6), { 1: 3, 2: 3 });
  isWell = false;
  await until('the first member alone', () => states(edge) === 'up unwell');
  assert.match(edge.logged.join('\n'), /an upstream is not well.*it answered 503/);
  assert.equal(hosts[0], `127.0.0.2:${port}`);
});

test('a member that fails requests is left for a while, tried with one, and taken back', async (t) => {
  const { port, all } = await servers(t, 2);
  let fails = true;
  all[1]!.server.removeAllListeners('request');
  all[1]!.server.on('request', (request, response) => {
    if (fails) request.socket.destroy();
    else response.end('2');
  });
  const edge = await upstreamEdge(t, {
    targets: [tcp('127.0.0.1', port), tcp('127.0.0.2', port)],
    ...{ maxFailures: 3, failTimeoutMs: 300 },
  });
  await until('both members', () => states(edge) === 'up up');
  // Each is answered by the other: GET may be tried twice.
  assert.deepEqual(await tally(edge, 10), { 1: 10 });
  assert.equal(edge.upstream.status().members[1]!.failures, 3);
  assert.equal(states(edge), 'up left');
  fails = false;
  await until('a trial', () => states(edge) === 'up trial');
  // The next request on it decides, as soon as somebody looks.
  for (let n = 0; states(edge) !== 'up up' && n < 1_000; n++) await tally(edge, 1);
  await until('both members', () => states(edge) === 'up up');
  assert.deepEqual(await tally(edge, 10), { 1: 5, 2: 5 });
  assert.match(edge.logged.join('\n'), /it gets none for a while[\s\S]*serves requests again/);
});

test('the last member is never left for its failures', async (t) => {
  const { port } = await tcpServer(t, (request) => request.socket.destroy());
  const edge = await upstreamEdge(t, { targets: [tcp('127.0.0.1', port)], maxFailures: 1 });
  for (let n = 0; n < 3; n++) assert.equal((await edge.get()).status, 502);
  assert.equal(states(edge), 'up');
});

test('an answer that does not begin, or does not go on, is cut by the upstream’s own time-outs', async (t) => {
  const { port } = await tcpServer(t, (request, response) => {
    if (request.url === '/begins') response.writeHead(200).write('a');
  });
  const edge = await upstreamEdge(t, {
    targets: [tcp('127.0.0.1', port)],
    ...{ firstByteTimeoutMs: 80, idleTimeoutMs: 80 },
  });
  assert.equal((await edge.get('/hangs')).status, 504);
  const client = edge.connect().send('GET /begins HTTP/1.1\r\nHost: a\r\n\r\n');
  await client.ended();
  assert.match(client.received, /^HTTP\/1\.1 200 /);
  assert.match(edge.logged.join('\n'), /failed UPSTREAM_SILENT/);
});

test('Unix sockets are members too, and Host is what the settings say', async (t) => {
  const worker = await httpWorker(t, (request, response) => response.end(request.headers.host));
  const path = worker.address.sockets[0]!;
  const target = { protocol: 'http', kind: 'unix', host: '', port: 0, path, weight: 1 } as const;
  const plain = await upstreamEdge(t, { targets: [target] });
  assert.equal((await plain.get()).body, 'a');
  const named = await upstreamEdge(t, { targets: [target], hostField: 'api.example.com' });
  assert.equal((await named.get()).body, 'api.example.com');
  const { port } = await tcpServer(t, (request, response) => response.end(request.headers.host));
  const own = await upstreamEdge(t, { targets: [tcp('127.0.0.1', port)], hostField: 'target' });
  assert.equal((await own.get()).body, `127.0.0.1:${port}`);
});

test('a closed upstream finishes what it has, and ends its connections', async (t) => {
  let answer: (() => void) | null = null;
  const { port, server } = await tcpServer(t, (_request, response) => {
    answer = () => response.end('late');
  });
  const edge = await upstreamEdge(t, { targets: [tcp('127.0.0.1', port)] });
  const waiting = edge.get();
  await until('request', () => answer !== null);
  edge.upstream.close();
  answer!();
  assert.equal((await waiting).body, 'late');
  await new Promise((resolve) => server.close(resolve));
});
