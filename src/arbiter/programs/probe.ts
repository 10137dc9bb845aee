// Looks whether a program listens, by connecting to it.

import { access } from 'node:fs/promises';
import net from 'node:net';
import type { Place } from './recipe.ts';

/** The kernel answers at once, unless too many wait to be accepted. */
const connectTimeoutMs = 1_000;

/** True when the place takes a connection, which is closed again. Never rejects. */
export function accepts(place: Place): Promise<boolean> {
  return new Promise((done) => {
    const target =
      place.kind === 'unix' ? { path: place.path } : { host: '127.0.0.1', port: place.port };
    const socket = net.connect(target);
    const end = (ok: boolean): void => {
      socket.destroy();
      done(ok);
    };
    socket.setTimeout(connectTimeoutMs, () => end(false));
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
  });
}

export async function isThere(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}

/** A port of 127.0.0.1 that is free now. */
export function freePort(): Promise<number> {
  return new Promise((done, fail) => {
    const server = net.createServer();
    server.once('error', fail);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as net.AddressInfo;
      server.close(() => done(port));
    });
  });
}
