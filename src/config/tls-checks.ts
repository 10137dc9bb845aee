// Checks the settings of TLS against the files they name.

import { ciphersFault } from '../certificates/ciphers.ts';
import { loadClientCa } from '../certificates/client-ca.ts';
import { expiryText, isNearExpiry } from '../certificates/expiry.ts';
import { certificateFacts } from '../certificates/facts.ts';
import { loadPair } from '../certificates/load.ts';
import { showBind } from './address.ts';
import { certificateFiles, idleCertificates } from './certificate-files.ts';
import type { Config } from './config.ts';

/** Notes what is wrong: `Cannot use KEY VALUE (from …): WHY`. */
type Cannot = (key: string, value: string, why: string) => void;

/** Returns what works and should be looked at none the less. */
export async function checkTls(
  config: Config,
  cannot: Cannot,
  nowMs: number,
): Promise<readonly string[]> {
  const { certfile, keyfile, caCerts, certReqs, ciphers, bind, tls, acme } = config;
  const cipherFault = ciphers === null ? null : ciphersFault(ciphers);
  if (cipherFault !== null) cannot('ciphers', ciphers!, cipherFault);
  const warnings = await checkCertificates(config, cannot, nowMs);

  if (keyfile !== null && certfile === null)
    cannot('keyfile', keyfile, 'there is no certfile that it belongs to');
  if (caCerts !== null) {
    const loaded = await loadClientCa(caCerts);
    if (!loaded.ok) cannot('caCerts', caCerts, loaded.reason);
  }
  if (certReqs !== 'none' && caCerts === null)
    cannot('certReqs', certReqs, 'it needs caCerts, to check the certificates of clients against');

  const secure = bind.filter((address) => address.tls);
  const hasCertificate =
    certfile !== null || tls.dev || tls.certificates.length > 0 || acme.length > 0;
  if (!hasCertificate)
    for (const address of secure)
      cannot(
        'bind',
        showBind(address),
        'there is no certificate: give --certfile, --acme or --tls dev',
      );
  const idle = idleCertificates(config);
  return idle === null ? warnings : [...warnings, idle];
}

async function checkCertificates(config: Config, cannot: Cannot, nowMs: number) {
  const warnings: string[] = [];
  for (const [index, files] of certificateFiles(config).entries()) {
    const result = await loadPair(files);
    if (result.ok) {
      warnings.push(...result.warnings);
      const facts = certificateFacts(result.leaf);
      if (isNearExpiry(facts, nowMs))
        warnings.push(`The certificate in ${files.cert} ${expiryText(facts, nowMs)}`);
      continue;
    }
    const inTable = index > 0 || config.certfile === null;
    for (const { part, reason } of result.faults) {
      const path = part === 'cert' ? files.cert : (files.key ?? files.cert);
      if (inTable) cannot('tls', path, reason);
      else if (part === 'passphrase' && files.passphrase !== null)
        cannot('keyfilePassword', '(hidden)', reason);
      else cannot(path === files.cert ? 'certfile' : 'keyfile', path, reason);
    }
  }
  return warnings;
}
