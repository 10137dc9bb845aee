// Opens a connection to one address of an upstream: TCP, TLS or a Unix socket.

import { connect, isIP, type Socket } from 'node:net';
import {
  type ConnectionOptions,
  checkServerIdentity,
  type SecureContext,
  type TLSSocket,
  connect as tlsConnect,
} from 'node:tls';

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
/** Pieces of these sizes are copied into a slab that many share: memory of its own for 10 KB costs as much as all
 *  the rest of a small answer. Smaller ones Node cuts from a pool of its own. */
const SLAB_BYTES = 64 * 1024;
const SLAB_PIECE_MIN = 2 * 1024;
const SLAB_PIECE_MAX = 16 * 1024;
let slab = Buffer.alloc(0);
let slabUsed = 0;
/** A peer that vanishes without a word is asked after so long. */
const PROBE_AFTER_MS = 60_000;

/** What was read, to be kept: itself, or a copy if its memory is about to be read into again. */
export function kept(chunk: Buffer): Buffer {
  if (chunk.buffer !== readBuffer.buffer) return chunk;
  const { length } = chunk;
  if (length < SLAB_PIECE_MIN || length > SLAB_PIECE_MAX) return Buffer.from(chunk);
  if (slabUsed + length > slab.length) {
    slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
    slabUsed = 0;
  }
  const copy = slab.subarray(slabUsed, slabUsed + length);
  slabUsed += length;
  copy.set(chunk);
  return copy;
}

/** `preface`, in Latin-1, is said first, before TLS. What `onBytes` gets may be written over once it has returned: see
 *  kept(). */
export function dial(
  address: HttpAddress,
  preface: string,
  onBytes: (chunk: Buffer) => void,
): Socket {
  if (address.kind === 'tcp' && address.tls !== null)
    return dialTls(address, address.tls, { preface, onBytes });
  const socket = dialPlain(address, onBytes);
  if (preface !== '') socket.write(preface, 'latin1');
  return socket;
}

function dialPlain(address: HttpAddress, onBytes: (chunk: Buffer) => void): Socket {
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

/** For one request, and then what its protocol becomes: half-open, so that the end of one direction is not the
 *  end of the other. `onConnected` is called once, when TLS is done too. */
export function dialOnce(
  address: HttpAddress,
  { preface, connectTimeoutMs }: { readonly preface: string; readonly connectTimeoutMs: number },
  onConnected: () => void,
): Socket {
  const allowHalfOpen = true;
  const tls = address.kind === 'tcp' ? address.tls : null;
  let socket: Socket;
  if (address.kind === 'tcp' && tls !== null)
    socket = connectTls(address, tls, { preface, allowHalfOpen });
  else {
    if (address.kind === 'unix') socket = connect({ path: address.path, allowHalfOpen });
    else socket = connect({ host: address.host, port: address.port, noDelay: true, allowHalfOpen });
    if (preface !== '') socket.write(preface, 'latin1');
  }
  const timer = setTimeout(() => {
    const error = new Error(`no connection in ${connectTimeoutMs} ms`);
    socket.destroy(Object.assign(error, { code: 'ETIMEDOUT' }));
  }, connectTimeoutMs);
  socket.once(tls === null ? 'connect' : 'secureConnect', () => {
    clearTimeout(timer);
    onConnected();
  });
  socket.once('close', () => clearTimeout(timer));
  return socket;
}

function dialTls(
  address: { readonly host: string; readonly port: number },
  to: TlsTo,
  { preface, onBytes }: { readonly preface: string; onBytes(chunk: Buffer): void },
): Socket {
  const socket = connectTls(address, to, { preface, allowHalfOpen: false });
  socket.setNoDelay(true);
  socket.setKeepAlive(true, PROBE_AFTER_MS);
  socket.on('session', (made: Buffer) => {
    // One that comes before the certificate was checked would carry its next user past the check.
    if (socket.authorized || !to.verify) to.session = made;
  });
  socket.on('error', () => {
    to.session = null;
  });
  socket.on('data', onBytes);
  return socket;
}

/** What is said first of the client comes before TLS: who reads that knows of no TLS yet. */
function connectTls(
  address: { readonly host: string; readonly port: number },
  to: TlsTo,
  { preface, allowHalfOpen }: { readonly preface: string; readonly allowHalfOpen: boolean },
): TLSSocket {
  const options = { ...tlsOptions(address, to), allowHalfOpen } as ConnectionOptions;
  if (preface === '') return tlsConnect(options);
  const { host, port } = address;
  const plain = connect({ host, port, noDelay: true, allowHalfOpen });
  plain.write(preface, 'latin1');
  const socket = tlsConnect({ ...options, socket: plain });
  plain.on('error', (error) => socket.destroy(error));
  return socket;
}

function tlsOptions(
  { host, port }: { readonly host: string; readonly port: number },
  { context, serverName, verify, session }: TlsTo,
): ConnectionOptions {
  return {
    host,
    port,
    secureContext: context,
    // RFC 6066 section 3 has no addresses in SNI.
    servername: isIP(serverName) === 0 ? serverName : '',
    checkServerIdentity: (_host, certificate) => checkServerIdentity(serverName, certificate),
    rejectUnauthorized: verify,
    ALPNProtocols: ['http/1.1'],
    ...(session === null ? {} : { session }),
  };
}
