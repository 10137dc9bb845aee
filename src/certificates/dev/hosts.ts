// Which names the development certificate is for, and which its CA may vouch for at all.

import type { NameConstraints } from '../extensions.ts';
import { ipOctets, readHost } from '../hosts.ts';

/** A name stands for all below it too. None of them is anybody's on the internet (RFC 6761, 6762 with
 *  its appendix G, 8375; .internal by ICANN): who steals the CA's key can't pass for a bank with it. */
const localDomains = [
  ...['localhost', 'test', 'local', 'internal', 'home.arpa'],
  ...['lan', 'home', 'intranet', 'private', 'corp'],
];

/** Loopback, private and link-local addresses (RFC 6890). */
const localNetworks = [
  ...['127.0.0.0/8', '10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '169.254.0.0/16'],
  ...['::1/128', 'fc00::/7', 'fe80::/10'],
];

/** `machine`: what it calls itself. A name of one label is nobody's on the internet either. */
export function constraintsFor(machine: string): NameConstraints {
  const host = readHost(machine);
  const own = host?.kind === 'dns' && !isLocalDomain(host.name) ? [host.name] : [];
  const ip = localNetworks.map((network) => {
    const [address = '', bits] = network.split('/');
    const octets = ipOctets(address);
    return [octets, mask(octets.length, Number(bits))] as const;
  });
  return { dns: [...localDomains, ...own], ip };
}

function isLocalDomain(name: string): boolean {
  return localDomains.some((domain) => name === domain || name.endsWith(`.${domain}`));
}

/** Whether a CA with such constraints vouches for the name or address. */
export function permits({ dns, ip }: NameConstraints, text: string): boolean {
  const host = readHost(text);
  if (host === null) return false;
  if (host.kind === 'dns')
    return dns.some((name) => host.name === name || host.name.endsWith(`.${name}`));
  return ip.some(
    ([address, bits]) =>
      address.length === host.octets.length &&
      host.octets.every((byte, at) => (byte & bits[at]!) === address[at]),
  );
}

/** `machine` and what is always there: loopback by all its names. */
export function usualHosts(machine: string): string[] {
  const [label = ''] = machine.split('.');
  // By which others on the same network find it (multicast DNS).
  const names = machine === 'localhost' ? [] : [machine, `${label}.local`];
  // OpenSSL and browsers take no wildcard right below the top: "app.localhost" has to be named for them.
  const usual = ['localhost', '*.localhost', '127.0.0.1', '::1', ...names];
  return [...new Set(usual.map((name) => name.toLowerCase()))].filter(
    (name) => readHost(name) !== null,
  );
}

function mask(bytes: number, bits: number): Buffer {
  return Buffer.from(
    Array.from(
      { length: bytes },
      (_, at) => (0xff00 >> Math.max(0, Math.min(8, bits - at * 8))) & 0xff,
    ),
  );
}
