// The roots that this system trusts: what a browser or curl here would go by.

import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import * as tls from 'node:tls';
import { readPemBlocks } from '../../certificates/pem.ts';

export interface Roots {
  readonly certificates: readonly X509Certificate[];
  /** Where they are from, for a person. */
  readonly source: string;
}

/** Debian, Ubuntu, Arch, Alpine; Fedora, RHEL; openSUSE; the BSDs. */
const bundles = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
];

/** Node 22.15 and later ask macOS and Windows, which have no file of them. */
const { getCACertificates } = tls as { getCACertificates?: (type: 'system') => string[] };

export function systemRoots(env: NodeJS.ProcessEnv, platform: NodeJS.Platform): Roots {
  const hasFile = platform !== 'darwin' && platform !== 'win32';
  // What OpenSSL and curl look at first.
  const files = [env.SSL_CERT_FILE ?? '', ...(hasFile ? bundles : [])].filter(
    (path) => path !== '',
  );
  for (const path of files) {
    const certificates = readBundle(path);
    if (certificates.length > 0) return { certificates, source: path };
  }
  const ofSystem = getCACertificates?.('system') ?? [];
  if (ofSystem.length > 0) return { certificates: parsed(ofSystem), source: 'the system' };
  return {
    certificates: parsed(tls.rootCertificates),
    source: "Node's own list, as this system has none that can be read",
  };
}

function readBundle(path: string): X509Certificate[] {
  try {
    return parsed(readPemBlocks(readFileSync(path)).map(({ text }) => text));
  } catch {
    return [];
  }
}

/** What can't be read is left out: a single odd one must not take the others with it. */
function parsed(pems: readonly string[]): X509Certificate[] {
  return pems.flatMap((pem) => {
    try {
      return [new X509Certificate(pem)];
    } catch {
      return [];
    }
  });
}
