// Hands a client's socket out of HTTP, to be a stream of another protocol.

import type { Socket } from 'node:net';
import type { Http1Connection } from './http1-connection.ts';

/** What was sent is on its way, and what came after the request is not lost. The connection stays
 *  known to the listener, and tells its exchange when the socket has closed. */
export function handOver(connection: Http1Connection): Socket {
  const { socket, hub, output, kept, on } = connection;
  output.flush();
  on.polled?.release();
  connection.phase = 'tunnel';
  connection.isDeaf = true;
  connection.kept = null;
  connection.deadlineMs = Number.POSITIVE_INFINITY;
  hub.tunnels++;
  socket.once('close', () => {
    hub.tunnels--;
  });
  // Where the socket is read as a stream the connection listens, and the next to listen is another.
  socket.removeAllListeners('data');
  // For text that is a head: one character is one byte.
  socket.setDefaultEncoding('latin1');
  if (kept !== null) socket.unshift(kept);
  return socket;
}
