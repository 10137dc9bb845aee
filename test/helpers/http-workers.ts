// Workers that speak HTTP/1.1 on a Unix socket, in this process: Node's own server, or a raw one that lies.

import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import * as net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { WorkerAddress } from '../../src/ipc/messages.ts';
import { workerAddress } from './worker-address.ts';

let lastId = 0;

/** Path of a Unix socket in a directory of its own that goes with the test. */
export function socketPath(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'portico-http-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return join(dir, 'worker.sock');
}

export function addressOf(path: string, capacity = 100): WorkerAddress {
  return workerAddress({ id: ++lastId, protocol: 'http', sockets: [path], capacity });
}

export interface HttpWorker {
  readonly address: WorkerAddress;
  readonly server: Server;
  /** Connections accepted so far, probes without a request not among them. */
  readonly connections: Set<net.Socket>;
}

/** Node's own server. */
export async function httpWorker(
  t: TestContext,
  handler: RequestListener,
  { capacity = 100, path = socketPath(t) } = {},
): Promise<HttpWorker> {
  const connections = new Set<net.Socket>();
  const server = createServer((request, response) => {
    connections.add(request.socket);
    handler(request, response);
  });
  await listen(server, path);
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return { address: addressOf(path, capacity), server, connections };
}

/** One connection of a lying worker that has sent something. */
export interface Lie {
  readonly socket: net.Socket;
  /** Which connection with a request this is: 1, 2, … */
  readonly nth: number;
  /** All that came so far, as Latin-1. */
  received: string;
}

export interface LyingWorker {
  readonly address: WorkerAddress;
  /** Connections that sent something. */
  readonly lies: Lie[];
  /** Ends listener and connections, as a process that is killed. */
  die(): void;
}

/** `speak` is called each time an empty line ends what a connection has sent so far: a request head. */
export async function lyingWorker(
  t: TestContext,
  speak: (lie: Lie) => void,
  { capacity = 100, path = socketPath(t) } = {},
): Promise<LyingWorker> {
  const lies: Lie[] = [];
  const open = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
    socket.on('error', () => {});
    let lie: Lie | null = null;
    socket.on('data', (chunk: Buffer) => {
      if (lie === null) {
        lie = { socket, nth: lies.length + 1, received: '' };
        lies.push(lie);
      }
      lie.received += chunk.toString('latin1');
      if (lie.received.endsWith('\r\n\r\n')) speak(lie);
    });
  });
  await listen(server, path);
  const die = (): void => {
    server.close();
    for (const socket of open) socket.destroy();
  };
  t.after(die);
  return { address: addressOf(path, capacity), lies, die };
}

function listen(server: net.Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject).listen(path, resolve);
  });
}
