// The certificate and ciphers of the TLS scenarios, the same for all peers, and the client that shakes hands.

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { modernCiphers } from '../src/certificates/ciphers.ts';
import { capture, type LoadResult, runWrk } from './load.ts';

/** Makes a P-256 certificate, the kind that new ones are; gives certificate and key. */
export function makeCertificate(dir: string): { readonly cert: string; readonly key: string } {
  const cert = join(dir, 'tls.pem');
  const key = join(dir, 'tls.key');
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const subject = ['-subj', '/CN=localhost', '-days', '2'];
  execFileSync('openssl', ['req', '-x509', ...kind, '-keyout', key, '-out', cert, ...subject], {
    stdio: 'ignore',
  });
  return { cert, key };
}

/** Directives for a server of nginx that work as Portico's defaults. */
export function nginxTls(dir: string): string {
  const { cert, key } = makeCertificate(dir);
  const [suites, ciphers] = [true, false].map((isTls13) =>
    modernCiphers
      .split(':')
      .filter((name) => name.startsWith('TLS_') === isTls13)
      .join(':'),
  );
  return `ssl_certificate ${cert}; ssl_certificate_key ${key}; ssl_protocols TLSv1.2 TLSv1.3;
    ssl_prefer_server_ciphers on; ssl_ciphers ${ciphers}; ssl_conf_command Ciphersuites ${suites};
    ssl_ecdh_curve X25519:P-256:P-384; ssl_session_tickets on;`;
}

export function porticoTls(dir: string): string[] {
  const { cert, key } = makeCertificate(dir);
  return ['--certfile', cert, '--keyfile', key];
}

/** A connection for each request, full handshakes or resumed ones (but the first). wrk would resume some of
 *  them, as chance has it. One after another: what counts is the server's CPU. */
export async function runHandshakes(
  origin: string,
  kind: 'full' | 'resumed',
  seconds: number,
): Promise<LoadResult> {
  const { host } = new URL(origin);
  const which = kind === 'full' ? '-new' : '-reuse';
  const args = ['s_time', '-connect', host, '-www', '/', which, '-time', `${seconds}`, '-tls1_3'];
  const output = await capture('openssl', args);
  const requests = Number(output.match(/(\d+) connections in \d+ real/)?.[1] ?? 0);
  const none = { p50Ms: Number.NaN, p99Ms: Number.NaN, errors: 0 };
  return { requests, requestsPerSecond: requests / seconds, ...none };
}

/** Some full and some resumed, many at a time. */
export async function warmHandshakes(origin: string, seconds: number): Promise<void> {
  const load = { path: '/', fields: ['Connection: close'] };
  await runWrk(origin, load, { connections: 32, seconds });
}
