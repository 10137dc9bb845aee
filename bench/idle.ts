// What an idle keep-alive connection costs in the edge's memory.

import { connect, type Socket } from 'node:net';
import type { Running } from './peers.ts';
import { sampleTree } from './proc.ts';

/** Opens `count` connections that have each had one answer; gives bytes of resident memory per connection. */
export async function idleConnectionCost(server: Running, count: number): Promise<number> {
  const before = edgeMemory(server);
  const sockets: Socket[] = [];
  try {
    for (let opened = 0; opened < count; opened += 200) {
      const batch = Array.from({ length: Math.min(200, count - opened) }, () =>
        askOnce(server.origin),
      );
      sockets.push(...(await Promise.all(batch)));
    }
    return (edgeMemory(server) - before) / count;
  } finally {
    for (const socket of sockets) socket.destroy();
  }
}

/** Resident bytes of the edge processes. */
export function edgeMemory(server: Running): number {
  return server.pids
    .flatMap((pid) => sampleTree(pid))
    .filter((sample) => sample.title.startsWith('portico: edge'))
    .reduce((sum, sample) => sum + sample.rssBytes, 0);
}

function askOnce(origin: string): Promise<Socket> {
  const { hostname, port } = new URL(origin);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => {
      socket.write('GET / HTTP/1.1\r\nHost: bench\r\n\r\n');
    });
    socket.setTimeout(10_000, () => socket.destroy(new Error('no answer in 10 s')));
    socket.once('data', () => {
      socket.setTimeout(0);
      resolve(socket);
    });
    socket.once('error', reject);
  });
}
