// Reads extensions of certificates that node:crypto does not tell: whatever is not understood is left out.

import type { X509Certificate } from 'node:crypto';
import {
  content,
  type DerReader,
  derReader,
  isTagged,
  type Node,
  parts,
  smallInteger,
  taggedParts,
  tags,
} from './der.ts';
import type { NameConstraints } from './extensions.ts';
import { loadForge } from './forge.ts';

const oids = {
  nameConstraints: '2.5.29.30',
  tlsFeature: '1.3.6.1.5.5.7.1.24',
};
/** status_request (RFC 7633). */
const statusRequest = 5;

/** What a CA may vouch for; null = it says nothing, or nothing that can be read. */
export async function nameConstraints(
  certificate: X509Certificate,
): Promise<NameConstraints | null> {
  const read = await extensions(certificate);
  const value = read?.values.get(oids.nameConstraints);
  if (read === null || value === undefined) return null;
  try {
    return permittedIn(read.reader.parse(value));
  } catch {
    return null;
  }
}

function permittedIn(constraints: Node): NameConstraints | null {
  const permitted = parts(constraints).find((node) => isTagged(node, 0));
  if (permitted === undefined) return null;
  const dns: string[] = [];
  const ip: [Buffer, Buffer][] = [];
  for (const subtree of taggedParts(permitted, 0)) {
    const [base] = parts(subtree);
    if (base === undefined || Array.isArray(base.value)) continue;
    const bytes = Buffer.from(base.value, 'latin1');
    const half = bytes.length / 2;
    if (isTagged(base, 2)) dns.push(bytes.toString('latin1'));
    if (isTagged(base, 7) && (half === 4 || half === 16))
      ip.push([bytes.subarray(0, half), bytes.subarray(half)]);
  }
  return { dns, ip };
}

export interface SigningFacts {
  /** Of the signature, dotted. */
  readonly algorithm: string;
  readonly mustStaple: boolean;
}

/** null = its bytes can't be taken apart here, though node:crypto could. */
export async function signingFacts(certificate: X509Certificate): Promise<SigningFacts | null> {
  const read = await extensions(certificate);
  if (read === null) return null;
  const value = (oid: string): Node | null => {
    const der = read.values.get(oid);
    return der === undefined ? null : read.reader.parse(der);
  };
  try {
    const features = value(oids.tlsFeature);
    return {
      algorithm: read.algorithm,
      mustStaple:
        features !== null && parts(features).some((node) => smallInteger(node) === statusRequest),
    };
  } catch {
    return null;
  }
}

interface Read {
  readonly reader: DerReader;
  readonly algorithm: string;
  /** DER inside each extension's octet string, by OID. */
  readonly values: ReadonlyMap<string, Buffer>;
}

async function extensions(certificate: X509Certificate): Promise<Read | null> {
  const reader = derReader(await loadForge());
  try {
    const [tbs, algorithm] = parts(reader.parse(certificate.raw));
    const list = parts(tbs).find((node) => isTagged(node, 3));
    const values = new Map<string, Buffer>();
    for (const extension of list === undefined ? [] : parts(taggedParts(list, 3)[0])) {
      const [oid, ...rest] = parts(extension);
      // Whether it is critical may stand between.
      values.set(reader.oid(oid), content(rest.at(-1), tags.octetString));
    }
    return { reader, algorithm: reader.oid(parts(algorithm)[0]), values };
  } catch {
    return null;
  }
}
