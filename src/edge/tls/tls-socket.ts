// Makes the TLS side of an accepted connection, with as few layers between the kernel and us as Node allows.

import type { Socket } from 'node:net';
import { type SecureContext, TLSSocket, type TLSSocketOptions } from 'node:tls';
import { sharedReadBuffer } from '../../native/poller.ts';

export interface TlsSocketOptions {
  readonly secureContext: SecureContext;
  /** In ALPN's form on the wire, each behind its length. */
  readonly protocols: Buffer;
  readonly requestCert: boolean;
  /** Where the context still depends on the name; else the handshake goes on without a stop. */
  readonly selectByName: TLSSocketOptions['SNICallback'] | null;
  /** The OCSP response for a client that asks for one, DER. */
  readonly staple: Buffer | null;
}

/** Gets what was decrypted; the bytes are its only until it returns. */
export type TakeBytes = (bytes: Buffer) => void;

interface Handle {
  useUserBuffer?: unknown;
  receive(bytes: Uint8Array): void;
  setOCSPResponse?(der: Buffer): void;
  verifyError(): { readonly code: string } | null;
}

type Wrap = (socket: Socket | null, handle: Handle | undefined, ...more: unknown[]) => Handle;

interface WithHandle {
  _handle: Handle | null;
  _wrapHandle?: Wrap;
  connecting: boolean;
}

/** The handle for the socket that is being made: its constructor calls _wrapHandle(). */
let taken: Handle | undefined;

/**
 * A TLSSocket over a handle instead of over a net.Socket. Only to such a one does Node give `onread`: 15 µs
 * of CPU for a small keep-alive request in place of 20, and no second stream that lives beside it.
 */
class TakenSocket extends TLSSocket {
  _wrapHandle(...[socket, handle, ...more]: Parameters<Wrap>): Handle {
    return wrapHandle!.call(this, socket, handle ?? taken, ...more);
  }
}

const wrapHandle = (TLSSocket.prototype as unknown as WithHandle)._wrapHandle;

/** Begins the handshake of a connection, of which `first` was read already. `onBytes` null: the socket is
 *  read as a stream. Null: the client has gone. */
export function startTls(
  accepted: Socket,
  first: Buffer,
  options: TlsSocketOptions,
  onBytes: TakeBytes | null,
): TLSSocket | null {
  const owner = accepted as unknown as WithHandle;
  const handle = owner._handle;
  if (handle === null) return null;
  const given: TLSSocketOptions & { readonly allowHalfOpen: true } = {
    isServer: true,
    allowHalfOpen: true,
    secureContext: options.secureContext,
    ALPNProtocols: options.protocols,
    requestCert: options.requestCert,
    rejectUnauthorized: false,
    ...(options.selectByName ? { SNICallback: options.selectByName } : {}),
  };
  if (wrapHandle === undefined || typeof handle.useUserBuffer !== 'function') {
    accepted.unshift(first);
    const socket = new TLSSocket(accepted, given);
    if (onBytes !== null) socket.on('data', onBytes);
    giveStaple(socket, options.staple);
    return socket;
  }
  owner._handle = null;
  taken = handle;
  const socket = new TakenSocket(undefined as unknown as Socket, {
    ...given,
    ...(onBytes === null ? {} : { onread: readInto(onBytes) }),
  });
  taken = undefined;
  const made = socket as unknown as WithHandle;
  made.connecting = false;
  giveStaple(socket, options.staple);
  made._handle!.receive(first);
  // Where the client has to begin anew (HelloRetryRequest), Node 22 and later have used it up.
  giveStaple(socket, options.staple);
  return socket;
}

/** Node asks for it by its server's event OCSPRequest, and stops the handshake for that; what is at hand can
 *  be given at once. OpenSSL sends it only where the client asks. */
function giveStaple(socket: TLSSocket, staple: Buffer | null): void {
  if (staple !== null) (socket as unknown as WithHandle)._handle?.setOCSPResponse?.(staple);
}

function readInto(onBytes: TakeBytes) {
  return {
    buffer: sharedReadBuffer,
    callback(count: number): boolean {
      onBytes(sharedReadBuffer.subarray(0, count));
      return true;
    },
  };
}

/** Why the certificate the client sent can't be trusted; null = it can, or there is none. */
export function clientVerifyError(socket: TLSSocket): string | null {
  return (socket as unknown as WithHandle)._handle?.verifyError()?.code ?? null;
}
