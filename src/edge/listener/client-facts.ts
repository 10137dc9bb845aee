// Who is at the other end of a socket, in the words of ClientFacts.

import type { Socket } from 'node:net';
import type { ClientFacts, TlsFacts } from '../../http/exchange.ts';

/** Asked once a connection: each of the two addresses is a system call. */
export function clientFacts(socket: Socket, tls: TlsFacts | null): ClientFacts {
  const address = plainAddress(socket.remoteAddress);
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
