// Plain HTTP on the worker's socket: requests that ask for another protocol (WebSocket and others), which
// need a real socket. A real http.Server reads them, and the app's own server hears their 'upgrade'.

import http, { type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { isIPv6, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { ClientFacts } from '../http/exchange.ts';
import { readPlainPreface } from '../link/plain-preface.ts';
import type { Log } from '../telemetry/log.ts';
import { tidyError } from './boot-error.ts';

/** The edge has judged the head by the settings' limits; this only bounds what is read. */
const HEAD_BYTES_MAX = 1024 * 1024;

export interface PlainHttp {
  /** Serves a connection of which `first` was read already. */
  accept(socket: Socket, first: Buffer): void;
}

/** Requests that no 'upgrade' listener of the app takes go to `answer`. */
export function createPlainHttp(
  app: Server,
  answer: (request: IncomingMessage, response: ServerResponse) => void,
  log: Log,
): PlainHttp {
  // Node gives a request to 'request' where its server has no 'upgrade' listener: so there are two.
  const plain = createServer(answer);
  const upgrading = createServer(answer);
  upgrading.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    try {
      app.emit('upgrade', request, socket, head);
    } catch (error) {
      // Node would end the process, and every other request in it.
      log.error('the app threw while it handled an upgrade', { err: tidyError(error) });
      socket.destroy();
    }
  });
  const serve = (socket: Socket, first: Buffer): void => {
    if (socket.destroyed) return;
    socket.unshift(first);
    (app.listenerCount('upgrade') > 0 ? upgrading : plain).emit('connection', socket);
  };
  return {
    accept(socket, first) {
      const preface = readPlainPreface(first);
      if (preface === 'none') return serve(socket, first);
      if (preface === 'partial') {
        socket.once('data', (more: Buffer) => this.accept(socket, Buffer.concat([first, more])));
        return;
      }
      if (preface.client === null) {
        log.warning('closed a connection to the worker socket that says nonsense about its client');
        socket.destroy();
        return;
      }
      showClient(socket, preface.client);
      serve(socket, first.subarray(preface.at));
    },
  };
}

function createServer(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Server {
  const server = http.createServer({ maxHeaderSize: HEAD_BYTES_MAX }, answer);
  // The edge has its own, and these would end a connection in the midst of a long answer.
  server.requestTimeout = 0;
  server.headersTimeout = 0;
  server.keepAliveTimeout = 0;
  server.maxHeadersCount = 0;
  return server;
}

/** The app finds at the socket what it would find at the client's own: ws, Socket.IO and loggers look there. */
function showClient(socket: Socket, client: ClientFacts): void {
  const family = (address: string): string | undefined =>
    address === '' ? undefined : isIPv6(address) ? 'IPv6' : 'IPv4';
  const shown: Record<string, unknown> = {
    remoteAddress: client.address || undefined,
    remotePort: client.port || undefined,
    remoteFamily: family(client.address),
    localAddress: client.localAddress || undefined,
    localPort: client.localPort || undefined,
    localFamily: family(client.localAddress),
  };
  if (client.scheme === 'https') shown.encrypted = true;
  for (const [name, value] of Object.entries(shown)) {
    Object.defineProperty(socket, name, { value, configurable: true, enumerable: true });
  }
}
