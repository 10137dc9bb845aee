// Makes certificates for tests.

import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import {
  type KeyKind,
  keyPairFromPem,
  keyToPem,
  makeKeyPair,
} from '../../src/certificates/keys.ts';
import { makeCa, makeLeaf, makeSelfSigned } from '../../src/certificates/make.ts';

export interface MadePair {
  readonly certPem: string;
  readonly keyPem: string;
}

export interface CertificateOptions {
  readonly key?: KeyKind;
  /** From now to its end, default 90; less than 0 = it is over. */
  readonly days?: number;
  /** From now to its beginning, default 0. */
  readonly startDays?: number;
  /** Who signs it; itself where left out. */
  readonly issuer?: MadePair;
}

const dayMs = 86_400_000;

export async function makePair(
  hosts: readonly string[],
  {
    key: kind = 'ecdsa',
    days = 90,
    startDays = Math.min(0, days - 1),
    issuer,
  }: CertificateOptions = {},
): Promise<MadePair> {
  const key = await makeKeyPair(kind);
  const validity = {
    nowMs: Date.now() + startDays * dayMs,
    lifetimeMs: (days - startDays) * dayMs,
  };
  const keyPem = keyToPem(key.privateKey);
  if (issuer === undefined) {
    return { certPem: (await makeSelfSigned({ hosts, key, ...validity })).pem, keyPem };
  }
  const certificate = new X509Certificate(issuer.certPem);
  const { privateKey } = keyPairFromPem(issuer.keyPem);
  const { pem } = await makeLeaf({
    hosts,
    publicKey: key.publicKey,
    issuer: { certificate, privateKey },
    ...validity,
  });
  return { certPem: pem, keyPem };
}

export async function makeCaPair(name: string, kind: KeyKind = 'ecdsa'): Promise<MadePair> {
  const key = await makeKeyPair(kind);
  const { pem } = await makeCa({ key, name, nowMs: Date.now(), lifetimeMs: 90 * dayMs });
  return { certPem: pem, keyPem: keyToPem(key.privateKey) };
}

export function openssl(args: readonly string[], input?: string): string {
  return execFileSync('openssl', args, {
    encoding: 'utf8',
    stdio: ['pipe', 'pipe', 'pipe'],
    ...(input === undefined ? {} : { input }),
  });
}
