// A listener whose requests all go to one HTTP upstream, and servers of DNS and HTTP for it, in this process.

import { createSocket } from 'node:dgram';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { type UpstreamConfig, upstreamOf } from '../../src/config/upstream-config.ts';
import { Forward } from '../../src/edge/balancer/forward.ts';
import { loadErrorPages } from '../../src/edge/error-pages/error-pages.ts';
import { createListener } from '../../src/edge/listener/listener.ts';
import { wantsUpgrade } from '../../src/edge/upgrade/upgradable.ts';
import { Upgrades } from '../../src/edge/upgrade/upgrades.ts';
import { createUpstream, type Upstream } from '../../src/edge/upstream/upstream.ts';
import { isHopByHopName } from '../../src/http/fields.ts';
import { RawClient, type RawResponse } from './raw-client.ts';
import { recordingLog } from './recording-log.ts';
import { boundHandle } from './running-edge.ts';

export interface UpstreamEdge {
  readonly port: number;
  readonly upstream: Upstream;
  readonly logged: string[];
  connect(): RawClient;
  /** One request on a connection of its own. */
  get(path?: string): Promise<RawResponse>;
}

export async function upstreamEdge(
  t: TestContext,
  settings: Pick<UpstreamConfig, 'targets'> & Partial<UpstreamConfig>,
  servers: readonly string[] | null = null,
): Promise<UpstreamEdge> {
  const { log, lines: logged } = recordingLog();
  const upstream = createUpstream(upstreamOf(settings), log, servers);
  const forwarding = {
    responseTimeoutMs: upstream.settings.firstByteTimeoutMs,
    ...{ spool: false, responseSteps: [] },
  };
  const options = {
    limits: {
      ...{ requestLineBytes: 4094, fields: 100, fieldSizeBytes: 8190, bodyBytes: 0 },
      permitBareLf: false,
    },
    ...{ keepAliveMs: 5_000, headerTimeoutMs: 10_000, bodyTimeoutMs: 10_000 },
    ...{ sendTimeoutMs: 10_000, errorPages: loadErrorPages({}), hsts: null, h2c: false },
    preamble: null,
    http2MaxConcurrentStreams: 128,
  };
  const upgrades = new Upgrades({
    ...{ sendTimeoutMs: 10_000, gracefulTimeoutMs: 1_000 },
    ...{ upgradeConnections: 100, upgradeIdleTimeoutMs: 0, upgradeGraceMs: 0 },
  });
  const listener = createListener({
    handle: (exchange) => {
      const { request } = exchange;
      if (!exchange.upgrade || !wantsUpgrade(exchange))
        new Forward(exchange, request, upstream.pool, forwarding).run();
      else {
        const fields = request.fields.filter(isPassedOn);
        upgrades.handle(exchange, fields, null, {
          pool: upstream.pool,
          responseTimeoutMs: upstream.settings.firstByteTimeoutMs,
        });
      }
    },
    options: () => options,
    onSettled: ({ record }) => {
      if (record.failure !== null)
        logged.push(`failed ${record.failure.code} ${record.failure.detail}`);
    },
    onPreambleRefused: () => {},
    tls: null,
    log,
  });
  const { handle, port } = boundHandle();
  await listener.listen('tcp', handle, { kind: 'tcp', host: '127.0.0.1', port, tls: false }, 511);
  const clients: RawClient[] = [];
  const connect = (): RawClient => {
    const client = new RawClient(port);
    clients.push(client);
    return client;
  };
  t.after(async () => {
    for (const client of clients) client.leave();
    upgrades.drain(0);
    await listener.drain(0);
    upstream.close();
    upstream.pool.destroy({ code: 'SHUTTING_DOWN' } as never);
  });
  return {
    ...{ port, upstream, logged, connect },
    get: (path = '/') =>
      connect().send(`GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`).response(),
  };
}

/** Of names and values in turn: not those for one connection. */
function isPassedOn(_text: string, at: number, all: readonly string[]): boolean {
  return !isHopByHopName(all[at - (at % 2)]!);
}

export interface TcpServer {
  readonly server: Server;
  readonly port: number;
  /** As a process that is killed. */
  die(): void;
}

/** An HTTP server on an address of the loopback network: 127.0.0.2 and others are there too. */
export async function tcpServer(
  t: TestContext,
  handler: RequestListener,
  {
    host = '127.0.0.1',
    port = 0,
    server = createServer(handler),
  }: { host?: string; port?: number; server?: Server } = {},
): Promise<TcpServer> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(port, host, resolve);
  });
  const die = (): void => {
    server.close();
    server.closeAllConnections();
  };
  t.after(die);
  return { server, port: (server.address() as AddressInfo).port, die };
}

export interface FakeDns {
  /** For dns.Resolver.setServers(). */
  readonly address: string;
  /** IPv4 addresses by name; a name that is not there is NXDOMAIN; null = it does not answer. */
  records: Record<string, readonly string[] | null>;
  ttlSeconds: number;
  questions: number;
}

/** Answers A and AAAA over UDP (RFC 1035 section 4.1). */
export async function fakeDns(t: TestContext, records: FakeDns['records']): Promise<FakeDns> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  t.after(() => socket.close());
  const dns: FakeDns = {
    address: `127.0.0.1:${socket.address().port}`,
    ...{ records, ttlSeconds: 0, questions: 0 },
  };
  socket.on('message', (question, peer) => {
    dns.questions++;
    const answer = answerTo(question, dns);
    if (answer !== null) socket.send(answer, peer.port, peer.address);
  });
  return dns;
}

function answerTo(question: Buffer, { records, ttlSeconds }: FakeDns): Buffer | null {
  const labels: string[] = [];
  let at = 12;
  for (; question[at] !== 0; at += question[at]! + 1)
    labels.push(question.toString('latin1', at + 1, at + 1 + question[at]!));
  const type = question.readUInt16BE(at + 1);
  const asked = question.subarray(12, at + 5);
  const addresses = records[labels.join('.').toLowerCase()];
  if (addresses === null) return null;
  const found = type === 1 ? (addresses ?? []) : [];
  const head = Buffer.from(question.subarray(0, 12));
  head.writeUInt16BE(addresses === undefined ? 0x8183 : 0x8180, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(found.length, 6);
  head.fill(0, 8);
  const answers = found.map((address) => {
    const record = Buffer.alloc(16);
    record.writeUInt16BE(0xc00c, 0);
    record.writeUInt16BE(1, 2);
    record.writeUInt16BE(1, 4);
    record.writeUInt32BE(ttlSeconds, 6);
    record.writeUInt16BE(4, 10);
    for (const [index, part] of address.split('.').entries()) record[12 + index] = Number(part);
    return record;
  });
  return Buffer.concat([head, asked, ...answers]);
}
