// What a certificate says, in the terms this program speaks of it: names, issuer, key, dates. Pure.

import type { X509Certificate } from 'node:crypto';

export interface CertificateFacts {
  /** Host names in lower case, "*.example.com" among them, and IP addresses. */
  readonly names: readonly string[];
  /** What the issuer calls itself. */
  readonly issuer: string;
  /** "RSA 2048", "ECDSA P-256", "Ed25519". */
  readonly key: string;
  /** Milliseconds since 1970. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

export function certificateFacts(certificate: X509Certificate): CertificateFacts {
  return {
    names: certificateNames(certificate),
    issuer: shortName(certificate.issuer),
    key: keyOf(certificate),
    notBeforeMs: Date.parse(certificate.validFrom),
    notAfterMs: Date.parse(certificate.validTo),
  };
}

/** The names a client may have asked for; the common name only where there are no others, as it
 *  means nothing to clients since RFC 6125. */
export function certificateNames(certificate: X509Certificate): string[] {
  const names: string[] = [];
  for (const [kind, value] of alternativeNames(certificate.subjectAltName ?? '')) {
    if (kind === 'DNS' && isHostName(value)) names.push(value.toLowerCase());
    if (kind === 'IP Address') names.push(value.toLowerCase());
  }
  if (names.length > 0) return [...new Set(names)];
  const common = /^CN=(.*)$/m.exec(certificate.subject)?.[1] ?? '';
  return isHostName(common) ? [common.toLowerCase()] : [];
}

/** 'DNS:a.example, IP Address:::1' → pairs. Node writes a value with odd characters as a JSON string. */
function* alternativeNames(text: string): Generator<readonly [string, string]> {
  // What had to be quoted is no host name.
  for (const [, kind, quoted, plain] of text.matchAll(
    /([A-Za-z ]+):(?:("(?:[^"\\]|\\.)*")|([^,]*))(?:, |$)/g,
  ))
    if (quoted === undefined) yield [kind!, plain!];
}

function isHostName(name: string): boolean {
  return name.length <= 253 && /^(\*\.)?[\w-]+(\.[\w-]+)*$/.test(name);
}

/** The common name of a subject or issuer as Node writes it, else its organization, else all of it. */
export function shortName(distinguished: string): string {
  const part = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(distinguished)?.[1];
  return part('CN') ?? part('O') ?? distinguished.replaceAll('\n', ', ');
}

const curves: Readonly<Record<string, string>> = {
  prime256v1: 'P-256',
  secp384r1: 'P-384',
  secp521r1: 'P-521',
};

/** OpenSSL reads certificates with keys that it can't use. */
function keyOf(certificate: X509Certificate): string {
  try {
    return keyText(certificate.publicKey);
  } catch {
    return 'of a kind that is not known here';
  }
}

function keyText(key: X509Certificate['publicKey']): string {
  const { modulusLength, namedCurve } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case 'rsa':
      return `RSA ${modulusLength}`;
    case 'rsa-pss':
      return `RSA-PSS ${modulusLength}`;
    case 'ec':
      return `ECDSA ${curves[namedCurve ?? ''] ?? namedCurve}`;
    case 'ed25519':
      return 'Ed25519';
    default:
      return key.asymmetricKeyType ?? 'unknown';
  }
}
