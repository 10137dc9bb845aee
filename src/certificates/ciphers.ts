// The TLS ciphers that are offered, and whether a list of somebody's own can be used.

import { createSecureContext } from 'node:tls';

const ofTls13 = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
];

/** Forward secrecy and authenticated encryption only: Mozilla's intermediate list but for DHE, which
 *  costs far more than ECDHE and which no client of today needs. AES-128 first: the fastest that there
 *  is where the processor has AES. */
export const modernCiphers = [
  ...ofTls13,
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');

/** The list as Node wants it: names of TLS 1.3 stand apart in OpenSSL and in nginx, and a list without
 *  them would switch TLS 1.3 off. */
export function cipherList(list: string | null): string {
  if (list === null) return modernCiphers;
  return /(^|:)TLS_/.test(list) ? list : [...ofTls13, list].join(':');
}

/** Null when OpenSSL takes the list. */
export function ciphersFault(list: string): string | null {
  try {
    createSecureContext({ ciphers: cipherList(list) });
    return null;
  } catch {
    return 'OpenSSL knows no cipher in it; see `openssl ciphers`';
  }
}
