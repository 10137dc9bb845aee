// Who is at the other end of a socket, in the words of ClientFacts.

import type { Socket } from 'node:net';
import type { ClientFacts, TlsFacts } from '../../http/exchange.ts';
import type { ProxiedOrigin } from '../../http/proxy-protocol.ts';
import { plainAddress } from '../../http/trust.ts';
import { originOf } from './preambles.ts';

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
  const origin = originOf(socket);
  if (origin !== undefined) return proxiedFacts(origin, tls);
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

/** The balancer is none that speaks HTTP: what of it says X-Forwarded-For is the client's own, and is
 *  believed if the client's address is. */
function proxiedFacts(origin: ProxiedOrigin, tls: TlsFacts | null): ClientFacts {
  const { address, port, localAddress, localPort, secure } = origin;
  const scheme = tls !== null || secure ? 'https' : 'http';
  return { address, port, peerAddress: address, localAddress, localPort, scheme, tls };
}
