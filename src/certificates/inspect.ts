// Takes certificates apart into plain facts: crypto.X509Certificate, and what it does not tell.

import type { X509Certificate } from 'node:crypto';
import { isIPv6 } from 'node:net';
import { certificateFacts, shortName } from './facts.ts';
import { signingFacts } from './read-extensions.ts';

export interface CertificateReport {
  /** As the certificate has it: CN=…, O=… */
  readonly subject: string;
  readonly issuer: string;
  /** What the two are called in short. */
  readonly subjectName: string;
  readonly issuerName: string;
  /** DNS names and addresses: of the SAN, or else the common name. */
  readonly names: readonly string[];
  readonly hasAlternativeNames: boolean;
  readonly serial: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** "ECDSA P-256". */
  readonly key: string;
  readonly keyBits: number | null;
  /** "ECDSA with SHA-256"; the OID where it has no name here. */
  readonly signature: string;
  readonly fingerprint256: string;
  readonly isCa: boolean;
  readonly isSelfSigned: boolean;
  /** Extended key usages as OIDs; null = any. */
  readonly purposes: readonly string[] | null;
  readonly mustStaple: boolean;
}

/** RFC 8017, 5758, 8410, 4055. */
const signatures: Readonly<Record<string, string>> = {
  '1.2.840.113549.1.1.4': 'RSA with MD5',
  '1.2.840.113549.1.1.5': 'RSA with SHA-1',
  '1.2.840.113549.1.1.11': 'RSA with SHA-256',
  '1.2.840.113549.1.1.12': 'RSA with SHA-384',
  '1.2.840.113549.1.1.13': 'RSA with SHA-512',
  '1.2.840.113549.1.1.10': 'RSA-PSS',
  '1.2.840.10045.4.1': 'ECDSA with SHA-1',
  '1.2.840.10045.4.3.2': 'ECDSA with SHA-256',
  '1.2.840.10045.4.3.3': 'ECDSA with SHA-384',
  '1.2.840.10045.4.3.4': 'ECDSA with SHA-512',
  '1.3.101.112': 'Ed25519',
  '1.3.101.113': 'Ed448',
};

export async function inspectCertificate(certificate: X509Certificate): Promise<CertificateReport> {
  const { issuer: issuerName, ...facts } = certificateFacts(certificate);
  const signing = await signingFacts(certificate);
  const algorithm = signing?.algorithm ?? 'unknown';
  return {
    ...facts,
    names: facts.names.map(short),
    // Node 20 has undefined for an empty subject.
    subject: oneLine(certificate.subject ?? ''),
    issuer: oneLine(certificate.issuer ?? ''),
    subjectName: shortName(certificate.subject ?? ''),
    issuerName,
    hasAlternativeNames: certificate.subjectAltName !== undefined,
    serial: certificate.serialNumber,
    keyBits: keyBits(certificate),
    signature: signatures[algorithm] ?? algorithm,
    fingerprint256: certificate.fingerprint256,
    isCa: certificate.ca,
    isSelfSigned: isSelfSigned(certificate),
    purposes: certificate.keyUsage ?? null,
    mustStaple: signing?.mustStaple ?? false,
  };
}

/** OpenSSL writes IPv6 addresses in full: 0:0:0:0:0:0:0:1. */
function short(name: string): string {
  return isIPv6(name) ? new URL(`http://[${name}]`).hostname.slice(1, -1) : name;
}

function oneLine(name: string): string {
  return name.replaceAll('\n', ', ');
}

function keyBits(certificate: X509Certificate): number | null {
  try {
    return certificate.publicKey.asymmetricKeyDetails?.modulusLength ?? null;
  } catch {
    // A key of a kind that OpenSSL does not know.
    return null;
  }
}

function isSelfSigned(certificate: X509Certificate): boolean {
  return certificate.issuer === certificate.subject && hasIssued(certificate, certificate);
}

/** Whether the names fit and the signature is right. */
export function hasIssued(issuer: X509Certificate, certificate: X509Certificate): boolean {
  try {
    return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
  } catch {
    // A key of a kind that OpenSSL does not know.
    return false;
  }
}

/** The leaf and then each one's issuer, as far as they are among the others. */
export function chainOf(
  leaf: X509Certificate,
  others: readonly X509Certificate[],
): readonly X509Certificate[] {
  const chain = [leaf];
  const left = new Map(others.map((certificate) => [certificate.fingerprint256, certificate]));
  left.delete(leaf.fingerprint256);
  for (let at = leaf; ; ) {
    const issuer = [...left.values()].find((one) => hasIssued(one, at));
    if (issuer === undefined) return chain;
    left.delete(issuer.fingerprint256);
    chain.push(issuer);
    at = issuer;
  }
}
