// A whole edge in this process: real listener, real links, settings of the test's choice.

import * as net from 'node:net';
import type { TestContext } from 'node:test';
import type { Config } from '../../src/config/config.ts';
import { Edge } from '../../src/edge/edge.ts';
import type { TlsFiles } from '../../src/ipc/messages.ts';
import type { MadePair } from './certificates.ts';
import { noTlsFiles } from './config.ts';
import { defaultConfig } from './default-config.ts';
import { RawClient } from './raw-client.ts';
import { recordingLog } from './recording-log.ts';

export interface RunningEdge {
  readonly edge: Edge;
  readonly port: number;
  /** Of the https:// bind, where certificates were given. */
  readonly tlsPort: number;
  /** Level, message and facts of each event. */
  readonly logged: string[];
  connect(): RawClient;
  /** Sends one request on a connection of its own. */
  ask(head: string, body?: string): RawClient;
  configure(changes: Partial<Config>): void;
}

/** An edge of one app. With `pairs` there is an https:// bind beside the plain one. */
export async function runEdge(
  t: TestContext,
  changes: Partial<Config> = {},
  pairs: readonly MadePair[] = [],
  files: TlsFiles = noTlsFiles,
): Promise<RunningEdge> {
  const { log, lines: logged } = recordingLog();
  const base = { module: 'app.js', accessLogfile: null, ...changes };
  const edge = new Edge(defaultConfig(base), files, log);
  const { handle, port } = boundHandle();
  await edge.listen('test', { kind: 'tcp', host: '127.0.0.1', port, tls: false }, handle);
  const secure = boundHandle();
  if (pairs.length > 0) {
    // A source of its own: a reload replaces those of the files.
    edge.certificates.set(
      'test',
      pairs.map((pair) => ({ ...pair, hosts: [] })),
    );
    const address = { kind: 'tcp', host: '127.0.0.1', port: secure.port, tls: true } as const;
    await edge.listen('tls', address, secure.handle);
  } else secure.handle.close();
  const clients: RawClient[] = [];
  t.after(async () => {
    for (const client of clients) client.leave();
    await edge.drain(0);
    for (const { id } of edge.status().workers) edge.gone(id);
  });
  const connect = (): RawClient => {
    const client = new RawClient(port);
    clients.push(client);
    return client;
  };
  return {
    edge,
    port,
    tlsPort: secure.port,
    logged,
    connect,
    ask: (head, body = '') => connect().send(`${head} HTTP/1.1\r\nHost: test\r\n${body}`),
    configure: (more) => edge.configure(defaultConfig({ ...base, ...more }), files),
  };
}

interface BoundHandle {
  getsockname(into: { port?: number }): number;
  close(): void;
}

/** A bound socket that does not accept, as the arbiter makes them. */
export function boundHandle(): { handle: BoundHandle; port: number } {
  const { _createServerHandle } = net as unknown as {
    _createServerHandle(
      host: string,
      port: number,
      family: 4,
      fd: undefined,
      flags: number,
    ): BoundHandle;
  };
  const handle = _createServerHandle('127.0.0.1', 0, 4, undefined, 0);
  const name: { port?: number } = {};
  handle.getsockname(name);
  return { handle, port: name.port! };
}
