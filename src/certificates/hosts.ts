// The names a certificate can be for: DNS names, wildcards of them, and IP addresses.

import { isIP, isIPv4 } from 'node:net';
import { domainToASCII } from 'node:url';

export type CertificateHost =
  | { readonly kind: 'dns'; readonly name: string }
  | { readonly kind: 'ip'; readonly address: string; readonly octets: Buffer };

/** "Example.com", "*.example.com", "bücher.example" (becomes xn--…), "127.0.0.1", "::1", "[::1]"; null = it is no such name. */
export function readHost(text: string): CertificateHost | null {
  const bare = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text;
  if (isIP(bare) !== 0) {
    // A zone ("fe80::1%eth0") means something on one machine only.
    if (bare.includes('%')) return null;
    return { kind: 'ip', address: bare, octets: ipOctets(bare) };
  }
  // domainToASCII is a URL parser's: it would make "a" of "a/b".
  if (!/^[*\w.\-\u{80}-\u{10ffff}]+$/u.test(text)) return null;
  const wildcard = text.startsWith('*.');
  const ascii = domainToASCII(wildcard ? text.slice(2) : text);
  const name = wildcard ? `*.${ascii}` : ascii;
  // RFC 1035: labels of at most 63 bytes, 253 in all. Underscores are in use, though not in the RFC.
  const fits =
    ascii !== '' &&
    name.length <= 253 &&
    ascii.split('.').every((label) => /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/.test(label)) &&
    isIP(ascii) === 0;
  return fits ? { kind: 'dns', name } : null;
}

/** 4 or 16 bytes. */
export function ipOctets(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number));
  // The URL parser writes every form, "::ffff:1.2.3.4" too, as groups of hexadecimal digits.
  const canonical = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [head = '', tail] = canonical.split('::');
  const groups = (text: string) => (text === '' ? [] : text.split(':'));
  const before = groups(head);
  const after = tail === undefined ? [] : groups(tail);
  const zeros = Array<string>(8 - before.length - after.length).fill('0');
  const all = [...before, ...(tail === undefined ? [] : zeros), ...after];
  return Buffer.from(all.map((group) => group.padStart(4, '0')).join(''), 'hex');
}
