// Reads the certificates and the key of a file, in whatever form they are in.

import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { type PemBlock, readPemBlocks } from '../../certificates/pem.ts';
import { readSmallFile } from '../../certificates/small-file.ts';

export interface FileContent {
  /** In the file's order. */
  readonly certificates: readonly X509Certificate[];
  /** null = there is none, or it could not be read. */
  readonly key: KeyObject | null;
  /** Why a key that is there could not be read. */
  readonly keyProblem: string | null;
}

/** Each is compared with the others. */
const certificatesMax = 200;

/** Throws Error with a sentence for a person. */
export async function readCertificateFile(
  path: string,
  passphrase: string | null,
): Promise<FileContent> {
  const bytes = await readSmallFile(path);
  if (typeof bytes === 'string') throw new Error(bytes);
  // PEM is text, the other two are a DER sequence.
  if (bytes[0] !== 0x30) return readPem(path, readPemBlocks(bytes), passphrase);
  try {
    return { certificates: [new X509Certificate(bytes)], key: null, keyProblem: null };
  } catch {
    // Not a certificate as DER: PKCS#12, or nothing.
  }
  const { readPkcs12 } = await import('../../certificates/pkcs12.ts');
  const read = await readPkcs12(bytes, passphrase);
  if (!read.ok) {
    const hint = read.code === 'passphrase' ? ' (PORTICO_KEYFILE_PASSWORD)' : '';
    throw new Error(`${path} ${read.problem}${hint}`);
  }
  return readPem(path, readPemBlocks(Buffer.from(read.certPem + read.keyPem)), null);
}

function readPem(
  path: string,
  blocks: readonly PemBlock[],
  passphrase: string | null,
): FileContent {
  const ofCertificates = blocks.filter(({ label }) => /^(X509 |TRUSTED )?CERTIFICATE$/.test(label));
  if (ofCertificates.length > certificatesMax)
    throw new Error(`${path} holds more than ${certificatesMax} certificates`);
  const certificates = ofCertificates.map(({ text }, index) => {
    try {
      return new X509Certificate(text);
    } catch {
      throw new Error(`certificate ${index + 1} in ${path} is damaged`);
    }
  });
  const key = blocks.find(({ label }) => /(^| )PRIVATE KEY$/.test(label));
  if (key === undefined) return { certificates, key: null, keyProblem: null };
  return { certificates, ...readKey(key, passphrase) };
}

function readKey({ text }: PemBlock, passphrase: string | null) {
  const isEncrypted = text.includes('ENCRYPTED');
  if (isEncrypted && passphrase === null)
    return {
      key: null,
      keyProblem: 'it is encrypted: give its passphrase as PORTICO_KEYFILE_PASSWORD',
    };
  try {
    const options = isEncrypted ? { passphrase: passphrase! } : {};
    return { key: createPrivateKey({ key: text, ...options }), keyProblem: null };
  } catch {
    const keyProblem = isEncrypted ? 'the passphrase does not open it' : 'it is damaged';
    return { key: null, keyProblem };
  }
}
