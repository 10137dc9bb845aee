// Which peers are trusted to say who the client is: the list forwardedAllowIps.

import { BlockList, isIPv4, isIPv6 } from 'node:net';

export interface Trust {
  /** Whether this peer or forwarding proxy is trusted; '' is a Unix socket. Takes an address as
   *  plainAddress() gives it. */
  trusts(address: string): boolean;
}

/** Address without zone; an IPv4 address in IPv6 clothes (dual-stack sockets) as IPv4. */
export function plainAddress(address: string): string {
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

/** Throws where trustEntryFault() finds fault: settings are checked before they get here. */
export function createTrust(list: readonly string[]): Trust {
  const exact = new Set<string>();
  const blocks = new BlockList();
  let hasV4Blocks = false;
  let hasV6Blocks = false;
  let hasUnix = false;
  let hasAll = false;
  for (const entry of list) {
    const fault = trustEntryFault(entry);
    if (fault !== null) throw new TypeError(fault);
    if (entry === '*') hasAll = true;
    else if (entry === 'unix') hasUnix = true;
    else {
      const { address, prefix, bits } = parseBlock(entry);
      if (bits === 32 && prefix === 32) exact.add(address);
      else {
        // Single IPv6 addresses too: the same address has many spellings.
        blocks.addSubnet(address, prefix, bits === 32 ? 'ipv4' : 'ipv6');
        if (bits === 32) hasV4Blocks = true;
        else hasV6Blocks = true;
      }
    }
  }
  return {
    trusts(address) {
      if (hasAll) return true;
      if (address === '') return hasUnix;
      if (!address.includes(':')) {
        return exact.has(address) || (hasV4Blocks && isIPv4(address) && blocks.check(address));
      }
      return hasV6Blocks && isIPv6(address) && blocks.check(address, 'ipv6');
    },
  };
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
