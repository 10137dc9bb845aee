// Carries the messages of messages.ts between the arbiter and its children, both ends.
//
// The edge has Node's IPC channel, because listening sockets travel on it. A worker has a channel
// of its own, JSON lines on descriptor 3: on Node's, one line of app code ends the parent
// (process.send({ cmd: 'NODE_HANDLE_ACK' }) fails an assertion there, a line that is no JSON throws
// there), and an app that finds process.send talks to whatever it takes for its parent.

import type { ChildProcess, SendHandle } from 'node:child_process';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { checkFromEdge, checkFromWorker, checkToEdge, checkToWorker } from './check.ts';
import { createLineReader } from './lines.ts';
import type { FromEdge, FromWorker, ToEdge, ToWorker } from './messages.ts';

/** Descriptor of a worker's channel. */
export const workerChannelFd = 3;

/** A whole Config fits many times; what an app writes there by mistake does not grow memory. */
const lineBytesMax = 1024 * 1024;
/** What may wait to be written to a child that does not read. */
const unsentBytesMax = 4 * 1024 * 1024;
/** What is read from one worker in a second; the rest waits in the socket, and so in the worker.
 *  A healthy one says a few messages of 100 bytes. */
const readBytesPerSecondMax = 256 * 1024;

export interface Channel<Out> {
  /** Never throws; what a closed channel can't carry is dropped. */
  send(message: Out): void;
  close(): void;
}

export interface EdgeChannel extends Channel<ToEdge> {
  /** Sends with a bound socket's handle. */
  sendHandle(message: ToEdge, handle: SendHandle): void;
}

/** A worker lets go of the event loop while the app loads, to notice when nothing more happens. */
export interface ArbiterChannel extends Channel<FromWorker> {
  /** Where whole lines may be written while the event loop hangs; null where there is no such place. */
  readonly fd: number | null;
  ref(): void;
  unref(): void;
}

/** What the arbiter hears on a worker's channel. */
export interface WorkerEnd {
  onMessage(message: FromWorker): void;
  /** Said once in a channel's life: something came that no worker should say, or too much. */
  onNoise(what: string): void;
}

/** The arbiter's end of a worker's channel. */
export function channelToWorker(stream: Duplex, end: WorkerEnd): Channel<ToWorker> {
  let noticed = false;
  const noise = (what: string): void => {
    if (noticed) return;
    noticed = true;
    end.onNoise(what);
  };
  const reader = createLineReader(lineBytesMax, {
    onValue(value) {
      const message = checkFromWorker(value);
      if (message === null) noise('a message of unknown kind');
      else end.onMessage(message);
    },
    onJunk: () => noise('a line that is not JSON or is too long'),
  });
  let budget = readBytesPerSecondMax;
  let timer: NodeJS.Timeout | null = null;
  const refill = (): void => {
    timer = null;
    budget = readBytesPerSecondMax;
    stream.resume();
  };
  stream.on('data', (chunk: Buffer) => {
    timer ??= setTimeout(refill, 1000).unref();
    budget -= chunk.length;
    if (budget < 0) {
      stream.pause();
      noise('far more than it has to');
    }
    reader.push(chunk);
  });
  stream.on('close', () => timer !== null && clearTimeout(timer));
  // The child ended or closed its end: its exit is what counts, and that is an event of its own.
  stream.on('error', () => {});
  return lineChannel<ToWorker>(stream);
}

/** The worker's end. `onGone` is called once when the arbiter is no more: leave. */
export function channelFromWorker(end: {
  onMessage(message: ToWorker): void;
  onGone(): void;
}): ArbiterChannel {
  if (process.send !== undefined) {
    const channel = nodeChannel<FromWorker>((value) => {
      const message = checkToWorker(value);
      if (message !== null) end.onMessage(message);
    }, end.onGone);
    const ref = (): void => process.channel?.ref();
    return { ...channel, fd: null, ref, unref: () => process.channel?.unref() };
  }
  const socket = openDescriptor();
  const reader = createLineReader(lineBytesMax, {
    onValue(value) {
      const message = checkToWorker(value);
      if (message !== null) end.onMessage(message);
    },
    onJunk: () => {},
  });
  socket.on('data', (chunk: Buffer) => reader.push(chunk));
  socket.on('error', () => {});
  socket.once('close', () => end.onGone());
  const channel = lineChannel<FromWorker>(socket);
  const fd = workerChannelFd;
  return { ...channel, fd, ref: () => void socket.ref(), unref: () => void socket.unref() };
}

function openDescriptor(): Socket {
  try {
    return new Socket({ fd: workerChannelFd, readable: true, writable: true });
  } catch (cause) {
    throw new Error('this program is started by the arbiter and not by hand', { cause });
  }
}

/** The arbiter's end of an edge's channel. */
export function channelToEdge(
  child: ChildProcess,
  onMessage: (message: FromEdge) => void,
): EdgeChannel {
  child.on('message', (value, handle) => {
    // An edge sends no handles; one that came would stay open here for ever.
    if (handle !== undefined && 'close' in handle) handle.close();
    const message = checkFromEdge(value);
    if (message !== null) onMessage(message);
  });
  const send = (message: ToEdge, handle?: SendHandle): void => {
    if (!child.connected) return;
    // With a callback a failed write is reported to it, and not as an 'error' of the child.
    child.send(message, handle, { keepOpen: true }, () => {});
  };
  return {
    send: (message) => send(message),
    sendHandle: send,
    close: () => {
      if (child.connected) child.disconnect();
    },
  };
}

/** The edge's end. A 'listen' comes with the handle to listen on. */
export function channelFromEdge(end: {
  onMessage(message: ToEdge, handle: unknown): void;
  onGone(): void;
}): Channel<FromEdge> {
  return nodeChannel<FromEdge>((value, handle) => {
    const message = checkToEdge(value);
    if (message !== null) end.onMessage(message, handle);
  }, end.onGone);
}

function nodeChannel<Out>(
  onValue: (value: unknown, handle: unknown) => void,
  onGone: () => void,
): Channel<Out> {
  if (process.send === undefined) {
    throw new Error('this program is started by the arbiter and not by hand');
  }
  process.on('message', onValue);
  process.once('disconnect', onGone);
  // Killed while this program was loaded: that was said before anybody listened.
  if (!process.connected) setImmediate(onGone);
  return {
    send(message) {
      if (process.connected) process.send?.(message, undefined, undefined, () => {});
    },
    close() {
      if (process.connected) process.disconnect();
    },
  };
}

function lineChannel<Out>(stream: Duplex): Channel<Out> {
  return {
    send(message) {
      if (stream.destroyed || stream.writableEnded) return;
      if (stream.writableLength > unsentBytesMax) return;
      stream.write(`${JSON.stringify(message)}\n`);
    },
    close: () => {
      stream.destroy();
    },
  };
}
