// How bytes get from a socket to its connection: into one buffer that all share, where that can be had.

import { Socket } from 'node:net';
import { type PolledSocket, pollSocket, readSoFar, sharedReadBuffer } from '../../native/poller.ts';
import type { Http1Connection } from './http1-connection.ts';

export type MakeConnection = (socket: Socket, polled: PolledSocket | null) => Http1Connection;

interface HandleOwner {
  _handle: { useUserBuffer?: unknown } | null;
}

/** Serves a socket of which nothing was read, and which is paused. Null: the client has gone already. */
export function takeSocket(accepted: Socket, make: MakeConnection): Http1Connection | null {
  const owner = accepted as unknown as HandleOwner;
  const handle = owner._handle;
  if (handle === null) return null;
  return servePolled(accepted, make) ?? serveWithBuffer(accepted, owner, make);
}

/** Null: it can't be. */
function servePolled(socket: Socket, make: MakeConnection): Http1Connection | null {
  const polled = pollSocket(socket);
  if (polled === null) return null;
  const connection = make(socket, polled);
  polled.reader = connection;
  listenTo(socket, connection);
  return connection;
}

/** Node's own way into one buffer. `onread` is an option of new sockets only, and a server makes its
 *  sockets without, so the connection's handle moves to a socket made with it. */
function serveWithBuffer(
  accepted: Socket,
  owner: HandleOwner,
  make: MakeConnection,
): Http1Connection {
  const handle = owner._handle;
  if (typeof handle?.useUserBuffer !== 'function') return serveSocket(accepted, make);
  owner._handle = null;
  let connection: Http1Connection | null = null;
  const socket = new Socket({
    handle,
    allowHalfOpen: true,
    readable: true,
    writable: true,
    onread: {
      buffer: sharedReadBuffer,
      callback: (bytes: number): boolean => {
        connection!.onBytes(readSoFar(bytes), true);
        return true;
      },
    },
  } as ConstructorParameters<typeof Socket>[0]);
  connection = make(socket, null);
  listenTo(socket, connection);
  return connection;
}

/** Serves a socket of any kind through its stream. */
export function serveSocket(socket: Socket, make: MakeConnection): Http1Connection {
  const connection = make(socket, null);
  listenTo(socket, connection);
  socket.on('data', (chunk: Buffer) => connection.onBytes(chunk, false));
  socket.resume();
  return connection;
}

export function listenTo(socket: Socket, connection: Http1Connection): void {
  // Whatever went wrong, 'close' follows, and says all there is to say.
  socket.on('error', () => {});
  socket.on('end', () => connection.onClientEnd());
  socket.on('drain', () => connection.onDrain());
  socket.on('close', () => connection.onClosed());
}
