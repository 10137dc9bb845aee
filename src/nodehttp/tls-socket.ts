// What an app gets as req.socket where its client came over TLS: what a tls.TLSSocket tells, of the edge's connection.

import type { ClientCertificateFacts } from '../http/exchange.ts';
import { ExchangeSocket } from './socket.ts';

export class ExchangeTlsSocket extends ExchangeSocket {
  get encrypted(): true {
    return true;
  }
  get authorized(): boolean {
    return this.facts.tls?.clientCertificate?.verified ?? false;
  }
  /** Null also where the client sent no certificate: Node's servers ask OpenSSL only about one. */
  get authorizationError(): string | null {
    const certificate = this.facts.tls?.clientCertificate ?? null;
    return certificate === null || certificate.verified ? null : 'CERT_UNTRUSTED';
  }
  get servername(): string | false {
    return this.facts.tls?.serverName ?? false;
  }
  get alpnProtocol(): false {
    return false;
  }
  getProtocol(): string | null {
    return this.facts.tls?.protocol ?? null;
  }
  getCipher(): object {
    const { tls } = this.facts;
    if (tls === null) return {};
    const { cipher, protocol } = tls;
    return { name: cipher, standardName: standardName(cipher), version: protocol };
  }
  getPeerCertificate(): object {
    const certificate = this.facts.tls?.clientCertificate;
    return certificate ? peerCertificate(certificate) : {};
  }
  /** The rest of it stays at the edge. */
  getPeerX509Certificate(): undefined {
    return undefined;
  }
  isSessionReused(): boolean {
    return false;
  }
}

/** As IANA registers it. Those of TLS 1.3 have one name only; OpenSSL shortens the others. */
function standardName(cipher: string): string {
  const match = /^(ECDHE|DHE)-(ECDSA|RSA)-(.+)$/.exec(cipher);
  if (match === null) return cipher;
  const [, exchange, signature, rest] = match;
  const bulk = rest!
    .replace(/^(AES|CAMELLIA|ARIA)(\d+)-/, '$1-$2-')
    .replace(/^CHACHA20-POLY1305$/, 'CHACHA20-POLY1305-SHA256')
    .replace(/^(AES-\d+)-SHA/, '$1-CBC-SHA')
    .replaceAll('-', '_');
  return `TLS_${exchange}_${signature}_WITH_${bulk}`;
}

/** Parts of "CN=client,O=Example" (RFC 2253): what is between unescaped commas and pluses. */
const part = /((?:\\.|[^\\,+])+)/g;

/** Subject and fingerprint as tls.TLSSocket gives them: what comes more than once is an array. */
function peerCertificate({ subject: name, fingerprint256 }: ClientCertificateFacts): object {
  const subject: Record<string, string | string[]> = Object.create(null);
  // RFC 2253 writes the last part first.
  for (const [text] of [...name.matchAll(part)].reverse()) {
    const equals = text.indexOf('=');
    if (equals < 1) continue;
    const type = text.slice(0, equals);
    const value = unescaped(text.slice(equals + 1));
    const former = subject[type];
    if (former === undefined) subject[type] = value;
    else subject[type] = Array.isArray(former) ? [...former, value] : [former, value];
  }
  return { subject, fingerprint256 };
}

/** "\\," is a comma, "\\C3\\A9" two bytes of UTF-8. */
function unescaped(value: string): string {
  const bytes = value.replace(
    /\\([0-9A-Fa-f]{2})|\\(.)/g,
    (_all, hex: string | undefined, char: string) =>
      hex === undefined ? char : String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return Buffer.from(bytes, 'latin1').toString();
}
