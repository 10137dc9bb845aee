// The PROXY protocol: what a load balancer says of its client before the client's own bytes. Pure.
// https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt, sections 2.1 and 2.2.

import { isIPv4, isIPv6 } from 'node:net';
import { plainAddress } from './trust.ts';

/** Where a connection came from, and where to, as the balancer saw it. */
export interface ProxiedOrigin {
  readonly address: string;
  readonly port: number;
  readonly localAddress: string;
  readonly localPort: number;
  /** The client spoke TLS with the balancer. */
  readonly secure: boolean;
}

/** `origin` null: the balancer speaks for itself, or does not say who the client is. */
export type Preamble =
  | { readonly kind: 'partial' }
  | { readonly kind: 'bad'; readonly why: string }
  | { readonly kind: 'whole'; readonly bytes: number; readonly origin: ProxiedOrigin | null };

/** With its CR and LF (section 2.1). */
const V1_BYTES_MAX = 107;
/** Addresses and TLVs. The length field allows 65,535; the largest balancers send is a certificate's name or two. */
const V2_PAYLOAD_BYTES_MAX = 4_096;
const V2_HEAD_BYTES = 16;

const v1Start = Buffer.from('PROXY ');
const v2Start = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');

/** Reads the beginning of a connection. Never asks for more bytes than a preamble may have. */
export function readPreamble(bytes: Buffer): Preamble {
  if (beginsLike(bytes, v2Start)) return readV2(bytes);
  if (beginsLike(bytes, v1Start)) return readV1(bytes);
  return { kind: 'bad', why: 'it begins with neither version of the PROXY protocol' };
}

/** As far as the bytes go. */
function beginsLike(bytes: Buffer, start: Buffer): boolean {
  const length = Math.min(bytes.length, start.length);
  return bytes.compare(start, 0, length, 0, length) === 0;
}

function readV1(bytes: Buffer): Preamble {
  const end = bytes.subarray(0, V1_BYTES_MAX).indexOf('\r\n');
  if (end === -1)
    return bytes.length < V1_BYTES_MAX ? { kind: 'partial' } : bad('its line is too long');
  const length = end + 2;
  const words = bytes.toString('latin1', v1Start.length, end).split(' ');
  const [family, address = '', localAddress = '', port = '', localPort = ''] = words;
  // What follows UNKNOWN is to be ignored.
  if (family === 'UNKNOWN') return { kind: 'whole', bytes: length, origin: null };
  if (family !== 'TCP4' && family !== 'TCP6') return bad('its family is neither TCP4 nor TCP6');
  if (words.length !== 5) return bad('it has not two addresses and two ports');
  const isAddress = family === 'TCP4' ? isIPv4 : isPlainIPv6;
  if (!isAddress(address) || !isAddress(localAddress)) return bad('an address is none');
  if (!isPort(port) || !isPort(localPort)) return bad('a port is none');
  const origin = {
    address: plainAddress(address),
    port: Number(port),
    localAddress: plainAddress(localAddress),
    localPort: Number(localPort),
    secure: false,
  };
  return { kind: 'whole', bytes: length, origin };
}

/** A zone means nothing here. */
function isPlainIPv6(text: string): boolean {
  return isIPv6(text) && !text.includes('%');
}

function isPort(text: string): boolean {
  return /^(0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535;
}

const LOCAL = 0x20;
const PROXY = 0x21;

function readV2(bytes: Buffer): Preamble {
  if (bytes.length < V2_HEAD_BYTES) return { kind: 'partial' };
  const command = bytes[12]!;
  if (command !== LOCAL && command !== PROXY) return bad('its version or command is unknown');
  const payloadBytes = bytes.readUInt16BE(14);
  if (payloadBytes > V2_PAYLOAD_BYTES_MAX) return bad(`it has ${payloadBytes} bytes`);
  const length = V2_HEAD_BYTES + payloadBytes;
  if (bytes.length < length) return { kind: 'partial' };
  // The balancer's own connection, to see whether we are well: what it says of addresses is nothing.
  if (command === LOCAL) return { kind: 'whole', bytes: length, origin: null };
  return readAddresses(bytes[13]!, bytes.subarray(V2_HEAD_BYTES, length), length);
}

/** Family and transport to the bytes of one address; 0 = what it says is of no use here. Streams
 *  of IPv4, IPv6 and Unix sockets, the same of datagrams, and unspecified. */
const addressBytes: Readonly<Record<number, number>> = {
  ...{ 0: 0, 17: 4, 18: 0, 33: 16, 34: 0, 49: 0, 50: 0 },
};

function readAddresses(family: number, payload: Buffer, length: number): Preamble {
  const size = addressBytes[family];
  if (size === undefined) return bad('its family is unknown');
  // A Unix socket has no address, and a client without one might pass for a local one.
  if (size === 0) return { kind: 'whole', bytes: length, origin: null };
  const end = 2 * size + 4;
  if (payload.length < end) return bad('its addresses are cut short');
  const secure = readSecure(payload.subarray(end));
  if (secure === null) return bad('its TLVs are malformed');
  const origin = {
    address: addressOf(payload.subarray(0, size)),
    port: payload.readUInt16BE(2 * size),
    localAddress: addressOf(payload.subarray(size, 2 * size)),
    localPort: payload.readUInt16BE(2 * size + 2),
    secure,
  };
  return { kind: 'whole', bytes: length, origin };
}

function addressOf(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, at) => bytes.readUInt16BE(2 * at).toString(16));
  // IPv4 in IPv6's clothes, as the socket would show it.
  if (groups.slice(0, 6).join() === '0,0,0,0,0,ffff') return bytes.subarray(12).join('.');
  // The URL parser writes the shortest form, as the kernel does.
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}

const TLV_SSL = 0x20;
/** Of the first byte of its value: the client came over TLS (section 2.2.6). */
const CLIENT_SSL = 0x01;

/** Whether the TLVs say that the client spoke TLS; null = they are malformed. */
function readSecure(tlvs: Buffer): boolean | null {
  let secure = false;
  for (let at = 0; at < tlvs.length; ) {
    if (at + 3 > tlvs.length) return null;
    const end = at + 3 + tlvs.readUInt16BE(at + 1);
    if (end > tlvs.length) return null;
    if (tlvs[at] === TLV_SSL && end > at + 3) secure = (tlvs[at + 3]! & CLIENT_SSL) !== 0;
    at = end;
  }
  return secure;
}

function bad(why: string): Preamble {
  return { kind: 'bad', why };
}
