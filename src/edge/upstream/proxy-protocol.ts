// Writes the PROXY protocol: who the client is, said first on a connection to an upstream. Pure.
// https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt

import { isIPv4, isIPv6 } from 'node:net';
import type { ClientFacts } from '../../http/exchange.ts';

const SIGNATURE = '\r\n\r\n\0\r\nQUIT\n';
const LOCAL = '\x20';
const PROXY = '\x21';
const TCP4 = '\x11';
const TCP6 = '\x21';
const UNSPEC = '\0';

/** Latin-1; null: the connection carries no client's request. Both addresses are of one family, or neither is said. */
export function proxyHeader(version: 1 | 2, client: ClientFacts | null): string {
  const family = client === null ? 0 : familyOf(client);
  if (version === 1) {
    if (client === null || family === 0) return 'PROXY UNKNOWN\r\n';
    const { address, localAddress, port, localPort } = client;
    return `PROXY TCP${family} ${address} ${localAddress} ${port} ${localPort}\r\n`;
  }
  if (client === null) return `${SIGNATURE}${LOCAL}${UNSPEC}${int16(0)}`;
  if (family === 0) return `${SIGNATURE}${PROXY}${UNSPEC}${int16(0)}`;
  const bytes = family === 4 ? bytesOfIPv4 : bytesOfIPv6;
  const addresses = bytes(client.address) + bytes(client.localAddress);
  const rest = addresses + int16(client.port) + int16(client.localPort);
  return `${SIGNATURE}${PROXY}${family === 4 ? TCP4 : TCP6}${int16(rest.length)}${rest}`;
}

function familyOf({ address, localAddress }: ClientFacts): 0 | 4 | 6 {
  if (isIPv4(address) && isIPv4(localAddress)) return 4;
  return isIPv6(address) && isIPv6(localAddress) ? 6 : 0;
}

function int16(value: number): string {
  return String.fromCharCode((value >> 8) & 255, value & 255);
}

function bytesOfIPv4(address: string): string {
  return String.fromCharCode(...address.split('.').map(Number));
}

function bytesOfIPv6(address: string): string {
  const bare = address.replace(/%.*$/, '');
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(bare);
  const text = dotted === null ? bare : `${dotted[1]}${asGroups(dotted[2]!)}`;
  const [before = '', after] = text.split('::');
  const head = before === '' ? [] : before.split(':');
  const tail = after === undefined || after === '' ? [] : after.split(':');
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => '0');
  return [...head, ...zeros, ...tail].map((group) => int16(Number.parseInt(group, 16))).join('');
}

/** "192.0.2.1" as "c000:201". */
function asGroups(dotted: string): string {
  const [a, b, c, d] = dotted.split('.').map(Number) as [number, number, number, number];
  return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
}
