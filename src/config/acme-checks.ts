// What must fit together for ACME: sockets, challenges, account binding, the CA's address.

import type { Config } from './config.ts';

interface Fault {
  readonly key: string;
  readonly value: string;
  readonly why: string;
}

export function acmeFaults(config: Config, fileFault: (path: string) => string | null): Fault[] {
  const { acme, bind, acmeChallenges, acmeDirectory, acmeCaFile } = config;
  const faults: Fault[] = [];
  if ((config.acmeEabKid === null) !== (config.acmeEabHmacKey === null))
    faults.push({
      key: config.acmeEabKid === null ? 'acmeEabHmacKey' : 'acmeEabKid',
      value: config.acmeEabKid ?? '(hidden)',
      why: 'acmeEabKid and acmeEabHmacKey go together',
    });
  if (config.acmeStaging && acmeDirectory !== null)
    faults.push({
      key: 'acmeStaging',
      value: 'true',
      why: 'it is Let’s Encrypt’s staging service, and acmeDirectory names another CA',
    });
  const caFault = acmeCaFile === null ? null : fileFault(acmeCaFile);
  if (caFault !== null) faults.push({ key: 'acmeCaFile', value: acmeCaFile!, why: caFault });
  if (acme.length === 0) return faults;
  const names = acme.join(',');
  const hasTls = bind.some(({ tls }) => tls);
  if (!hasTls)
    faults.push({
      key: 'acme',
      value: names,
      why: 'no bind is https://, so nothing would use the certificate; add --bind https://0.0.0.0:443',
    });
  else if (!acmeChallenges.includes('tls-alpn-01') && bind.every(({ tls }) => tls))
    faults.push({
      key: 'acmeChallenges',
      value: acmeChallenges.join(','),
      why: 'http-01 needs a bind without TLS; add --bind 0.0.0.0:80',
    });
  return faults;
}
