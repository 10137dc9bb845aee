// Opens a connection to one address of an upstream: TCP, TLS or a Unix socket.

import { connect, isIP, type Socket } from 'node:net';
import { type SecureContext, connect as tlsConnect } from 'node:tls';

export type HttpAddress =
  | { readonly kind: 'unix'; readonly path: string }
  /** `host` is an IP address: names have been looked up. */
  | {
      readonly kind: 'tcp';
      readonly host: string;
      readonly port: number;
      readonly tls: TlsTo | null;
    };

/** How an https upstream is verified. */
export interface TlsTo {
  readonly context: SecureContext;
  /** For SNI and the check of the certificate; an IP address is checked but not sent. */
  readonly serverName: string;
  readonly verify: boolean;
  /** Of the last connection: a handshake with it costs a fourth. */
  session: Buffer | null;
}

/** What libuv reads at most at a time. */
const READ_BYTES = 64 * 1024;
/** All connections read into it, and take what they keep out of it before they return. Reading through a
 *  stream makes a buffer for each read, and passes it through the stream's queue. */
const readBuffer = Buffer.allocUnsafeSlow(READ_BYTES);
export const sharedMemory = readBuffer.buffer;
/** A peer that vanishes without a word is asked after so long. */
const PROBE_AFTER_MS = 60_000;

/** What is read into `sharedMemory` is written over once `onBytes` has returned. */
export function dial(address: HttpAddress, onBytes: (chunk: Buffer) => void): Socket {
  if (address.kind === 'tcp' && address.tls !== null)
    return dialTls(address.host, address.port, address.tls, onBytes);
  const onread = {
    buffer: readBuffer,
    callback: (bytes: number): boolean => {
      onBytes(readBuffer.subarray(0, bytes));
      return true;
    },
  };
  if (address.kind === 'unix') return connect({ path: address.path, onread });
  const { host, port } = address;
  const keep = { noDelay: true, keepAlive: true, keepAliveInitialDelay: PROBE_AFTER_MS };
  return connect({ host, port, onread, ...keep });
}

function dialTls(host: string, port: number, to: TlsTo, onBytes: (chunk: Buffer) => void): Socket {
  const { context, serverName, verify, session } = to;
  const socket = tlsConnect({
    host,
    port,
    secureContext: context,
    // RFC 6066 section 3 has no addresses in SNI. Without a name Node looks for `host` in the certificate.
    ...(isIP(serverName) === 0 ? { servername: serverName } : { servername: '', host: serverName }),
    rejectUnauthorized: verify,
    ALPNProtocols: ['http/1.1'],
    ...(session === null ? {} : { session }),
  });
  socket.setNoDelay(true);
  socket.setKeepAlive(true, PROBE_AFTER_MS);
  socket.on('session', (made: Buffer) => {
    to.session = made;
  });
  socket.on('error', () => {
    to.session = null;
  });
  socket.on('data', (chunk: Buffer) => onBytes(chunk));
  return socket;
}
