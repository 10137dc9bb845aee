// A Portico that listens on a plain port and on one with TLS.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makePair } from './certificates.ts';
import type { PorticoProcess } from './portico.ts';

/** The options; the certificate is written into `dir`. */
export async function bindBoth(dir: string): Promise<string[]> {
  const { certPem, keyPem } = await makePair(['localhost', '127.0.0.1']);
  const certfile = join(dir, 'cert.pem');
  const keyfile = join(dir, 'key.pem');
  writeFileSync(certfile, certPem);
  writeFileSync(keyfile, keyPem, { mode: 0o600 });
  const binds = ['--bind', '127.0.0.1:0', '--bind', 'https://127.0.0.1:0'];
  return [...binds, '--certfile', certfile, '--keyfile', keyfile];
}

export function tlsPortOf(portico: PorticoProcess): number {
  return Number(/https:\/\/127\.0\.0\.1:(\d+)/.exec(portico.log())?.[1]);
}
