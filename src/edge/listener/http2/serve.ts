// The way into HTTP/2: of a TLS connection that chose "h2", or of a plain one that begins with its preface.

import type { Socket } from 'node:net';
import type { TlsFacts } from '../../../http/exchange.ts';
import { Http1Connection } from '../http1-connection.ts';
import type { Hub } from '../hub.ts';
import { listenTo } from '../socket-reads.ts';
import { Http2Connection } from './connection.ts';

/** Takes a connected socket over. What came on it already must be in the socket's own buffer. */
export function serveHttp2(hub: Hub, socket: Socket, tls: TlsFacts | null, isUnix = false): void {
  if (socket.destroyed) return;
  hub.addHttp2(new Http2Connection(hub, socket, tls, isUnix));
}

/** Serves a plain connection by what it begins with. Its reads go through the socket's stream, and not
 *  into the buffer that all share: 2 µs a request of HTTP/1.1, on such binds only. */
export function servePeeking(hub: Hub, socket: Socket, isUnix: boolean): void {
  const connection = new Http1Connection(hub, { socket, tls: null, isUnix, polled: null });
  hub.add(connection);
  let first: Buffer | null = null;
  const peek = (chunk: Buffer): void => {
    first = first === null ? chunk : Buffer.concat([first, chunk]);
    const verdict = looksLikeHttp2(first);
    if (verdict === 'part') return;
    socket.off('data', peek);
    if (verdict === 'no') {
      socket.on('data', (bytes: Buffer) => connection.onBytes(bytes, false));
      connection.onBytes(first, false);
      return;
    }
    // It was counted and timed as one of HTTP/1.1 that has not begun, and is none any more.
    connection.phase = 'closed';
    socket.pause();
    socket.unshift(first);
    serveHttp2(hub, socket, null, isUnix);
    hub.onClosed(connection);
  };
  socket.on('data', peek);
  listenTo(socket, connection);
  socket.resume();
}

/** How every HTTP/2 connection begins (RFC 9113 section 3.4), as far as no HTTP/1.1 request does. */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

/** 'part': so far, but there must come more before it is certain. */
export function looksLikeHttp2(bytes: Uint8Array): 'yes' | 'no' | 'part' {
  const length = Math.min(bytes.length, PREFACE.length);
  if (PREFACE.compare(bytes, 0, length, 0, length) !== 0) return 'no';
  return length === PREFACE.length ? 'yes' : 'part';
}
