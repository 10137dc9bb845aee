// Reads what went wrong with a connection to an upstream: the one place that knows the codes of Node and OpenSSL.

import { type Failure, failure } from '../../errors/failure.ts';
import { excerpt } from '../../http/tokens.ts';

/** Why no connection came about. */
export function connectFailure(error: Error | null): Failure {
  if (error === null) return failure('UPSTREAM_UNREACHABLE', 'it closed the connection at once');
  const { code = '', syscall } = error as NodeJS.ErrnoException;
  const detail = `${code === '' ? '' : `${code}: `}${printable(error.message)}`;
  // Codes of the verification are those of OpenSSL, without a system call; all other faults of TLS say SSL.
  const isCertificate =
    syscall === undefined && /CERT|ALTNAME|SIGNATURE|UNABLE_TO|SELF_SIGNED|CA_/.test(code);
  return failure(isCertificate ? 'UPSTREAM_CERTIFICATE' : 'UPSTREAM_UNREACHABLE', detail, error);
}

/** Names in a certificate are the upstream's to choose. */
function printable(text: string): string {
  return excerpt(text, 200).slice(1, -1);
}
