// Reads the `tls` setting: several certificates as files, or those of the local CA for development.

import { readHost } from '../certificates/hosts.ts';
import type { CertificateFiles, TlsTable } from './config.ts';
import { nearest } from './did-you-mean.ts';
import { type Kind, Unfit } from './kinds.ts';

/** Certificates are files to read and to watch; somebody with more has them in ACME's hands. */
const certificatesMax = 1000;
const hostsMax = 100;

/** What a certificate in the table may say, with its type in a config file. */
export const certificateFields = {
  cert: { type: 'string', help: 'PEM file with the chain, the leaf first, or a PKCS#12 file' },
  key: { type: 'string', help: 'PEM file with the key, if it is not in `cert`' },
  passphrase: { type: 'string', help: 'Of the key or of the PKCS#12 file' },
  hosts: {
    type: 'string | readonly string[]',
    help: 'Names to serve it for, such as `example.com` and `*.example.com`, in place of those in the certificate',
  },
} as const;

const off: TlsTable = { dev: false, devHosts: [], certificates: [] };

/** "dev", "dev:a.test,b.test", "off", or { certificates: [{ cert, key, … }], dev }. Paths are not yet absolute. */
export const tlsTable: Kind<TlsTable> = {
  expected:
    'dev, dev:NAME,NAME, or { certificates: [{ cert, key, passphrase, hosts }] } in a config file',
  placeholder: 'dev[:NAME]',
  inputType: 'TlsDev | TlsInput | null',
  flag: 'value',
  read(raw) {
    if (typeof raw === 'string' && /^dev(:|$)/.test(raw)) return devTable(raw.slice(4));
    if (raw === null || raw === false || raw === 'off' || raw === 'none') return off;
    if (typeof raw !== 'object' || Array.isArray(raw)) return new Unfit();
    const unknown = unknownKey(raw, ['certificates', 'dev']);
    if (unknown !== null) return unknown;
    const { certificates = [], dev = false } = raw as Record<string, unknown>;
    const named = typeof dev === 'boolean' ? { ...off, dev } : devTable(dev);
    if (named instanceof Unfit) return named;
    if (!Array.isArray(certificates) || certificates.length > certificatesMax)
      return new Unfit(`certificates is a list of at most ${certificatesMax}`);
    const read: CertificateFiles[] = [];
    for (const entry of certificates) {
      const certificate = readCertificate(entry);
      if (certificate instanceof Unfit) return certificate;
      read.push(certificate);
    }
    return { ...named, certificates: read };
  },
  // Never the passphrases.
  show: ({ dev, devHosts, certificates }) =>
    [
      ...(dev ? [['dev', ...devHosts].join(' ')] : []),
      ...certificates.map(({ cert }) => cert),
    ].join(', ') || 'off',
};

/** "a.test,b.test" or a list. */
function devTable(raw: unknown): TlsTable | Unfit {
  const list: unknown[] = typeof raw === 'string' ? raw.split(',') : Array.isArray(raw) ? raw : [];
  if (typeof raw !== 'string' && !Array.isArray(raw))
    return new Unfit('dev is true, false or a list of names');
  const given = list.map((name) => (typeof name === 'string' ? name.trim() : name));
  const devHosts = given.filter((name) => name !== '');
  if (devHosts.length > hostsMax) return new Unfit(`dev has at most ${hostsMax} names`);
  for (const name of devHosts)
    if (typeof name !== 'string' || readHost(name) === null)
      return new Unfit(`${JSON.stringify(name)} is no host name or IP address`);
  return { ...off, dev: true, devHosts: devHosts as string[] };
}

function readCertificate(raw: unknown): CertificateFiles | Unfit {
  if (raw === null || typeof raw !== 'object' || Array.isArray(raw)) return new Unfit();
  const unknown = unknownKey(raw, Object.keys(certificateFields));
  if (unknown !== null) return unknown;
  const { cert, key = null, passphrase = null, hosts = [] } = raw as Record<string, unknown>;
  if (!isText(cert)) return new Unfit('cert is the path of a file');
  if (key !== null && !isText(key)) return new Unfit('key is the path of a file');
  if (passphrase !== null && !isText(passphrase)) return new Unfit('passphrase is text');
  const names = readHosts(hosts);
  return names instanceof Unfit ? names : { cert, key, passphrase, hosts: names };
}

function readHosts(raw: unknown): string[] | Unfit {
  const list: unknown[] = typeof raw === 'string' ? raw.split(',') : Array.isArray(raw) ? raw : [];
  if (typeof raw !== 'string' && !Array.isArray(raw)) return new Unfit('hosts is a list of names');
  if (list.length > hostsMax) return new Unfit(`a certificate has at most ${hostsMax} hosts`);
  const names: string[] = [];
  for (const entry of list) {
    const name = typeof entry === 'string' ? entry.trim().toLowerCase().replace(/\.$/, '') : '';
    // One label is all that "*" stands for, and it is the whole of that label (RFC 9525 section 6.3).
    if (!/^(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_-]+)*$/.test(name))
      return new Unfit(
        `${JSON.stringify(entry)} is no host name such as example.com or *.example.com`,
      );
    names.push(name);
  }
  return names;
}

function unknownKey(raw: object, keys: readonly string[]): Unfit | null {
  const unknown = Object.keys(raw).find((key) => !keys.includes(key));
  if (unknown === undefined) return null;
  const near = nearest(unknown, keys);
  return new Unfit(
    near === null ? `there is no ${unknown} in it` : `${unknown}: did you mean ${near}?`,
  );
}

const isText = (value: unknown): value is string =>
  typeof value === 'string' && value !== '' && !value.includes('\0');

/** For the docs. */
export function certificateFieldsTable(): string {
  const rows = Object.entries(certificateFields).map(
    ([name, { help }]) => `| \`${name}\` | ${help} |`,
  );
  return ['| of each certificate | |', '| --- | --- |', ...rows].join('\n');
}
