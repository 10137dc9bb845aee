// Clients and questions for tests of upgraded connections.

import { once } from 'node:events';
import { type RawData, WebSocket } from 'ws';
import type { EdgeStatus } from '../../src/ipc/messages.ts';
import { statusOf } from './status.ts';

/** Messages as they come: none is missed between two waits. */
export class Messages {
  private readonly come: Buffer[] = [];
  private wake: () => void = () => {};

  constructor(socket: WebSocket) {
    socket.on('message', (data: RawData) => {
      this.come.push(data as Buffer);
      this.wake();
    });
  }

  async next(): Promise<Buffer> {
    while (this.come.length === 0) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
    return this.come.shift()!;
  }
}

export interface Opened {
  readonly socket: WebSocket;
  readonly messages: Messages;
  /** Code and reason. */
  readonly closed: Promise<readonly [number, string]>;
}

export async function openWebSocket(
  url: string,
  options: WebSocket.ClientOptions & { readonly protocols?: string[] } = {},
): Promise<Opened> {
  const { protocols = [], ...rest } = options;
  const socket = new WebSocket(url, protocols, rest);
  const messages = new Messages(socket);
  const closed = new Promise<readonly [number, string]>((resolve) => {
    socket.once('close', (code, reason) => resolve([code, reason.toString()]));
  });
  await once(socket, 'open');
  // From here on its end says all.
  socket.on('error', () => {});
  return { socket, messages, closed };
}

/** The head of a WebSocket handshake, for clients that write bytes. */
export function upgradeHead(path: string, fields = ''): string {
  return `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${fields}\r\n`;
}

/** What the first edge says of itself. */
export async function edgeStatus(runtimeDir: string): Promise<EdgeStatus> {
  return (await statusOf(runtimeDir)).edges[0]!.status!;
}

export async function openUpgrades(runtimeDir: string): Promise<number> {
  const { workers } = await edgeStatus(runtimeDir);
  return workers.reduce((sum, { upgraded }) => sum + upgraded, 0);
}
