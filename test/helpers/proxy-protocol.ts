// PROXY protocol version 2 as bytes, for tests.

import { isIPv4 } from 'node:net';
import { ipOctets } from '../../src/certificates/hosts.ts';

export interface PreambleV2 {
  /** 0x21 is PROXY, 0x20 LOCAL. */
  readonly command?: number;
  readonly family: number;
  readonly from: string;
  readonly to: string;
  readonly ports: readonly [number, number];
  readonly tlvs?: Buffer;
}

export function preambleV2(given: PreambleV2): Buffer {
  const { command = 0x21, family, from, to, ports, tlvs = Buffer.alloc(0) } = given;
  const addresses = [from, to].map((address) =>
    isIPv4(address) ? Buffer.from(address.split('.').map(Number)) : ipOctets(address),
  );
  const both = Buffer.alloc(4);
  both.writeUInt16BE(ports[0], 0);
  both.writeUInt16BE(ports[1], 2);
  const payload = Buffer.concat([...addresses, both, tlvs]);
  const head = Buffer.from('\r\n\r\n\0\r\nQUIT\n\0\0\0\0', 'latin1');
  head[12] = command;
  head[13] = family;
  head.writeUInt16BE(payload.length, 14);
  return Buffer.concat([head, payload]);
}
