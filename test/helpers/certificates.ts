// Makes certificates for tests with the openssl command.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface MadePair {
  readonly certPem: string;
  readonly keyPem: string;
}

export interface CertificateOptions {
  /** Host names and IP addresses; the first is the common name too. */
  readonly names: readonly string[];
  readonly key?: 'ec' | 'rsa' | 'ed25519';
  /** From now to the end, default 90; less than 0 = over already. */
  readonly days?: number;
  /** From now to the beginning, default -1 (an hour ago would do, but the tool counts days). */
  readonly startDays?: number;
  /** Who signs it; itself where left out. */
  readonly issuer?: MadePair;
  readonly isCa?: boolean;
}

const keyArguments = {
  ec: ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'],
  rsa: ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'],
  ed25519: ['-algorithm', 'ED25519'],
};

export function openssl(args: readonly string[], input?: string): string {
  return execFileSync('openssl', args, {
    encoding: 'utf8',
    stdio: ['pipe', 'pipe', 'pipe'],
    ...(input === undefined ? {} : { input }),
  });
}

export function makeCertificate(options: CertificateOptions): MadePair {
  const { names, key = 'ec', days = 90, startDays = -1, issuer, isCa = false } = options;
  const dir = mkdtempSync(join(tmpdir(), 'portico-certificate-'));
  const at = (name: string) => join(dir, name);
  try {
    openssl(['genpkey', ...keyArguments[key], '-out', at('key.pem')]);
    const alternatives = names.map((name) => `${/^[\d.]+$|:/.test(name) ? 'IP' : 'DNS'}:${name}`);
    writeFileSync(
      at('config'),
      [
        '[req]',
        'distinguished_name = dn',
        'prompt = no',
        '[dn]',
        `CN = ${names[0]}`,
        '[ext]',
        ...(isCa ? [] : [`subjectAltName = ${alternatives.join(',')}`]),
        `basicConstraints = critical,CA:${isCa ? 'TRUE' : 'FALSE'}`,
      ].join('\n'),
    );
    openssl(['req', '-new', '-config', at('config'), '-key', at('key.pem'), '-out', at('csr.pem')]);
    if (issuer !== undefined) {
      writeFileSync(at('ca.pem'), issuer.certPem);
      writeFileSync(at('ca.key'), issuer.keyPem);
    }
    writeFileSync(at('db'), '');
    writeFileSync(
      at('ca.config'),
      [
        '[ca]',
        'default_ca = d',
        '[d]',
        `database = ${at('db')}`,
        `new_certs_dir = ${dir}`,
        'default_md = sha256',
        'rand_serial = yes',
        'unique_subject = no',
        'policy = p',
        '[p]',
        'commonName = optional',
      ].join('\n'),
    );
    const signing =
      issuer === undefined
        ? ['-selfsign', '-keyfile', at('key.pem')]
        : ['-cert', at('ca.pem'), '-keyfile', at('ca.key')];
    const dates = ['-startdate', stamp(Math.min(startDays, days - 1)), '-enddate', stamp(days)];
    const ext = ['-extfile', at('config'), '-extensions', 'ext'];
    const out = ['-batch', '-notext', '-in', at('csr.pem'), '-out', at('cert.pem')];
    openssl(['ca', '-config', at('ca.config'), ...signing, ...dates, ...ext, ...out]);
    return {
      certPem: readFileSync(at('cert.pem'), 'utf8'),
      keyPem: readFileSync(at('key.pem'), 'utf8'),
    };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** YYYYMMDDHHMMSSZ, so many days from now. */
function stamp(days: number): string {
  const text = new Date(Date.now() + days * 86_400_000).toISOString();
  return `${text.replaceAll(/[-:T]|\..*/g, '')}Z`;
}
