// Password-based encryption and MACs of PKCS#12 files: PBES2 (RFC 8018), and what older programs write (RFC 7292, B and C).

import { createDecipheriv, createHash, createHmac, pbkdf2 } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { promisify } from 'node:util';
import { content, type DerReader, is, type Node, parts, smallInteger, tags } from './der.ts';
import type { Forge } from './forge.ts';

/** Why a file can't be read; the text goes on from "it". */
export class Pkcs12Fault extends Error {
  readonly code: 'passphrase' | 'damaged' | 'unsupported' | 'limit' | 'incomplete';

  constructor(code: Pkcs12Fault['code'], message: string) {
    super(message);
    this.code = code;
  }
}

export interface Password {
  readonly text: string;
  /** Of PKCS#12's own derivation: UTF-16 with a NUL; empty where there is none, as some programs have it. */
  readonly wide: Buffer;
}

/** Turns the passphrase into keys, as often as the file may ask for. */
export interface Derivation {
  readonly forge: Forge;
  readonly reader: DerReader;
  readonly password: Password;
  /** Left for the whole file. */
  iterationsLeft: number;
}

const pbkdf2Async = promisify(pbkdf2);
const oids = {
  pbes2: '1.2.840.113549.1.5.13',
  pbkdf2: '1.2.840.113549.1.5.12',
  pbmac1: '1.2.840.113549.1.5.14',
};

const digests: Readonly<Record<string, string>> = {
  '1.3.14.3.2.26': 'sha1',
  '2.16.840.1.101.3.4.2.4': 'sha224',
  '2.16.840.1.101.3.4.2.1': 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
};
const hmacs: Readonly<Record<string, string>> = {
  '1.2.840.113549.2.7': 'sha1',
  '1.2.840.113549.2.8': 'sha224',
  '1.2.840.113549.2.9': 'sha256',
  '1.2.840.113549.2.10': 'sha384',
  '1.2.840.113549.2.11': 'sha512',
};
const ciphers: Readonly<Record<string, { readonly name: string; readonly keyBytes: number }>> = {
  '2.16.840.1.101.3.4.1.2': { name: 'aes-128-cbc', keyBytes: 16 },
  '2.16.840.1.101.3.4.1.22': { name: 'aes-192-cbc', keyBytes: 24 },
  '2.16.840.1.101.3.4.1.42': { name: 'aes-256-cbc', keyBytes: 32 },
  '1.2.840.113549.3.7': { name: 'des-ede3-cbc', keyBytes: 24 },
};
/** PKCS#12's own: SHA-1 and 8 bytes of IV, whatever the cipher. */
const ownSchemes: Readonly<Record<string, { readonly cipher: 'des3' | 'rc2'; keyBytes: number }>> =
  {
    '1.2.840.113549.1.12.1.3': { cipher: 'des3', keyBytes: 24 },
    '1.2.840.113549.1.12.1.5': { cipher: 'rc2', keyBytes: 16 },
    '1.2.840.113549.1.12.1.6': { cipher: 'rc2', keyBytes: 5 },
  };

/** Undoes the encryption that the AlgorithmIdentifier names. */
export async function decrypt(
  by: Derivation,
  algorithm: Node | undefined,
  data: Buffer,
): Promise<Buffer> {
  const [scheme, parameters] = parts(algorithm);
  const oid = by.reader.oid(scheme);
  if (oid === oids.pbes2) return decryptPbes2(by, parameters, data);
  const own = ownSchemes[oid];
  if (own === undefined) throw unsupported('encryption', oid);
  const [saltNode, countNode] = parts(parameters);
  const derive = { salt: content(saltNode, tags.octetString), iterations: smallInteger(countNode) };
  const key = await ownKey(by, { ...derive, digest: 'sha1', purpose: 1, bytes: own.keyBytes });
  const iv = await ownKey(by, { ...derive, digest: 'sha1', purpose: 2, bytes: 8 });
  return own.cipher === 'des3'
    ? undo('des-ede3-cbc', key, iv, data)
    : undoRc2(by.forge, key, iv, data);
}

async function decryptPbes2(by: Derivation, parameters: Node | undefined, data: Buffer) {
  const [kdf, scheme] = parts(parameters);
  const [cipherOid, ivNode] = parts(scheme);
  const cipher = ciphers[by.reader.oid(cipherOid)];
  if (cipher === undefined) throw unsupported('encryption', by.reader.oid(cipherOid));
  const key = await pbkdf2Key(by, kdf, cipher.keyBytes);
  return undo(cipher.name, key, content(ivNode, tags.octetString), data);
}

async function pbkdf2Key(by: Derivation, algorithm: Node | undefined, bytes: number) {
  const [oid, parameters] = parts(algorithm);
  const { reader } = by;
  if (reader.oid(oid) !== oids.pbkdf2) throw unsupported('key derivation', reader.oid(oid));
  const [saltNode, countNode, ...more] = parts(parameters);
  // The key's length may stand between; the default is HMAC with SHA-1 (RFC 8018, A.2).
  const prf = more.find((node) => is(node, tags.sequence));
  const prfOid = prf === undefined ? '1.2.840.113549.2.7' : reader.oid(parts(prf)[0]);
  const digest = hmacs[prfOid];
  if (digest === undefined) throw unsupported('key derivation', prfOid);
  const iterations = spend(by, smallInteger(countNode));
  const salt = content(saltNode, tags.octetString);
  return pbkdf2Async(by.password.text, salt, iterations, bytes, digest);
}

/** The MAC over a file's content, by MacData: PKCS#12's own (RFC 7292, 5.1), or PBMAC1 (RFC 9579). */
export async function mac(by: Derivation, macData: Node, data: Buffer): Promise<Computed> {
  const [info, saltNode, countNode] = parts(macData);
  const [algorithm, expected] = parts(info);
  const [oidNode, parameters] = parts(algorithm);
  const found = content(expected, tags.octetString);
  const oid = by.reader.oid(oidNode);
  if (oid === oids.pbmac1) return { found, computed: await pbmac1(by, parameters, data) };
  const digest = digests[oid];
  if (digest === undefined) throw unsupported('MAC', oid);
  const bytes = digestBytes(digest);
  const salt = content(saltNode, tags.octetString);
  const iterations = countNode === undefined ? 1 : smallInteger(countNode);
  const key = await ownKey(by, { salt, iterations, digest, purpose: 3, bytes });
  return { found, computed: createHmac(digest, key).update(data).digest() };
}

interface Computed {
  readonly found: Buffer;
  readonly computed: Buffer;
}

async function pbmac1(by: Derivation, parameters: Node | undefined, data: Buffer): Promise<Buffer> {
  const [kdf, scheme] = parts(parameters);
  const oid = by.reader.oid(parts(scheme)[0]);
  const digest = hmacs[oid];
  if (digest === undefined) throw unsupported('MAC', oid);
  // The key is as long as the digest (RFC 9579, 5).
  const key = await pbkdf2Key(by, kdf, digestBytes(digest));
  return createHmac(digest, key).update(data).digest();
}

function digestBytes(digest: string): number {
  return createHash(digest).digest().length;
}

interface OwnDerivation {
  readonly digest: string;
  readonly salt: Buffer;
  readonly iterations: number;
  /** 1 = key, 2 = IV, 3 = MAC key. */
  readonly purpose: 1 | 2 | 3;
  readonly bytes: number;
}

/** Some 15 ms: what else the process does must go on. */
const iterationsAtOnce = 10_000;

/** RFC 7292, B.2. */
async function ownKey(by: Derivation, given: OwnDerivation): Promise<Buffer> {
  const { digest, salt, purpose, bytes } = given;
  const iterations = spend(by, given.iterations);
  // Block of the digest's compression function.
  const block = digest === 'sha384' || digest === 'sha512' ? 128 : 64;
  const filled = (from: Buffer) =>
    Buffer.alloc(from.length === 0 ? 0 : Math.ceil(from.length / block) * block, from);
  const input = Buffer.concat([filled(salt), filled(by.password.wide)]);
  const diversifier = Buffer.alloc(block, purpose);
  const made: Buffer[] = [];
  for (let length = 0; length < bytes; ) {
    let hash = createHash(digest).update(diversifier).update(input).digest();
    for (let n = 1; n < iterations; n++) {
      hash = createHash(digest).update(hash).digest();
      if (n % iterationsAtOnce === 0) await setImmediate();
    }
    made.push(hash);
    length += hash.length;
    const increment = Buffer.alloc(block, hash);
    for (let at = 0; at < input.length; at += block)
      addPlusOne(input.subarray(at, at + block), increment);
  }
  return Buffer.concat(made).subarray(0, bytes);
}

/** to = to + what + 1, as big-endian numbers of equal length, the carry dropped. */
function addPlusOne(to: Buffer, what: Buffer): void {
  let carry = 1;
  for (let at = to.length - 1; at >= 0; at--) {
    carry += to[at]! + what[at]!;
    to[at] = carry & 0xff;
    carry >>= 8;
  }
}

function spend(by: Derivation, iterations: number): number {
  by.iterationsLeft -= iterations;
  if (iterations < 1) throw new Pkcs12Fault('damaged', 'asks for no iterations');
  if (by.iterationsLeft < 0)
    throw new Pkcs12Fault('limit', `asks for too many iterations (${iterations})`);
  return iterations;
}

function undo(cipher: string, key: Buffer, iv: Buffer, data: Buffer): Buffer {
  try {
    const decipher = createDecipheriv(cipher, key, iv);
    return Buffer.concat([decipher.update(data), decipher.final()]);
  } catch {
    throw new Pkcs12Fault('passphrase', 'does not decrypt');
  }
}

/** OpenSSL 3 has RC2 in its legacy provider alone, which Node does not load. */
function undoRc2({ rc2, util }: Forge, key: Buffer, iv: Buffer, data: Buffer): Buffer {
  const cipher = rc2.createDecryptionCipher(key.toString('latin1'), key.length * 8);
  cipher.start(iv.toString('latin1'));
  cipher.update(util.createBuffer(data.toString('latin1')));
  if (!cipher.finish()) throw new Pkcs12Fault('passphrase', 'does not decrypt');
  return Buffer.from(cipher.output.getBytes(), 'latin1');
}

function unsupported(what: string, oid: string): Pkcs12Fault {
  return new Pkcs12Fault('unsupported', `uses ${what} ${oid}, which is not known here`);
}
