// Makes certificates and certificate requests: self-signed, of a CA of our own, and the CA itself.
//
// The shapes are written with node-forge's ASN.1; keys and signatures are node:crypto's, since
// forge's X.509 knows RSA alone and is slow.

import { type KeyObject, randomBytes, type X509Certificate } from 'node:crypto';
import { type DerWriter, derReader, derWriter, type Node, parts } from './der.ts';
import { type ExtraExtension, extensionsOf, type NameConstraints } from './extensions.ts';
import { loadForge } from './forge.ts';
import { type CertificateHost, readHost } from './hosts.ts';
import { type KeyPair, keyId, publicKeyDer, signatureAlgorithm, signed } from './keys.ts';

/** Both forms of one certificate or request. */
export interface Made {
  readonly der: Buffer;
  readonly pem: string;
}

export interface Validity {
  readonly nowMs: number;
  /** From now on; the certificate is also valid for an hour before, for clients whose clocks are late. */
  readonly lifetimeMs: number;
}

export interface LeafOptions extends Validity {
  /** At least one DNS name ("*." may lead) or IP address; throws TypeError where one is neither. */
  readonly hosts: readonly string[];
  readonly extensions?: readonly ExtraExtension[];
}

/** A CA that can sign: its certificate and its key. */
export interface Issuer {
  readonly certificate: X509Certificate;
  readonly privateKey: KeyObject;
}

const skewMs = 3_600_000;
const oids = {
  commonName: '2.5.4.3',
  organization: '2.5.4.10',
  extensionRequest: '1.2.840.113549.1.9.14',
};

/** A server's certificate that vouches for itself. */
export async function makeSelfSigned({
  key,
  ...leaf
}: LeafOptions & { readonly key: KeyPair }): Promise<Made> {
  const der = derWriter(await loadForge());
  const hosts = readHosts(leaf.hosts);
  const subject = leafSubject(der, hosts);
  return certificate(der, {
    ...leaf,
    subject,
    issuerName: subject,
    publicKey: key.publicKey,
    signingKey: key.privateKey,
    extensions: leafExtensions(der, { hosts, publicKey: key.publicKey, extra: leaf.extensions }),
  });
}

/** A server's certificate, signed by a CA. */
export async function makeLeaf({
  issuer,
  publicKey,
  ...leaf
}: LeafOptions & { readonly issuer: Issuer; readonly publicKey: KeyObject }): Promise<Made> {
  const forge = await loadForge();
  const der = derWriter(forge);
  const hosts = readHosts(leaf.hosts);
  const authority = extensionsOf(der).authorityKey(keyId(issuer.certificate.publicKey));
  const own = leafExtensions(der, { hosts, publicKey, extra: leaf.extensions });
  return certificate(der, {
    ...leaf,
    subject: leafSubject(der, hosts),
    // As it stands in the issuer, byte for byte: chains are built by comparing these.
    issuerName: subjectOf(derReader(forge).parse(issuer.certificate.raw)),
    publicKey,
    signingKey: issuer.privateKey,
    extensions: [...own, authority],
  });
}

/** A CA that may sign servers' certificates, and no CAs. */
export async function makeCa({
  key,
  name,
  constraints = null,
  ...validity
}: Validity & {
  readonly key: KeyPair;
  /** What people see in lists of certificates. */
  readonly name: string;
  /** null = it may vouch for every name. */
  readonly constraints?: NameConstraints | null;
}): Promise<Made> {
  const der = derWriter(await loadForge());
  const subject = nameOf(der, [
    [oids.organization, 'Portico'],
    [oids.commonName, name],
  ]);
  const x = extensionsOf(der);
  return certificate(der, {
    ...validity,
    subject,
    issuerName: subject,
    publicKey: key.publicKey,
    signingKey: key.privateKey,
    extensions: [
      x.basicConstraints(true),
      x.keyUsage('keyCertSign', 'cRLSign'),
      x.serverAuth(),
      x.subjectKey(keyId(key.publicKey)),
      ...(constraints === null ? [] : [x.nameConstraints(constraints)]),
    ],
  });
}

/** PKCS#10 (RFC 2986). The names stand in the SAN alone and the subject is empty, as CAs of today want it. */
export async function makeCsr({
  key,
  hosts,
  extensions = [],
}: {
  readonly key: KeyPair;
  readonly hosts: readonly string[];
  readonly extensions?: readonly ExtraExtension[];
}): Promise<Made> {
  const der = derWriter(await loadForge());
  const x = extensionsOf(der);
  const requested = der.sequence(x.hosts(readHosts(hosts), false), ...extensions.map(x.extra));
  const info = der.sequence(
    der.integer(Buffer.from([0])),
    nameOf(der, []),
    der.raw(publicKeyDer(key.publicKey)),
    der.tagged(0, [der.sequence(der.oid(oids.extensionRequest), der.set(requested))]),
  );
  return made('CERTIFICATE REQUEST', signed(der, info, key.privateKey));
}

/** The PEM text of DER bytes. */
export function toPem(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

interface CertificateParts extends Validity {
  readonly subject: Node;
  readonly issuerName: Node;
  readonly publicKey: KeyObject;
  readonly signingKey: KeyObject;
  readonly extensions: readonly Node[];
}

function certificate(der: DerWriter, given: CertificateParts): Made {
  const second = (ms: number) => new Date(Math.floor(ms / 1000) * 1000);
  const tbs = der.sequence(
    der.tagged(0, [der.integer(Buffer.from([2]))]),
    der.integer(serial()),
    signatureAlgorithm(der, given.signingKey),
    given.issuerName,
    der.sequence(
      der.time(second(given.nowMs - skewMs)),
      der.time(second(given.nowMs + given.lifetimeMs)),
    ),
    given.subject,
    der.raw(publicKeyDer(given.publicKey)),
    der.tagged(3, [der.sequence(...given.extensions)]),
  );
  return made('CERTIFICATE', signed(der, tbs, given.signingKey));
}

function made(label: string, der: Buffer): Made {
  return { der, pem: toPem(label, der) };
}

/** Positive and 16 bytes whatever comes out: 126 random bits, where the CA/Browser Forum wants 64. */
function serial(): Buffer {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0]! & 0x3f) | 0x40;
  return bytes;
}

function readHosts(hosts: readonly string[]): readonly CertificateHost[] {
  if (hosts.length === 0) throw new TypeError('A certificate needs at least one host');
  return hosts.map((text) => {
    const host = readHost(text);
    if (host === null) throw new TypeError(`${JSON.stringify(text)} is no host for a certificate`);
    return host;
  });
}

/** CN = the first host; empty where it is longer than the 64 characters a CN may have (RFC 5280, A.1). */
function leafSubject(der: DerWriter, [first]: readonly CertificateHost[]): Node {
  const name = first!.kind === 'dns' ? first!.name : first!.address;
  return nameOf(der, name.length > 64 ? [] : [[oids.commonName, name]]);
}

function nameOf(der: DerWriter, attributes: readonly (readonly [oid: string, text: string])[]) {
  return der.sequence(
    ...attributes.map(([oid, text]) => der.set(der.sequence(der.oid(oid), der.utf8(text)))),
  );
}

function leafExtensions(
  der: DerWriter,
  given: {
    readonly hosts: readonly CertificateHost[];
    readonly publicKey: KeyObject;
    readonly extra: readonly ExtraExtension[] | undefined;
  },
): Node[] {
  const x = extensionsOf(der);
  const isRsa = given.publicKey.asymmetricKeyType === 'rsa';
  const hasSubject = parts(leafSubject(der, given.hosts)).length > 0;
  return [
    x.basicConstraints(false),
    // keyEncipherment is RSA key exchange, which TLS 1.2 clients may still ask for.
    x.keyUsage('digitalSignature', ...(isRsa ? (['keyEncipherment'] as const) : [])),
    x.serverAuth(),
    x.hosts(given.hosts, !hasSubject),
    x.subjectKey(keyId(given.publicKey)),
    ...(given.extra ?? []).map(x.extra),
  ];
}

/** The subject's name of a parsed certificate: sixth of the TBS where a version leads, as in every version 3. */
function subjectOf(certificate: Node): Node {
  const subject = parts(parts(certificate)[0])[5];
  if (subject === undefined) throw new TypeError('The issuer is no X.509 version 3 certificate');
  return subject;
}
