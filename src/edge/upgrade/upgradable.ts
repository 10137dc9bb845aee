// What an exchange has that can become a connection of another protocol (RFC 9110 section 7.8).

import type { Socket } from 'node:net';
import type { Exchange, Fields } from '../../http/exchange.ts';

export interface UpgradableExchange extends Exchange {
  /** Upgrade, if Connection names it. */
  readonly upgrade: string | null;
  /** The client's. Whoever asks an upstream may set it up for what is to come, no more. */
  readonly socket: Socket;
  /** The upstream has agreed: the socket, to which nothing was written yet, not even the
   *  answer. `fields` are the answer's, for the access log. The exchange settles when it closes. */
  switchProtocols(fields: Fields): Socket;
}

/** Whether the request goes to the app as one to switch protocols. h2c, TLS and HTTP are matters of this
 *  connection (curl and Java's client offer h2c with each request), and a request with content is
 *  answered as any: what follows it would have to wait for its end. */
export function wantsUpgrade(exchange: Exchange): exchange is UpgradableExchange {
  const { upgrade } = exchange;
  if (upgrade === null || upgrade === undefined || exchange.bodyLength !== 0) return false;
  return protocolsIn(upgrade).some((name) => !/^(h2c|tls|http)(\/|$)/.test(name));
}

/** Of what was asked for is what was agreed to. */
export function agrees(asked: string, answered: string | undefined): boolean {
  if (answered === undefined) return false;
  const offered = protocolsIn(asked);
  const named = protocolsIn(answered);
  return named.length > 0 && named.every((name) => offered.includes(name));
}

function protocolsIn(list: string): string[] {
  return list
    .split(',')
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== '');
}
