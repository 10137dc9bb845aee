// The settings that ACME is made from, and which kinds of proof the sockets allow.

import type { Config } from '../../config/config.ts';
import type { ChallengeType } from './problem.ts';

export type AcmeSettings = AcmeConfig & {
  /** PEM of roots to trust beside the usual ones; '' = none. */
  readonly extraCa: string;
};

type AcmeConfig = Pick<
  Config,
  | 'acme'
  | 'acmeEmail'
  | 'acmeDirectory'
  | 'acmeStaging'
  | 'acmeStorage'
  | 'acmeEabKid'
  | 'acmeEabHmacKey'
  | 'acmeChallenges'
  | 'acmeProfile'
  | 'bind'
>;

/** The CA comes to port 80 for http-01 and to port 443 for tls-alpn-01, from where a firewall or a port
 *  mapping may lead to other ports here; so all that counts is whether there is a bind of the kind. */
export function possibleChallenges({
  acmeChallenges,
  bind,
}: Pick<AcmeSettings, 'acmeChallenges' | 'bind'>): readonly ChallengeType[] {
  const has = {
    'http-01': bind.some(({ tls }) => !tls),
    'tls-alpn-01': bind.some(({ tls }) => tls),
  };
  const possible = acmeChallenges.filter((type) => has[type]);
  // The likeliest first: where the port itself is bound no mapping can be missing.
  const ports = { 'http-01': 80, 'tls-alpn-01': 443 };
  const isDirect = (type: ChallengeType) =>
    bind.some((address) => address.kind === 'tcp' && address.port === ports[type]);
  return [...possible].sort((a, b) => Number(isDirect(b)) - Number(isDirect(a)));
}

/** Whether other settings mean another CA, account or directory. */
export function isSameCa(a: AcmeSettings, b: AcmeSettings): boolean {
  const keys = [
    'acmeEmail',
    'acmeDirectory',
    'acmeStaging',
    'acmeStorage',
    'acmeEabKid',
    'acmeEabHmacKey',
    'extraCa',
  ] as const;
  return keys.every((key) => a[key] === b[key]);
}
