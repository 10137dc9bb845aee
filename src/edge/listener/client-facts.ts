// Who is at the other end of a socket, in the words of ClientFacts.

import type { Socket } from 'node:net';
import type { ClientFacts, TlsFacts } from '../../http/exchange.ts';
import type { ProxiedOrigin } from '../../http/proxy-protocol.ts';
import { plainAddress } from '../../http/trust.ts';
import type { PolledSocket } from '../../native/poller.ts';
import { originOf } from './preambles.ts';

/** What a connection is on. */
export interface ConnectionSocket {
  readonly socket: Socket;
  readonly tls: TlsFacts | null;
  readonly isUnix: boolean;
  /** Null: it is read through Node's stream. */
  readonly polled: PolledSocket | null;
}

/** Asked once a connection: each of the two addresses is a system call. Null: a client over TCP that
 *  has reset its connection, whose address the kernel no longer knows. It must not pass for one on a
 *  Unix socket, which has none and may be trusted for that. */
export function clientFacts({
  socket,
  tls,
  isUnix,
}: Omit<ConnectionSocket, 'polled'>): ClientFacts | null {
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
