// Which peers are trusted to say who the client is: the list forwardedAllowIps.

import { isIPv4, isIPv6 } from 'node:net';

export interface Trust {
  /** Whether this peer or forwarding proxy is trusted; '' is a Unix socket. */
  trusts(address: string): boolean;
}

/** Address without zone, which means nothing to anybody else; an IPv4 address in IPv6 clothes
 *  (dual-stack sockets) as IPv4, so that one rule for 10.0.0.0/8 covers it; '' where none is known. */
export function plainAddress(address: string | undefined): string {
  if (address === undefined) return '';
  if (!address.includes(':')) return address;
  const zone = address.indexOf('%');
  const plain = zone === -1 ? address : address.slice(0, zone);
  const mapped = plain.startsWith('::ffff:') ? plain.slice(7) : '';
  return mapped !== '' && isIPv4(mapped) ? mapped : plain;
}

/** What is wrong with an entry of the list, or null: addresses, CIDR blocks, "unix" and "*" will do. */
export function trustEntryFault(entry: string): string | null {
  if (entry === '*' || entry === 'unix') return null;
  const { address, prefix, bits } = parseBlock(entry);
  if (bits === 0) return `"${entry}" is neither an IP address, a CIDR block, "unix" nor "*"`;
  if (Number.isNaN(prefix) || prefix > bits) {
    return `"${entry}": the prefix of ${address} is 0 to ${bits}`;
  }
  return null;
}

interface V4Block {
  readonly network: number;
  readonly mask: number;
}

interface V6Block {
  readonly groups: readonly number[];
  readonly prefix: number;
}

/**
 * Throws where trustEntryFault() finds fault: settings are checked before they get here. Asked once
 * per request, so addresses are compared here: net.BlockList takes 1 to 2 µs, this some 50 ns.
 */
export function createTrust(list: readonly string[]): Trust {
  const v4: V4Block[] = [];
  const v6: V6Block[] = [];
  for (const entry of list) {
    const fault = trustEntryFault(entry);
    if (fault !== null) throw new TypeError(fault);
    if (entry === '*' || entry === 'unix') continue;
    const { address, prefix, bits } = parseBlock(entry);
    if (bits === 128) v6.push({ groups: v6Groups(address), prefix });
    else {
      // A shift by 32 is a shift by 0.
      const mask = prefix === 0 ? 0 : -1 << (32 - prefix);
      v4.push({ network: v4Number(address) & mask, mask });
    }
  }
  const hasAll = list.includes('*');
  const hasUnix = list.includes('unix');
  const isListed = (address: string): boolean => {
    const plain = plainAddress(address);
    if (plain.includes(':')) return v6.length > 0 && inV6(v6, plain);
    return v4.length > 0 && isIPv4(plain) && inV4(v4, v4Number(plain));
  };
  // Behind a load balancer, and on a connection that is kept alive, it is the same one again.
  let last = '';
  let lastIsListed = false;
  return {
    trusts(address) {
      if (hasAll) return true;
      if (address === '') return hasUnix;
      if (address === last) return lastIsListed;
      last = address;
      lastIsListed = isListed(address);
      return lastIsListed;
    },
  };
}

function inV4(blocks: readonly V4Block[], address: number): boolean {
  for (const { network, mask } of blocks) {
    if ((address & mask) === network) return true;
  }
  return false;
}

function inV6(blocks: readonly V6Block[], address: string): boolean {
  if (!isIPv6(address) || address.includes('%')) return false;
  const groups = v6Groups(address);
  for (const block of blocks) {
    if (sharesPrefix(groups, block.groups, block.prefix)) return true;
  }
  return false;
}

function sharesPrefix(one: readonly number[], other: readonly number[], prefix: number): boolean {
  const whole = prefix >> 4;
  for (let index = 0; index < whole; index++) {
    if (one[index] !== other[index]) return false;
  }
  const shift = 16 - (prefix & 15);
  return shift === 16 || one[whole]! >> shift === other[whole]! >> shift;
}

/** The four bytes of a valid IPv4 address as a signed 32-bit number. */
function v4Number(address: string): number {
  let number = 0;
  let part = 0;
  for (let at = 0; at < address.length; at++) {
    const code = address.charCodeAt(at);
    if (code === 46) {
      number = (number << 8) | part;
      part = 0;
    } else part = part * 10 + code - 48;
  }
  return (number << 8) | part;
}

/** The eight groups of a valid IPv6 address. */
function v6Groups(address: string): number[] {
  const dot = address.includes('.') ? address.lastIndexOf(':') + 1 : 0;
  let text = address;
  if (dot > 0) {
    const tail = v4Number(address.slice(dot));
    text = `${address.slice(0, dot)}${(tail >>> 16).toString(16)}:${(tail & 0xffff).toString(16)}`;
  }
  const [left = '', right] = text.split('::');
  const before = left === '' ? [] : left.split(':');
  const after = right === undefined || right === '' ? [] : right.split(':');
  const zeros = new Array<string>(8 - before.length - after.length).fill('0');
  return [...before, ...zeros, ...after].map((group) => Number.parseInt(group, 16));
}

interface Block {
  readonly address: string;
  readonly prefix: number;
  /** 32, 128, or 0 where it is no address. */
  readonly bits: number;
}

function parseBlock(entry: string): Block {
  const slash = entry.indexOf('/');
  const written = slash === -1 ? entry : entry.slice(0, slash);
  const digits = slash === -1 ? null : entry.slice(slash + 1);
  const given = digits === null || !/^[0-9]{1,3}$/.test(digits) ? Number.NaN : Number(digits);
  const address = plainAddress(written);
  const bits = isIPv4(address) ? 32 : isIPv6(address) && !written.includes('%') ? 128 : 0;
  // ::ffff:10.0.0.0/104 is 10.0.0.0/8.
  const shift = bits === 32 && written !== address ? 96 : 0;
  const prefix = digits === null ? bits : given - shift;
  return { address, prefix: prefix < 0 ? Number.NaN : prefix, bits };
}
