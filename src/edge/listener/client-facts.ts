// Who is at the other end of a socket, in the words of ClientFacts.

import type { Socket } from 'node:net';
import type { ClientFacts, TlsFacts } from '../../http/exchange.ts';

/** Asked once a connection: each of the two addresses is a system call. Null: a client over TCP that
 *  has reset its connection, whose address the kernel no longer knows. It must not pass for one on a
 *  Unix socket, which has none and may be trusted for that. */
export function clientFacts(
  socket: Socket,
  tls: TlsFacts | null,
  isUnix: boolean,
): ClientFacts | null {
  const address = isUnix ? '' : plainAddress(socket.remoteAddress);
  if (address === '' && !isUnix) return null;
  return {
    address,
    port: socket.remotePort ?? 0,
    peerAddress: address,
    localAddress: plainAddress(socket.localAddress),
    localPort: socket.localPort ?? 0,
    scheme: tls === null ? 'http' : 'https',
    tls,
  };
}

/** An IPv4 client of a dual-stack socket shows as IPv4, so that one rule for 10.0.0.0/8 covers it
 *  and logs name it one way; a zone ("fe80::1%eth0") means nothing to anybody else. */
export function plainAddress(address: string | undefined): string {
  if (address === undefined) return '';
  if (address.startsWith('::ffff:') && address.includes('.')) return address.slice(7);
  const zone = address.indexOf('%');
  return zone === -1 ? address : address.slice(0, zone);
}
