// Makes the contexts of TLS handshakes: versions, ciphers, curves and certificates.

import { constants } from 'node:crypto';
import { createSecureContext, type SecureContext } from 'node:tls';
import { cipherList } from './ciphers.ts';

export interface ContextSettings {
  /** null = Portico's own. */
  readonly ciphers: string | null;
  readonly tlsMinVersion: 'TLSv1.2' | 'TLSv1.3';
  /** The CA certificates that clients' certificates are checked against. */
  readonly caPem: string | null;
}

/** X25519 costs least; the hybrid with ML-KEM keeps what is recorded today from being read later. */
const curveLists = ['X25519MLKEM768:X25519:P-256:P-384', 'X25519:P-256:P-384'];
let curves: string | null = null;

/** OpenSSL of Node 20 has no ML-KEM. */
function knownCurves(): string {
  curves ??= curveLists.find((ecdhCurve) => {
    try {
      createSecureContext({ ecdhCurve });
      return true;
    } catch {
      return false;
    }
  })!;
  return curves;
}

/** `pairs` of different types: the handshake takes the one the client can check. Throws what OpenSSL
 *  says where a key doesn't fit or a list can't be used. */
export function createContext(
  pairs: readonly { readonly certPem: string; readonly keyPem: string }[],
  { ciphers, tlsMinVersion, caPem }: ContextSettings,
): SecureContext {
  return createSecureContext({
    cert: pairs.map(({ certPem }) => certPem),
    key: pairs.map(({ keyPem }) => keyPem),
    ciphers: cipherList(ciphers),
    honorCipherOrder: true,
    ecdhCurve: knownCurves(),
    minVersion: tlsMinVersion,
    maxVersion: 'TLSv1.3',
    // A client's renegotiation is work for us and none for it, and HTTP/2 forbids it (RFC 9113 section 9.2.1).
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_NO_COMPRESSION,
    // The same in all contexts: a session is resumed on another connection of any edge.
    sessionIdContext: 'portico',
    // None, where none are given: by default all public CAs could vouch for clients.
    ca: caPem ?? [],
  });
}
