// Writes to a socket straight through the kernel, where nothing of Node's is before it.

import type { Socket } from 'node:net';
import { native } from './native.ts';

/** Pieces of one system call, as in native/send.c. */
const PIECES_MAX = 16;
export const TEXT_MAX = 16 * 1024;

interface HandleOwner {
  /** Null once the socket is destroyed. What is in it is asked each time: the number of a closed
   *  descriptor is soon another client's. */
  readonly _handle: { readonly fd?: number } | null;
}

/** Of these bytes the kernel has taken so many; the rest, mostly nothing, is to be written in the usual way,
 *  which also finds and tells what is wrong with the socket. Of a plain TCP or Unix socket, with
 *  nothing on its way: a stream's queue and requests to libuv are a fifth of what a small answer costs. */
export function sendNow(socket: Socket, text: string, bytes: Uint8Array | null): number {
  const fd = readyDescriptor(socket);
  return fd < 0 ? 0 : sendTo(fd, text, bytes);
}

/** sendNow() to a descriptor that is open for certain, and that nothing is on its way to. */
export function sendTo(fd: number, text: string, bytes: Uint8Array | null): number {
  if (native === null || text.length >= TEXT_MAX) return 0;
  let sent: number;
  if (bytes === null) sent = native.send(fd, text);
  else if (text === '') sent = native.send(fd, bytes);
  else sent = native.send(fd, text, bytes);
  return sent < 0 ? 0 : sent;
}

/** As sendNow(). */
export function sendPiecesNow(socket: Socket, pieces: readonly Uint8Array[]): number {
  if (native === null || pieces.length > PIECES_MAX) return 0;
  const fd = readyDescriptor(socket);
  if (fd < 0) return 0;
  const sent = pieces.length === 1 ? native.send(fd, pieces[0]!) : native.send(fd, ...pieces);
  return sent < 0 ? 0 : sent;
}

/** sendTo() of bytes from pagesNow(), which the kernel takes as they are: they must never change. 0 also where it can't. */
export function lendTo(fd: number, text: string, bytes: Uint8Array): number {
  if (native === null || text.length >= TEXT_MAX) return 0;
  return native.lend(fd, text, bytes);
}

/** Memory to be lent, a multiple of 2 MiB; null where there is no such thing. */
export function pagesNow(length: number): Buffer | null {
  const pages = native?.pages(length) ?? 0;
  return typeof pages === 'number' ? null : Buffer.from(pages);
}

/** -1: bytes are on their way already, or there is no connection (any more). */
function readyDescriptor(socket: Socket): number {
  if (socket.writableLength > 0 || socket.connecting || !socket.writable) return -1;
  return (socket as unknown as HandleOwner)._handle?.fd ?? -1;
}
