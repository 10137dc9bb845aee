// Reads the CA certificates that clients' certificates are checked against.

import { readCertificates } from './load.ts';
import { readSmallFile } from './small-file.ts';

/** The certificates in PEM, or what is wrong, for a person. Never rejects. */
export async function loadClientCa(
  path: string,
): Promise<{ ok: true; pem: string } | { ok: false; reason: string }> {
  const bytes = await readSmallFile(path);
  if (typeof bytes === 'string') return { ok: false, reason: bytes };
  const read = readCertificates(bytes, path);
  if (typeof read === 'string') return { ok: false, reason: read };
  // A bundle may have anything in it: any certificate that is trusted there can vouch for clients.
  return { ok: true, pem: read.map(String).join('') };
}
