// Makes one TLS handshake with a server, to see what it sends.

import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import {
  type ConnectionOptions,
  connect,
  type DetailedPeerCertificate,
  type TLSSocket,
} from 'node:tls';

export interface ServerAnswer {
  /** As the server sent them, the leaf first. */
  readonly certificates: readonly X509Certificate[];
  /** "TLSv1.3". */
  readonly protocol: string;
  readonly cipher: string;
  /** null = it chose none. */
  readonly alpn: string | null;
  /** "X25519", "ECDH P-256 …"; null = not known. */
  readonly keyExchange: string | null;
  /** The stapled OCSP response. */
  readonly ocsp: Buffer | null;
  readonly address: string;
}

export type Asked =
  | { readonly ok: true; readonly answer: ServerAnswer }
  | { readonly ok: false; readonly problem: string };

export interface Server {
  readonly host: string;
  readonly port: number;
  /** The name to ask for: SNI. */
  readonly name: string;
  /** For all of it: name look-up, connection, handshake. */
  readonly timeoutMs: number;
}

/** Longer chains exist nowhere; a server may send what it likes (OpenSSL takes 100 KB in all). */
const chainMax = 20;
/** What a server may send before the handshake is done; then we hang up. */
const bytesMax = 512 * 1024;

/** Never rejects; the problem is a sentence that goes on from HOST:PORT. */
export function askServer({ host, port, name, timeoutMs }: Server): Promise<Asked> {
  return new Promise((done) => {
    let ocsp: Buffer | null = null;
    // @types/node has requestOCSP at TLSSocket alone.
    const options: ConnectionOptions & { requestOCSP: boolean } = {
      host,
      port,
      // RFC 6066 has no addresses there.
      ...(isIP(name) === 0 ? { servername: name } : {}),
      ALPNProtocols: ['h2', 'http/1.1'],
      requestOCSP: true,
      // What is sent is to be seen, whoever signed it: the judging is done with the chain.
      rejectUnauthorized: false,
      // No store: else OpenSSL adds from it what the server left out.
      ca: [],
      minVersion: 'TLSv1.2',
    };
    const socket = connect(options);
    const finish = (result: Asked) => {
      clearTimeout(timer);
      clearInterval(watch);
      socket.destroy();
      done(result);
    };
    const fail = (problem: string) => finish({ ok: false, problem });
    const seconds = timeoutMs / 1000;
    let isConnected = false;
    const timer = setTimeout(() => {
      fail(
        isConnected
          ? `does not finish a TLS handshake within ${seconds} s: it may speak something else`
          : `does not answer within ${seconds} s`,
      );
    }, timeoutMs);
    const watch = setInterval(() => {
      if (socket.bytesRead > bytesMax) fail('sends more than a handshake can have');
    }, 100);
    socket.once('connect', () => {
      isConnected = true;
    });
    socket.once('OCSPResponse', (response: Buffer | null) => {
      ocsp = response !== null && response.length > 0 ? response : null;
    });
    socket.once('error', (error) => fail(reasonOf(error)));
    socket.once('close', () => fail('hangs up during the TLS handshake'));
    socket.once('secureConnect', () => {
      try {
        finish(answerOf(socket, ocsp));
      } catch {
        // OpenSSL is content with it, but can't show it.
        fail('sends a certificate that cannot be read');
      }
    });
  });
}

function answerOf(socket: TLSSocket, ocsp: Buffer | null): Asked {
  const certificates = chainSent(socket);
  if (certificates.length === 0) return { ok: false, problem: 'sends no certificate' };
  const { name, type, size } = (socket.getEphemeralKeyInfo() ?? {}) as {
    name?: string;
    type?: string;
    size?: number;
  };
  const answer: ServerAnswer = {
    certificates,
    protocol: socket.getProtocol() ?? 'unknown',
    cipher: socket.getCipher().standardName,
    alpn: socket.alpnProtocol || null,
    keyExchange: name ?? (type === undefined ? null : `${type} ${size} bits`),
    ocsp,
    address: socket.remoteAddress ?? '',
  };
  return { ok: true, answer };
}

function chainSent(socket: TLSSocket): X509Certificate[] {
  const certificates: X509Certificate[] = [];
  let at: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
  while (at?.raw !== undefined && certificates.length < chainMax) {
    certificates.push(new X509Certificate(at.raw));
    // A root is its own issuer.
    if (at.issuerCertificate === at) break;
    at = at.issuerCertificate;
  }
  return certificates;
}

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'refuses connections: nothing listens there',
  ECONNRESET: 'resets the connection during the TLS handshake',
  EPIPE: 'hangs up during the TLS handshake',
  ETIMEDOUT: 'does not answer',
  ENOTFOUND: 'cannot be found: there is no such name in the DNS',
  EAI_AGAIN: 'cannot be looked up now: the DNS does not answer',
  EHOSTUNREACH: 'cannot be reached from here',
  ENETUNREACH: 'cannot be reached from here: there is no route to its network',
  EADDRNOTAVAIL: 'cannot be reached from here',
};

/** OpenSSL's own words, with what they mean. */
const handshakeReasons: readonly (readonly [RegExp, string])[] = [
  [
    /wrong version number|packet length too long|http request|unknown protocol/i,
    'does not speak TLS',
  ],
  [
    /alert (tlsv1 )?unrecognized name|alert number 112/i,
    'has no certificate for this name, and refuses',
  ],
  [
    /alert protocol version|unsupported protocol|alert number 70/i,
    'speaks neither TLS 1.2 nor 1.3',
  ],
  [
    /handshake failure|alert number 40/i,
    'and this client have no cipher in common, or it asks for a client certificate',
  ],
  [/certificate required|alert number 116/i, 'asks for a client certificate'],
  [/no application protocol|alert number 120/i, 'speaks neither HTTP/1.1 nor HTTP/2'],
  [/excessive message size/i, 'sends more certificates than a chain can have'],
  [/disconnected before secure/i, 'hangs up during the TLS handshake'],
];

function reasonOf(error: NodeJS.ErrnoException): string {
  const all = 'errors' in error ? (error.errors as NodeJS.ErrnoException[]) : [error];
  for (const { code, message } of [error, ...all]) {
    const known = handshakeReasons.find(([pattern]) => pattern.test(message))?.[1];
    const reason = known ?? reasons[code ?? ''];
    if (reason !== undefined) return reason;
  }
  const detail = /^[^:]*:error:[^:]*:[^:]*:[^:]*:([^:]*)/.exec(error.message)?.[1] ?? error.message;
  return `does not complete a TLS handshake (${detail.trim()})`;
}
