// portico cert dev: where the development CA is, and how to trust it.

import { openDevCa } from '../../certificates/dev/dev-certificate.ts';
import { printable, printableJson } from '../printable.ts';
import { devPlace, noPlace } from './dev-place.ts';
import { runningSystem, trustHelp } from './trust-help.ts';

/** Makes the CA where there is none yet, so that it can be trusted before the first start. */
export async function certDev({ json }: { readonly json: boolean }): Promise<readonly string[]> {
  const place = devPlace();
  if (place === null) return [noPlace];
  const result = await openDevCa({ ...place, nowMs: Date.now() });
  if (!result.ok) return [`Cannot use the development CA: ${result.problem}`];
  const { path, certificate } = result.value;
  const { fingerprint, fingerprint256, validTo } = certificate;
  if (json) {
    const validUntil = new Date(validTo).toISOString();
    process.stdout.write(printableJson({ ca: path, fingerprint256, validUntil }));
    return [];
  }
  const until = new Date(validTo).toISOString().slice(0, 10);
  process.stdout.write(`The CA that --tls dev uses: ${printable(path)}
SHA-256 ${fingerprint256}
Valid until ${until}, for local names and private addresses alone. Its key lies beside it: who has that can
pass for your development servers, so it stays on this machine.

${trustHelp({ caPath: path, sha1: fingerprint }, runningSystem(process.platform))}`);
  return [];
}
