// Reads the certificates and the key of a file, in whatever form they are in.

import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';

export interface FileContent {
  /** In the file's order. */
  readonly certificates: readonly X509Certificate[];
  /** null = there is none. */
  readonly key: KeyObject | null;
  /** Why a key that is there could not be read. */
  readonly keyProblem: string | null;
}

/** A bundle of all public roots has 0.25 MB. */
const bytesMax = 1024 ** 2;
const certificatesMax = 1000;

/** Throws Error with a sentence for a person. */
export async function readCertificateFile(
  path: string,
  passphrase: string | null,
): Promise<FileContent> {
  const bytes = await readSmall(path);
  if (/-----BEGIN /.test(bytes.toString('latin1'))) return readPem(path, bytes, passphrase);
  try {
    return { certificates: [new X509Certificate(bytes)], key: null, keyProblem: null };
  } catch {
    // Not a certificate as DER: PKCS#12, or nothing.
  }
  if (bytes[0] !== 0x30)
    throw new Error(`${path} holds no certificate: it is neither PEM, DER nor PKCS#12`);
  const { readPkcs12 } = await import('../../certificates/pkcs12.ts');
  const read = await readPkcs12(bytes, passphrase);
  if (!read.ok) {
    const hint = read.code === 'passphrase' ? ' (PORTICO_KEYFILE_PASSWORD)' : '';
    throw new Error(`${path} ${read.problem}${hint}`);
  }
  return readPem(path, Buffer.from(read.certPem + read.keyPem), null);
}

function readPem(path: string, bytes: Buffer, passphrase: string | null): FileContent {
  const text = bytes.toString('latin1');
  // No block reaches beyond the next dashes: thousands of beginnings without an end stay cheap.
  const blocks =
    text.match(/-----BEGIN ([A-Z0-9 ]+)-----(?:(?!-----)[\s\S])*-----END \1-----/g) ?? [];
  const certificates: X509Certificate[] = [];
  for (const block of blocks) {
    if (!/^-----BEGIN (X509 |TRUSTED )?CERTIFICATE-----/.test(block)) continue;
    if (certificates.length === certificatesMax)
      throw new Error(`${path} holds more than ${certificatesMax} certificates`);
    try {
      certificates.push(new X509Certificate(block));
    } catch {
      throw new Error(`${path}: certificate ${certificates.length + 1} is damaged`);
    }
  }
  const keyBlock = blocks.find((block) => /^-----BEGIN ([A-Z]+ )*PRIVATE KEY-----/.test(block));
  if (keyBlock === undefined) return { certificates, key: null, keyProblem: null };
  return { certificates, ...readKey(keyBlock, passphrase) };
}

function readKey(block: string, passphrase: string | null) {
  const isEncrypted = /ENCRYPTED/.test(block);
  if (isEncrypted && passphrase === null)
    return {
      key: null,
      keyProblem: 'it is encrypted: give its passphrase as PORTICO_KEYFILE_PASSWORD',
    };
  try {
    const key = createPrivateKey({
      key: block,
      ...(isEncrypted ? { passphrase: passphrase! } : {}),
    });
    return { key, keyProblem: null };
  } catch {
    const keyProblem = isEncrypted ? 'the passphrase does not open it' : 'it is damaged';
    return { key: null, keyProblem };
  }
}

async function readSmall(path: string): Promise<Buffer> {
  try {
    // Not waiting for a pipe that nobody writes to.
    const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stats = await handle.stat();
      if (!stats.isFile()) throw new Error(`${path} is not a file`);
      if (stats.size > bytesMax) throw new Error(`${path} is larger than any certificate file`);
      return await handle.readFile();
    } finally {
      await handle.close();
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    if (code === 'ENOENT' || code === 'ENOTDIR') throw new Error(`There is no file ${path}`);
    throw new Error(
      `${path} cannot be read${code === 'EACCES' ? ': permission denied' : ` (${code})`}`,
    );
  }
}
