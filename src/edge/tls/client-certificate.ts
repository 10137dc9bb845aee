// Refuses requests whose client has not the certificate that certReqs wants, as nginx does: with 400.

import { failure } from '../../errors/failure.ts';
import type { ClientFacts, Exchange } from '../../http/exchange.ts';

/** Whether it has answered the exchange; `peer` as the socket says. */
export type CertificateCheck = (exchange: Exchange, peer: ClientFacts) => boolean;

/**
 * A certificate that can't be trusted is refused with `optional` too: an app that reads its subject and
 * not the verdict would else believe whatever anybody wrote into a certificate of his own.
 */
export function createCertificateCheck(
  certReqs: 'none' | 'optional' | 'required',
): CertificateCheck | null {
  if (certReqs === 'none') return null;
  return (exchange, { tls }) => {
    if (tls === null) return false;
    const certificate = tls.clientCertificate;
    if (certificate === null ? certReqs === 'optional' : certificate.verified) return false;
    const code = certificate === null ? 'CLIENT_CERTIFICATE_MISSING' : 'CLIENT_CERTIFICATE_REFUSED';
    exchange.fail(failure(code));
    return true;
  };
}
