// Reads PKCS#12 files (.p12, .pfx): the key, and the certificate's chain, leaf first.
//
// forge's own reader takes RSA alone, derives keys in JavaScript while everything waits, and asks for no
// limits; so its ASN.1 codec is used here, and node:crypto for all ciphers but RC2.

import { createPrivateKey, type KeyObject, timingSafeEqual, X509Certificate } from 'node:crypto';
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
import { loadForge } from './forge.ts';
import { chainOf } from './inspect.ts';
import { keyToPem } from './keys.ts';
import { type Derivation, decrypt, mac, Pkcs12Fault } from './password-encryption.ts';

export type Pkcs12 =
  | {
      readonly ok: true;
      /** Certificates, each issued by the next; the first fits the key. */
      readonly certPem: string;
      /** PKCS#8, not encrypted. */
      readonly keyPem: string;
    }
  | {
      readonly ok: false;
      readonly code: Pkcs12Fault['code'];
      /** Goes on from "FILE": "needs a passphrase". */
      readonly problem: string;
    };

/** A chain with its key has some 5 KB. */
const bytesMax = 1024 ** 2;
/** OpenSSL asks for 3 × 2,048, NSS for 3 × 600,000 or so. */
const iterationsMax = 3_000_000;
const bagsMax = 100;
/** Of bags in bags, which nobody makes, but which the format has. */
const nestingMax = 4;

const oids = {
  data: '1.2.840.113549.1.7.1',
  encryptedData: '1.2.840.113549.1.7.6',
  keyBag: '1.2.840.113549.1.12.10.1.1',
  shroudedKeyBag: '1.2.840.113549.1.12.10.1.2',
  certBag: '1.2.840.113549.1.12.10.1.3',
  safeContentsBag: '1.2.840.113549.1.12.10.1.6',
  x509: '1.2.840.113549.1.9.22.1',
};

/** `passphrase` null or '' = the file has none. Does not throw for anything that the bytes may be. */
export async function readPkcs12(bytes: Buffer, passphrase: string | null): Promise<Pkcs12> {
  try {
    if (bytes.length > bytesMax)
      throw new Pkcs12Fault('limit', `is larger than the ${bytesMax / 1024 ** 2} MB it may have`);
    const forge = await loadForge();
    const { authSafe, macData } = outer(derReader(forge), bytes);
    const by = { forge, reader: derReader(forge), iterationsLeft: iterationsMax };
    const text = passphrase ?? '';
    const opened = await open({ ...by, password: { text, wide: wide(text) } }, authSafe, macData);
    return { ok: true, ...pair(opened) };
  } catch (cause) {
    const code = cause instanceof Pkcs12Fault ? cause.code : 'damaged';
    return { ok: false, code, problem: problemOf(code, cause, passphrase) };
  }
}

function problemOf(code: Pkcs12Fault['code'], cause: unknown, passphrase: string | null): string {
  if (code === 'passphrase')
    return passphrase === null || passphrase === ''
      ? 'needs a passphrase'
      : 'does not open with this passphrase';
  if (code === 'damaged') return 'is no PKCS#12 file, or a damaged one';
  return (cause as Error).message;
}

interface Outer {
  /** What the MAC is over. */
  readonly authSafe: Buffer;
  readonly macData: Node | null;
}

function outer(reader: DerReader, bytes: Buffer): Outer {
  const [version, info, macData = null] = parts(reader.parse(bytes));
  if (smallInteger(version) !== 3)
    throw new Pkcs12Fault('unsupported', `has PKCS#12 version ${smallInteger(version)}, not 3`);
  const [type, wrapped] = parts(info);
  if (reader.oid(type) !== oids.data)
    throw new Pkcs12Fault('unsupported', 'is protected by a public key instead of a passphrase');
  return { authSafe: content(taggedParts(wrapped, 0)[0], tags.octetString), macData };
}

interface Opened {
  readonly keys: KeyObject[];
  readonly certificates: X509Certificate[];
  bags: number;
}

async function open(given: Derivation, authSafe: Buffer, macData: Node | null): Promise<Opened> {
  const by = macData === null ? given : await proven(given, authSafe, macData);
  const found: Opened = { keys: [], certificates: [], bags: 0 };
  try {
    for (const part of parts(by.reader.parse(authSafe))) {
      const safe = await safeContents(by, part);
      await readBags(by, by.reader.parse(safe), found, 0);
    }
  } catch (cause) {
    // The MAC has shown the passphrase to be right.
    if (macData !== null && cause instanceof Pkcs12Fault && cause.code === 'passphrase')
      throw new Pkcs12Fault('damaged', cause.message);
    // Without one, a wrong passphrase may also yield bytes that are nothing.
    if (macData === null && !(cause instanceof Pkcs12Fault))
      throw new Pkcs12Fault('passphrase', 'does not decrypt');
    throw cause;
  }
  return found;
}

/** The derivation by which the MAC is right. */
async function proven(by: Derivation, data: Buffer, macData: Node): Promise<Derivation> {
  // No passphrase: some programs take the two bytes of a NUL, some nothing at all.
  const none = { text: '', wide: Buffer.alloc(0) };
  const passwords = by.password.text === '' ? [by.password, none] : [by.password];
  for (const password of passwords) {
    const attempt = { ...by, password };
    const { found, computed } = await mac(attempt, macData, data);
    if (found.length === computed.length && timingSafeEqual(found, computed)) return attempt;
  }
  throw new Pkcs12Fault('passphrase', 'has another MAC');
}

async function safeContents(by: Derivation, info: Node): Promise<Buffer> {
  const [type, wrapped] = parts(info);
  const [inner] = taggedParts(wrapped, 0);
  const oid = by.reader.oid(type);
  if (oid === oids.data) return content(inner, tags.octetString);
  if (oid !== oids.encryptedData)
    throw new Pkcs12Fault('unsupported', `has content of type ${oid}, which is not known here`);
  const [, encrypted] = parts(inner);
  const [, algorithm, data] = parts(encrypted);
  return decrypt(by, algorithm, implicitOctets(data));
}

/** [0] IMPLICIT OCTET STRING, in one piece or in several. */
function implicitOctets(node: Node | undefined): Buffer {
  if (!isTagged(node, 0)) throw new Error('expected [0]');
  if (!Array.isArray(node.value)) return Buffer.from(node.value, 'latin1');
  return Buffer.concat(node.value.map((part) => content(part, tags.octetString)));
}

async function readBags(by: Derivation, bags: Node, found: Opened, nesting: number): Promise<void> {
  for (const bag of parts(bags)) {
    if (++found.bags > bagsMax || nesting > nestingMax)
      throw new Pkcs12Fault('limit', `holds more than ${bagsMax} things`);
    const [type, wrapped] = parts(bag);
    const [value] = taggedParts(wrapped, 0);
    switch (by.reader.oid(type)) {
      case oids.keyBag:
        found.keys.push(privateKey(by.reader.encode(value as Node)));
        break;
      case oids.shroudedKeyBag: {
        const [algorithm, data] = parts(value);
        const der = await decrypt(by, algorithm, content(data, tags.octetString));
        found.keys.push(privateKey(der));
        break;
      }
      case oids.certBag: {
        const [kind, holder] = parts(value);
        if (by.reader.oid(kind) !== oids.x509) break;
        const der = content(taggedParts(holder, 0)[0], tags.octetString);
        found.certificates.push(new X509Certificate(der));
        break;
      }
      case oids.safeContentsBag:
        await readBags(by, value as Node, found, nesting + 1);
        break;
      default:
        // Revocation lists and secrets: nothing that a server has use for.
        break;
    }
  }
}

function privateKey(der: Buffer): KeyObject {
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
}

function pair({ keys, certificates }: Opened): { certPem: string; keyPem: string } {
  if (keys.length === 0) throw new Pkcs12Fault('incomplete', 'holds no private key');
  if (certificates.length === 0) throw new Pkcs12Fault('incomplete', 'holds no certificate');
  for (const key of keys) {
    const leaf = certificates.find((certificate) => certificate.checkPrivateKey(key));
    if (leaf === undefined) continue;
    const chain = chainOf(leaf, certificates);
    return {
      certPem: chain.map((certificate) => certificate.toString()).join(''),
      keyPem: keyToPem(key),
    };
  }
  throw new Pkcs12Fault('incomplete', 'holds no certificate that fits its private key');
}

/** UTF-16, big-endian, with a NUL behind (RFC 7292, B.1). */
function wide(text: string): Buffer {
  return Buffer.from(`${text}\0`, 'utf16le').swap16();
}
