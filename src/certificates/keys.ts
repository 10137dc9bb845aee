// Key pairs for certificates, and the signatures that certificates and requests bear.

import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  type KeyObject,
  sign,
} from 'node:crypto';
import { promisify } from 'node:util';
import type { DerWriter, Node } from './der.ts';

/** ecdsa: P-256, which every client knows and which costs a server a tenth of RSA's time; rsa: 2048 bits. */
export type KeyKind = 'ecdsa' | 'rsa';

export interface KeyPair {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

const generate = promisify(generateKeyPair);

export async function makeKeyPair(kind: KeyKind = 'ecdsa'): Promise<KeyPair> {
  if (kind === 'rsa') return generate('rsa', { modulusLength: 2048 });
  return generate('ec', { namedCurve: 'P-256' });
}

/** PKCS#8 ("BEGIN PRIVATE KEY"). */
export function keyToPem(privateKey: KeyObject): string {
  return privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
}

/** Throws where the text holds no private key. */
export function keyPairFromPem(pem: string): KeyPair {
  const privateKey = createPrivateKey(pem);
  return { privateKey, publicKey: createPublicKey(privateKey) };
}

/** SubjectPublicKeyInfo, as a certificate holds it. */
export function publicKeyDer(publicKey: KeyObject): Buffer {
  return publicKey.export({ type: 'spki', format: 'der' });
}

/** Subject key identifier: 160 bits of the SHA-256 of the SubjectPublicKeyInfo (as in RFC 7093, 2: no SHA-1). */
export function keyId(publicKey: KeyObject): Buffer {
  return createHash('sha256').update(publicKeyDer(publicKey)).digest().subarray(0, 20);
}

interface SignatureAlgorithm {
  readonly oid: string;
  readonly digest: string;
  /** RSA's has NULL for parameters (RFC 4055), ECDSA's none at all (RFC 5758). */
  readonly hasNull: boolean;
}

const rsaSha256 = { oid: '1.2.840.113549.1.1.11', digest: 'sha256', hasNull: true };
/** The digest as long as the curve. */
const ecdsa: Readonly<Record<string, SignatureAlgorithm>> = {
  prime256v1: { oid: '1.2.840.10045.4.3.2', digest: 'sha256', hasNull: false },
  secp384r1: { oid: '1.2.840.10045.4.3.3', digest: 'sha384', hasNull: false },
  secp521r1: { oid: '1.2.840.10045.4.3.4', digest: 'sha512', hasNull: false },
};

function algorithmOf(key: KeyObject): SignatureAlgorithm {
  if (key.asymmetricKeyType === 'rsa') return rsaSha256;
  const curve = key.asymmetricKeyDetails?.namedCurve;
  const found = curve === undefined ? undefined : ecdsa[curve];
  if (found === undefined) {
    const kind = curve ?? key.asymmetricKeyType ?? key.type;
    throw new TypeError(
      `Cannot sign certificates with a key of kind ${kind}: expected RSA or ECDSA`,
    );
  }
  return found;
}

/** The AlgorithmIdentifier of signatures made with the key. */
export function signatureAlgorithm(der: DerWriter, key: KeyObject): Node {
  const { oid, hasNull } = algorithmOf(key);
  return der.sequence(der.oid(oid), ...(hasNull ? [der.null()] : []));
}

/** { what, algorithm, signature }: the outer shape of certificates and requests alike. */
export function signed(der: DerWriter, what: Node, key: KeyObject): Buffer {
  const signature = sign(algorithmOf(key).digest, der.encode(what), { key, dsaEncoding: 'der' });
  return der.encode(der.sequence(what, signatureAlgorithm(der, key), der.bits(signature)));
}
