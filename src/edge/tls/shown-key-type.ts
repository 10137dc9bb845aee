// Foresees which of two certificates OpenSSL shows a client: a staple is to be given before it has chosen. Pure.

import { readHelloOffers } from './client-hello.ts';

const TLS_1_3 = 0x0304;

/** TLS 1.3 ties the signature to the curve (RFC 8446 section 4.2.3). */
const schemeOfCurve: Readonly<Record<string, number>> = {
  prime256v1: 0x0403,
  secp384r1: 0x0503,
  secp521r1: 0x0603,
};
const ecSchemes = [0x0403, 0x0503, 0x0603];
const rsaPssSchemes = [0x0804, 0x0805, 0x0806];
const rsaSchemes = [...rsaPssSchemes, 0x0401, 0x0501, 0x0601];

/** Those of modernCiphers for TLS 1.2 (src/certificates/ciphers.ts), in their order. */
const modernSuites = [
  [0xc02b, 'ec'],
  [0xc02f, 'rsa'],
  [0xc02c, 'ec'],
  [0xc030, 'rsa'],
  [0xcca9, 'ec'],
  [0xcca8, 'rsa'],
] as const;

/** Of an ECDSA certificate on `curve` and an RSA one, which share a context. Null where it can't be foretold:
 *  a wrong staple is worse than none, as Firefox then refuses the connection. */
export function shownKeyType(
  hello: Uint8Array,
  curve: string,
  hasModernCiphers: boolean,
): 'ec' | 'rsa' | null {
  const offers = readHelloOffers(hello);
  // Then it also counts how the CA has signed.
  if (offers === null || offers.hasCertSchemes) return null;
  const { suites, schemes, versions } = offers;
  const takes = (list: readonly number[]): boolean => list.some((scheme) => schemes.has(scheme));
  if (versions.has(TLS_1_3)) {
    const scheme = schemeOfCurve[curve];
    if (scheme === undefined) return null;
    // OpenSSL has ECDSA first.
    if (schemes.has(scheme)) return 'ec';
    return takes(rsaPssSchemes) ? 'rsa' : null;
  }
  // In TLS 1.2 the suite decides, and its place in somebody's own list is known to OpenSSL alone.
  if (!hasModernCiphers) return null;
  const usable = { ec: takes(ecSchemes), rsa: takes(rsaSchemes) };
  return modernSuites.find(([suite, type]) => suites.has(suite) && usable[type])?.[1] ?? null;
}
