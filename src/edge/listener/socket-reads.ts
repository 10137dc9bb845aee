// How bytes get from a socket to its connection: into one buffer that all share, where Node lets us.

import { Socket } from 'node:net';
import type { Http1Connection } from './http1-connection.ts';

/** What libuv reads at most at a time. */
const READ_BYTES = 64 * 1024;

/** Connections take what they keep out of it before they return. Reading through a stream makes a
 *  buffer for each read and passes it through the stream's queue: 2 µs of 11 for a small request. */
export const sharedReadBuffer = Buffer.allocUnsafeSlow(READ_BYTES);

/** By their length: to make one costs as much as to parse a request line. */
const shortViews: (Buffer | undefined)[] = new Array(2048);

/** The first so many bytes of what all share. */
function readSoFar(bytes: number): Buffer {
  if (bytes >= shortViews.length) return sharedReadBuffer.subarray(0, bytes);
  let view = shortViews[bytes];
  if (view === undefined) {
    view = sharedReadBuffer.subarray(0, bytes);
    shortViews[bytes] = view;
  }
  return view;
}

type MakeConnection = (socket: Socket) => Http1Connection;

interface HandleOwner {
  _handle: { useUserBuffer?: unknown } | null;
}

/** Serves a socket just accepted and paused. `onread` is an option of new sockets only, and a
 *  server makes its sockets without, so the connection's handle moves to a socket made with it.
 *  Null: the client has gone already. */
export function takeSocket(accepted: Socket, make: MakeConnection): Http1Connection | null {
  const owner = accepted as unknown as HandleOwner;
  const handle = owner._handle;
  if (handle === null) return null;
  if (typeof handle.useUserBuffer !== 'function') return serveSocket(accepted, make);
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
  connection = make(socket);
  listenTo(socket, connection);
  return connection;
}

/** Serves a socket of any kind through its stream. */
export function serveSocket(socket: Socket, make: MakeConnection): Http1Connection {
  const connection = make(socket);
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
