// Loads of connections that stay: WebSocket echo, new WebSockets beside many that are open, and event streams.

import { connect, type Socket } from 'node:net';
import type { LoadResult } from './load.ts';

export type SocketLoad =
  /** So many connections, each sending the next message when it has the last one back. */
  | { readonly kind: 'echo'; readonly open: number }
  /** New connections, 16 at a time, while so many are open and say nothing. */
  | { readonly kind: 'connect'; readonly open: number }
  /** Event streams: what is measured is the memory of the front. */
  | { readonly kind: 'events'; readonly open: number };

const handshake =
  'GET /ws HTTP/1.1\r\nHost: bench\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';
const text = 'The quick brown fox jumps over.';
/** A text frame, masked with zeros (RFC 6455 section 5.2). */
const frame = Buffer.concat([
  Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]),
  Buffer.from(text),
]);
/** The same as it comes back. */
const replyBytes = 2 + text.length;
const AT_A_TIME = 16;
const OPEN_MS = 30_000;

/** `onOpen`: all are open, and none has left yet. */
export async function runSockets(
  origin: string,
  load: SocketLoad,
  { seconds, onOpen }: { readonly seconds: number; readonly onOpen: () => void },
): Promise<LoadResult> {
  const open = await openMany(origin, load);
  try {
    onOpen();
    if (load.kind === 'echo') return result(await echo(open, seconds), seconds, 0);
    if (load.kind === 'connect') return await connections(origin, seconds);
    // One a second: at least one comes to each.
    const atLeast = Math.max(2, seconds);
    return result(await events(open, atLeast), atLeast, 0);
  } finally {
    for (const socket of open) socket.destroy();
  }
}

async function openMany(origin: string, { kind, open: count }: SocketLoad): Promise<Socket[]> {
  const head = kind === 'events' ? 'GET /events HTTP/1.1\r\nHost: bench\r\n\r\n' : handshake;
  const mark = kind === 'events' ? 'welcome' : '\r\n\r\n';
  const sockets: Socket[] = [];
  while (sockets.length < count) {
    const batch = Array.from({ length: Math.min(100, count - sockets.length) }, () =>
      opened(origin, head, mark),
    );
    sockets.push(...(await Promise.all(batch)));
  }
  return sockets;
}

function opened(origin: string, head: string, mark: string): Promise<Socket> {
  const { hostname, port } = new URL(origin);
  return new Promise((resolve, reject) => {
    const socket = connect({ port: Number(port), host: hostname, noDelay: true }, () => {
      socket.write(head);
    });
    let received = '';
    const timer = setTimeout(() => socket.destroy(new Error(`not open in ${OPEN_MS} ms`)), OPEN_MS);
    const onData = (chunk: Buffer): void => {
      received += chunk.toString('latin1');
      if (!received.includes(mark)) return;
      clearTimeout(timer);
      socket.off('data', onData);
      if (/^HTTP\/1\.1 (101|200) /.test(received)) resolve(socket);
      else reject(new Error(received.slice(0, 100)));
    };
    socket.on('data', onData);
    socket.on('error', reject);
  });
}

/** Messages that came back. */
async function echo(sockets: readonly Socket[], seconds: number): Promise<number> {
  let count = 0;
  let isOver = false;
  for (const socket of sockets) {
    let bytes = 0;
    socket.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes < replyBytes) return;
      bytes -= replyBytes;
      count++;
      if (!isOver) socket.write(frame);
    });
    socket.write(frame);
  }
  // Until it has found its pace.
  await wait(0.5);
  const before = count;
  await wait(seconds);
  const total = count - before;
  isOver = true;
  return total;
}

async function connections(origin: string, seconds: number): Promise<LoadResult> {
  let count = 0;
  let errors = 0;
  const until = performance.now() + seconds * 1000;
  const one = async (): Promise<void> => {
    while (performance.now() < until) {
      try {
        const socket = await opened(origin, handshake, '\r\n\r\n');
        count++;
        socket.destroy();
      } catch {
        errors++;
      }
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, one));
  return result(count, seconds, errors);
}

/** Events that came. */
async function events(sockets: readonly Socket[], seconds: number): Promise<number> {
  let count = 0;
  for (const socket of sockets)
    socket.on('data', (chunk: Buffer) => {
      if (chunk.includes('data:')) count++;
    });
  await wait(seconds);
  return count;
}

function result(requests: number, seconds: number, errors: number): LoadResult {
  const requestsPerSecond = requests / seconds;
  return { requests, requestsPerSecond, p50Ms: Number.NaN, p99Ms: Number.NaN, errors };
}

function wait(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}
