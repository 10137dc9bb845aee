// The X.509 extensions that Portico's own certificates and requests carry (RFC 5280, 4.2).

import type { DerWriter, Node } from './der.ts';
import type { CertificateHost } from './hosts.ts';

/** Of a certificate or a request, beside those that make.ts puts in itself. */
export interface ExtraExtension {
  readonly oid: string;
  readonly critical: boolean;
  /** DER of what is inside the extension's octet string. */
  readonly value: Buffer;
}

/** tls-alpn-01's (RFC 8737, 3): the SHA-256 of the key authorization. */
export function acmeIdentifier(sha256: Buffer): ExtraExtension {
  if (sha256.length !== 32) throw new TypeError('acmeIdentifier needs the 32 bytes of a SHA-256');
  return {
    oid: '1.3.6.1.5.5.7.1.31',
    critical: true,
    value: Buffer.concat([Buffer.from([0x04, 0x20]), sha256]),
  };
}

/** TLS feature status_request (RFC 7633): clients insist on a stapled OCSP response. */
export function mustStaple(): ExtraExtension {
  const statusRequest = [0x30, 0x03, 0x02, 0x01, 0x05];
  return { oid: '1.3.6.1.5.5.7.1.24', critical: false, value: Buffer.from(statusRequest) };
}

/** What a CA may vouch for; a DNS name stands for all below it too. */
export interface NameConstraints {
  readonly dns: readonly string[];
  /** Address and mask, 4 and 4 bytes or 16 and 16. */
  readonly ip: readonly (readonly [address: Buffer, mask: Buffer])[];
}

export interface Extensions {
  basicConstraints(ca: boolean): Node;
  /** Bits as RFC 5280 names them. */
  keyUsage(...usages: readonly KeyUsage[]): Node;
  serverAuth(): Node;
  /** Critical where the subject is empty (RFC 5280, 4.2.1.6). */
  hosts(hosts: readonly CertificateHost[], critical: boolean): Node;
  subjectKey(id: Buffer): Node;
  authorityKey(id: Buffer): Node;
  nameConstraints(permitted: NameConstraints): Node;
  extra(extension: ExtraExtension): Node;
}

type KeyUsage = keyof typeof usageBits;
const usageBits = { digitalSignature: 0, keyEncipherment: 2, keyCertSign: 5, cRLSign: 6 };

export function extensionsOf(der: DerWriter): Extensions {
  const extension = (oid: string, critical: boolean, value: Buffer): Node =>
    der.sequence(der.oid(oid), ...(critical ? [der.boolean(true)] : []), der.octets(value));
  const generalName = (host: CertificateHost): Node =>
    host.kind === 'dns' ? der.tagged(2, Buffer.from(host.name)) : der.tagged(7, host.octets);
  return {
    basicConstraints(ca) {
      // pathLenConstraint 0: a dev CA has no CAs below it.
      const value = ca ? [der.boolean(true), der.integer(Buffer.from([0]))] : [];
      return extension('2.5.29.19', true, der.encode(der.sequence(...value)));
    },
    keyUsage(...usages) {
      const positions = usages.map((usage) => usageBits[usage]);
      const byte = positions.reduce((sum, position) => sum | (0x80 >> position), 0);
      const unused = 7 - Math.max(...positions);
      return extension('2.5.29.15', true, der.encode(der.bits(Buffer.from([byte]), unused)));
    },
    serverAuth() {
      const purposes = der.sequence(der.oid('1.3.6.1.5.5.7.3.1'));
      return extension('2.5.29.37', false, der.encode(purposes));
    },
    hosts: (hosts, critical) =>
      extension('2.5.29.17', critical, der.encode(der.sequence(...hosts.map(generalName)))),
    subjectKey: (id) => extension('2.5.29.14', false, der.encode(der.octets(id))),
    authorityKey: (id) =>
      extension('2.5.29.35', false, der.encode(der.sequence(der.tagged(0, id)))),
    nameConstraints({ dns, ip }) {
      const subtrees = [
        ...dns.map((name) => der.tagged(2, Buffer.from(name))),
        ...ip.map(([address, mask]) => der.tagged(7, Buffer.concat([address, mask]))),
      ].map((base) => der.sequence(base));
      return extension('2.5.29.30', true, der.encode(der.sequence(der.tagged(0, subtrees))));
    },
    extra: ({ oid, critical, value }) => extension(oid, critical, value),
  };
}
