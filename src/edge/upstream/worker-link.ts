// Reaches a worker by what its sockets speak: the link, or HTTP/1.1.

import type { WorkerAddress } from '../../ipc/messages.ts';
import { type ConnectOptions, connectLink } from '../../link/edge-end.ts';
import type { Link } from '../../link/link.ts';
import { lineMax } from '../balancer/line.ts';
import type { HttpAddress } from './dial.ts';
import { connectHttp } from './http-link.ts';

/** A worker's socket is on this machine: whoever does not accept by then has its queue full. */
const CONNECT_TIMEOUT_MS = 5_000;
/** Less than what the usual servers keep a connection for: uvicorn, hypercorn and Node 5 s. */
const KEEP_ALIVE_MS = 4_000;
const IDLE_CONNECTIONS_MAX = 64;

export function connectWorker(options: ConnectOptions, worker: WorkerAddress): Link {
  if (worker.protocol === 'link') return connectLink(options);
  const { path, onUp, onDown, log } = options;
  const isLined = worker.protocol === 'http-kept';
  const connections = worker.capacity + (isLined ? lineMax : 0);
  return connectHttp({
    address: workerAddress(path),
    settings: {
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      // As on the link: a response may be silent for long.
      idleTimeoutMs: 0,
      keepAliveMs: KEEP_ALIVE_MS,
      maxConnections: connections,
      idleConnections: Math.min(connections, IDLE_CONNECTIONS_MAX),
      // The worker takes requests in the order of its connections: this makes it that in which they are sent.
      inTurn: isLined,
      host: null,
    },
    preamble: null,
    onUp,
    onDown,
    ...(log === undefined ? {} : { log }),
  });
}

/** Of a worker's socket. A program that was given a port has no path: "127.0.0.1:PORT". */
export function workerAddress(place: string): HttpAddress {
  if (place.startsWith('/')) return { kind: 'unix', path: place };
  const [host = '', port] = place.split(':');
  return { kind: 'tcp', host, port: Number(port), tls: null };
}
