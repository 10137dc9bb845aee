// The certificates that settings name, as one list; and the settings without what only the arbiter may know.

import { isSecretName } from './assignment.ts';
import type { CertificateFiles, Config } from './config.ts';

type Certificates = Pick<Config, 'certfile' | 'keyfile' | 'keyfilePassword' | 'tls'>;

/** certfile's first: the default is the first. */
export function certificateFiles(config: Certificates): readonly CertificateFiles[] {
  const { certfile, keyfile, keyfilePassword, tls } = config;
  if (certfile === null) return tls.certificates;
  const own = { cert: certfile, key: keyfile, passphrase: keyfilePassword, hosts: [] };
  return [own, ...tls.certificates];
}

/** Said at the start: with Gunicorn, a certfile alone makes TLS of every bind. */
export function idleCertificates({ bind, ...config }: Config): string | null {
  const hasCertificate = config.tls.dev || certificateFiles(config).length > 0;
  const isIdle = hasCertificate && bind.every((address) => !address.tls);
  return isIdle
    ? 'There is a certificate, but no bind begins with https://: nobody gets to see it'
    : null;
}

/** For edges: keys come to them with their passphrase taken off. */
export function withoutPassphrases(config: Config): Config {
  const certificates = config.tls.certificates.map((files) => ({ ...files, passphrase: null }));
  return { ...config, keyfilePassword: null, tls: { ...config.tls, certificates } };
}

/** For workers. */
export function withoutSecrets(config: Config): Config {
  const secrets = Object.keys(config).filter((key) => isSecretName(key));
  return {
    ...withoutPassphrases(config),
    ...Object.fromEntries(secrets.map((key) => [key, null])),
  };
}
