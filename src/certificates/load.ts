// Reads a certificate chain and its key from their files, and says what is wrong with them.

import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { createContext } from './contexts.ts';
import { keyToPem } from './keys.ts';
import { readPemBlocks } from './pem.ts';
import { readSmallFile } from './small-file.ts';

/** Where a pair is. */
export interface PairFiles {
  /** Absolute. PEM with the leaf first, or PKCS#12. */
  readonly cert: string;
  /** Absolute; null = in the same file. */
  readonly key: string | null;
  readonly passphrase: string | null;
}

export interface LoadedPair {
  /** The leaf first. */
  readonly certPem: string;
  /** PKCS#8, not encrypted. */
  readonly keyPem: string;
}

/** What is at fault: the file of the certificate, that of the key, or the passphrase. */
export interface PairFault {
  readonly part: 'cert' | 'key' | 'passphrase';
  /** For a person; names the file. */
  readonly reason: string;
}

export type PairResult =
  | {
      readonly ok: true;
      readonly pair: LoadedPair;
      readonly leaf: X509Certificate;
      /** But for dates: what works and still should be looked at, for a person; names the file. */
      readonly warnings: readonly string[];
    }
  | { readonly ok: false; readonly faults: readonly PairFault[] };

/** Never rejects. All faults that can be seen at once come at once. */
export async function loadPair(files: PairFiles): Promise<PairResult> {
  const faults: PairFault[] = [];
  const source = await readSource(files, faults);
  if (source === null) return { ok: false, faults };
  const { chain, key } = source;
  const leaf = chain[0]!;
  if (!leaf.checkPrivateKey(key)) {
    const at = chain.findIndex((certificate) => certificate.checkPrivateKey(key));
    const reason =
      at === -1
        ? `the key in ${files.key ?? files.cert} does not fit the certificate in ${files.cert}`
        : `the certificate of the key comes as number ${at + 1} in ${files.cert}: it must be the first`;
    return { ok: false, faults: [{ part: at === -1 ? 'key' : 'cert', reason }] };
  }
  const pair = { certPem: chain.map(String).join(''), keyPem: keyToPem(key) };
  try {
    // What OpenSSL would refuse in the edge: a key that is too short, a signature by MD5.
    createContext([pair], { ciphers: null, tlsMinVersion: 'TLSv1.2', caPem: null });
  } catch (error) {
    const reason = `${files.cert} cannot be used: ${opensslReason(error)}`;
    return { ok: false, faults: [{ part: 'cert', reason }] };
  }
  return { ok: true, pair, leaf, warnings: warningsOf(chain, files.cert) };
}

async function readSource(
  files: PairFiles,
  faults: PairFault[],
): Promise<{ chain: readonly X509Certificate[]; key: KeyObject } | null> {
  const certFile = await readSmallFile(files.cert);
  const keyFile = files.key === null ? certFile : await readSmallFile(files.key);
  if (typeof certFile === 'string') faults.push({ part: 'cert', reason: certFile });
  if (typeof keyFile === 'string' && files.key !== null)
    faults.push({ part: 'key', reason: keyFile });
  const isPkcs12 = typeof certFile !== 'string' && certFile[0] === 0x30;
  if (isPkcs12) return readPkcs12File(files, certFile, faults);
  const chain = typeof certFile === 'string' ? null : readChain(certFile, files.cert, faults);
  const key = typeof keyFile === 'string' ? null : readKey(keyFile, files, faults);
  return chain === null || key === null ? null : { chain, key };
}

/** The certificates of a PEM file, or null and why not. */
function readChain(bytes: Buffer, path: string, faults: PairFault[]): X509Certificate[] | null {
  const read = readCertificates(bytes, path);
  if (typeof read !== 'string') return read;
  faults.push({ part: 'cert', reason: read });
  return null;
}

/** The certificates of a PEM file, at least one, or what is wrong with it. */
export function readCertificates(bytes: Buffer, path: string): X509Certificate[] | string {
  const blocks = readPemBlocks(bytes).filter(({ label }) => /^(X509 |)CERTIFICATE$/.test(label));
  if (blocks.length === 0) return `there is no certificate in ${path}`;
  const chain: X509Certificate[] = [];
  for (const [index, { text }] of blocks.entries()) {
    try {
      chain.push(new X509Certificate(text));
    } catch (error) {
      return `certificate ${index + 1} in ${path} cannot be read: ${opensslReason(error)}`;
    }
  }
  return chain;
}

function readKey(bytes: Buffer, files: PairFiles, faults: PairFault[]): KeyObject | null {
  const path = files.key ?? files.cert;
  const block = readPemBlocks(bytes).find(({ label }) => / ?PRIVATE KEY$/.test(label));
  const fault = (part: PairFault['part'], reason: string): null => {
    faults.push({ part, reason });
    return null;
  };
  if (block === undefined) return fault('key', `there is no key in ${path}`);
  const isEncrypted = block.label.startsWith('ENCRYPTED') || block.text.includes('4,ENCRYPTED');
  if (isEncrypted && files.passphrase === null)
    return fault(
      'passphrase',
      `the key in ${path} is encrypted, and there is no passphrase for it`,
    );
  try {
    return createPrivateKey({
      key: block.text,
      ...(isEncrypted ? { passphrase: files.passphrase! } : {}),
    });
  } catch (error) {
    if (isEncrypted && !/unsupported/i.test(String(error)))
      return fault('passphrase', `the passphrase does not open the key in ${path}`);
    return fault('key', `the key in ${path} cannot be read: ${opensslReason(error)}`);
  }
}

async function readPkcs12File(
  { cert, key, passphrase }: PairFiles,
  bytes: Buffer,
  faults: PairFault[],
): Promise<{ chain: readonly X509Certificate[]; key: KeyObject } | null> {
  if (key !== null) {
    faults.push({ part: 'key', reason: `${cert} is a PKCS#12 file, which holds its key itself` });
    return null;
  }
  // node-forge takes its time to load: only who has such a file waits for it.
  const { readPkcs12 } = await import('./pkcs12.ts');
  const read = await readPkcs12(bytes, passphrase);
  if (!read.ok) {
    const part = read.code === 'passphrase' ? 'passphrase' : 'cert';
    faults.push({ part, reason: `${cert} ${read.problem}` });
    return null;
  }
  const chain = readChain(Buffer.from(read.certPem), cert, faults);
  return chain === null ? null : { chain, key: createPrivateKey(read.keyPem) };
}

function warningsOf(chain: readonly X509Certificate[], path: string): string[] {
  const broken = chain.findIndex(
    (certificate, index) => index + 1 < chain.length && !certificate.checkIssued(chain[index + 1]!),
  );
  if (broken === -1) return [];
  return [
    `The chain in ${path} is out of order: certificate ${broken + 2} has not issued number ${broken + 1}`,
  ];
}

/** "error:0480006C:PEM routines::no start line" → "no start line". */
function opensslReason(error: unknown): string {
  const { message } = error as Error;
  return /^error:[^:]*:[^:]*:[^:]*:(.*)$/m.exec(message)?.[1] ?? message;
}
