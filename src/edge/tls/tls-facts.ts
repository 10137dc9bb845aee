// What a finished handshake tells: TlsFacts, asked once a connection.

import type { TLSSocket } from 'node:tls';
import type { ClientCertificateFacts, TlsFacts } from '../../http/exchange.ts';
import { clientVerifyError } from './tls-socket.ts';

export function tlsFacts(socket: TLSSocket, asksForCertificate: boolean): TlsFacts {
  const { servername } = socket as { servername?: string | false | null };
  return {
    protocol: socket.getProtocol() ?? '',
    cipher: socket.getCipher().name,
    serverName: typeof servername === 'string' && servername !== '' ? servername : null,
    clientCertificate: asksForCertificate ? clientCertificate(socket) : null,
  };
}

function clientCertificate(socket: TLSSocket): ClientCertificateFacts | null {
  // Asked for first: in a resumed session without one OpenSSL's verdict is "ok".
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return null;
  return {
    subject: distinguishedName(certificate.subject ?? ''),
    fingerprint256: certificate.fingerprint256,
    verified: clientVerifyError(socket) === null,
  };
}

/** As RFC 2253 writes it and nginx's $ssl_client_s_dn shows it: "CN=client,O=Example". Node gives a line for
 *  each part, the last of the name first, escaped already. */
export function distinguishedName(subject: string): string {
  const name = subject.split('\n').reverse().join(',').replaceAll(' + ', '+');
  // It becomes a field value.
  return name.replace(/[^\x20-\x7e]/gu, (char) =>
    [...Buffer.from(char)]
      .map((byte) => `\\${byte.toString(16).toUpperCase().padStart(2, '0')}`)
      .join(''),
  );
}
