// Small steps by which the adapter ends requests, responses and sockets as node:http ends them.

import { nop, type RequestInternals, type ResponseInternals } from './node-internals.ts';
import type { ExchangeSocket } from './socket.ts';

export function closeSocket(socket: ExchangeSocket): void {
  if (socket.closeEmitted) return;
  socket.stopTimeout();
  socket.destroyed = true;
  socket.closeEmitted = true;
  emit(socket, 'close', socket.errored !== null);
}

export function emitClose(response: ResponseInternals): void {
  if (response._closed) return;
  response.destroyed = true;
  response._closed = true;
  response.emit('close');
}

/** Brings an unread request without content to the state in which 'end' and 'close' leave it; what
 *  Node's own optimizeEmptyRequests option does. */
export function closeUnread(request: RequestInternals): void {
  const state = request._readableState;
  request._dumped = true;
  state.ended = true;
  state.endEmitted = true;
  state.destroyed = true;
  state.closed = true;
  state.closeEmitted = true;
}

export function emitDrain(response: ResponseInternals): void {
  response.emit('drain');
}

export function resetRequest(request: RequestInternals): void {
  request.destroy(connectionReset());
}

/** Calls what may reach the app's code; what that throws goes to the process, not to the caller. */
export function attempt<T>(act: (argument: T) => void, argument: T): void {
  try {
    act(argument);
  } catch (error) {
    throwLater(error);
  }
}

export function emit(socket: ExchangeSocket, event: string, ...args: unknown[]): boolean {
  return (socket as unknown as NodeJS.EventEmitter).emit(event, ...args);
}

/** A socket of Node's server always has an 'error' listener: an unheard error ends nothing. */
export function emitError(socket: ExchangeSocket, error: Error): void {
  if ((socket as unknown as NodeJS.EventEmitter).listenerCount('error') > 0)
    attempt(() => emit(socket, 'error', error), undefined);
}

/** Whether the rest of the request can be thrown away once the response is out. Node does so only
 *  where reading never began, and lets the connection stand still where a reader has gone. */
export function nobodyReads(request: RequestInternals): boolean {
  if (request.destroyed) return false;
  if (!request._consuming) return !request._readableState.resumeScheduled;
  return (
    !request.readableEnded &&
    request.readableFlowing !== true &&
    request.listenerCount('data') === 0 &&
    request.listenerCount('readable') === 0
  );
}

export function bytesOf(
  data: string | Uint8Array,
  encoding: BufferEncoding | null,
  callback: unknown,
): Uint8Array {
  if (typeof data === 'string') return Buffer.from(data, encoding ?? 'utf8');
  // Who gives a callback may fill the buffer anew when it is called; the exchange keeps the bytes
  // for longer.
  if (typeof callback === 'function' && callback !== nop && !isFinishCallback(callback))
    return new Uint8Array(data);
  return data;
}

/** Node's own callback behind end(content): nobody fills that buffer again. */
export function isFinishCallback(callback: unknown): boolean {
  return (callback as { name: string }).name === 'bound onFinish';
}

export function connectionReset(): Error {
  return Object.assign(new Error('aborted'), { code: 'ECONNRESET' });
}

/** The app's own fault: to the process as node:http leaves it, but past the link, which has other
 *  requests to go on with. */
export function throwLater(error: unknown): void {
  process.nextTick(() => {
    throw error;
  });
}
