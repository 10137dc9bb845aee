// Connections from a load balancer that begin with the PROXY protocol: read before anything else, within limits.

import type { Socket } from 'node:net';
import { type ProxiedOrigin, readPreamble } from '../../http/proxy-protocol.ts';
import { plainAddress, type Trust } from '../../http/trust.ts';

export interface PreambleOptions {
  /** Whose connections begin so. All others do not: nothing is guessed from bytes. */
  readonly from: Trust;
  readonly timeoutMs: number;
}

/** By socket: what its balancer said. */
const origins = new WeakMap<Socket, ProxiedOrigin>();

export function originOf(socket: Socket): ProxiedOrigin | undefined {
  return origins.get(socket);
}

/** One socket's handle goes on in another. */
export function keepOrigin(from: Socket, to: Socket): void {
  const origin = origins.get(from);
  if (origin !== undefined) origins.set(to, origin);
}

export class Preambles {
  private readonly waiting = new Set<Socket>();
  private readonly onRefused: (address: string, why: string) => void;
  private readonly onFewer: () => void;

  constructor(onRefused: (address: string, why: string) => void, onFewer: () => void) {
    this.onRefused = onRefused;
    this.onFewer = onFewer;
  }

  /** Connections of which the preamble is not read yet. */
  get size(): number {
    return this.waiting.size;
  }

  /** Whether connections of this peer begin with a preamble. Null: it has reset its connection, as some
   *  health checks do, and the kernel no longer knows who it was. */
  isExpected(socket: Socket, isUnix: boolean, { from }: PreambleOptions): boolean | null {
    const address = isUnix ? '' : plainAddress(socket.remoteAddress);
    return isUnix || address !== '' ? from.trusts(address) : null;
  }

  /** Reads it from a socket just accepted and paused, and hands on the socket as it would be without. */
  read(socket: Socket, { timeoutMs }: PreambleOptions, onward: (socket: Socket) => void): void {
    const address = plainAddress(socket.remoteAddress);
    let read: Buffer | null = null;
    const leave = (): void => {
      clearTimeout(timer);
      this.waiting.delete(socket);
      for (const name of ['error', 'end', 'close'] as const) socket.off(name, onGone);
      socket.off('data', onData);
    };
    const refuse = (why: string): void => {
      leave();
      socket.on('error', () => {});
      socket.destroy();
      this.onRefused(address, why);
      this.onFewer();
    };
    // Who leaves without a word is a health check.
    const onGone = (): void => {
      leave();
      socket.on('error', () => {});
      socket.destroy();
      this.onFewer();
    };
    const onData = (chunk: Buffer): void => {
      read = read === null ? chunk : Buffer.concat([read, chunk]);
      const preamble = readPreamble(read);
      if (preamble.kind === 'partial') return;
      if (preamble.kind === 'bad') {
        refuse(preamble.why);
        return;
      }
      socket.pause();
      leave();
      if (preamble.origin !== null) origins.set(socket, preamble.origin);
      if (read.length > preamble.bytes) socket.unshift(read.subarray(preamble.bytes));
      onward(socket);
      this.onFewer();
    };
    const timer = setTimeout(refuse, timeoutMs, 'it did not come in time').unref();
    this.waiting.add(socket);
    for (const name of ['error', 'end', 'close'] as const) socket.on(name, onGone);
    socket.on('data', onData);
    socket.resume();
  }

  /** Of an edge that drains. */
  endAll(): void {
    for (const socket of this.waiting) socket.destroy();
  }
}
