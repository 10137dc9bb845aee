// What the certificate store is given of the settings and of the files that the arbiter has read.

import { certificateFiles } from '../../config/certificate-files.ts';
import type { Config } from '../../config/config.ts';
import type { TlsFiles } from '../../ipc/messages.ts';
import type { CertificatePair, StoreSettings } from './certificate-store.ts';

/** In the order of the settings. */
export function filePairs(config: Config, tls: TlsFiles): CertificatePair[] {
  return certificateFiles(config).map(({ cert, key, hosts }) => {
    const pair = tls.pairs.find((other) => other.cert === cert && other.key === key);
    if (pair === undefined) throw new Error(`the arbiter sent no certificate of ${cert}`);
    return { hosts, file: cert, certPem: pair.certPem, keyPem: pair.keyPem };
  });
}

export function storeSettings(config: Config, tls: TlsFiles): StoreSettings {
  const { ciphers, tlsMinVersion, tlsUnknownName, caCerts, certReqs } = config;
  const ca = certReqs === 'none' ? undefined : tls.clientCas.find(({ path }) => path === caCerts);
  return { ciphers, tlsMinVersion, tlsUnknownName, caPem: ca?.pem ?? null };
}
