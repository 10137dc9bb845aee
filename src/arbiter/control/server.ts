// The control socket's server: takes one request a connection, hands it to the loop, sends its reply.

import { createServer, type Socket } from 'node:net';
import { createLineReader } from '../../ipc/lines.ts';
import { checkRequest, type Reply, type Request, requestBytesMax } from './protocol.ts';

const connectionsMax = 32;
/** A client that has not asked after so long is cut off. */
const askTimeoutMs = 10_000;

export interface ControlServer {
  reply(askId: number, reply: Reply): void;
  /** Stops listening; replies under way are still sent. */
  close(): void;
}

/** Listens at `path`, mode 0600. Rejects when that can't be done. */
export function openControlServer(
  path: string,
  onAsk: (askId: number, request: Request) => void,
): Promise<ControlServer> {
  const waiting = new Map<number, Socket>();
  let nextAskId = 1;

  const server = createServer((socket) => {
    // Whoever asks may leave before the answer: that is its affair.
    socket.on('error', () => {});
    socket.setTimeout(askTimeoutMs, () => socket.destroy());
    let askId: number | null = null;
    const take = (request: Request | null): void => {
      if (askId !== null) return;
      askId = nextAskId;
      nextAskId += 1;
      socket.setTimeout(0);
      waiting.set(askId, socket);
      if (request !== null) onAsk(askId, request);
      else {
        const problems = [
          'Expected a line {"command": "status" | "reload" | "stop" | "scale" | "purge", …}',
        ];
        answer(askId, { ok: false, problems });
      }
    };
    const reader = createLineReader(requestBytesMax, {
      onValue: (value) => take(checkRequest(value)),
      onJunk: () => take(null),
    });
    let read = 0;
    socket.on('data', (chunk) => {
      read += chunk.length;
      // An endless line: the reader would skip it for ever.
      if (read > requestBytesMax) take(null);
      else reader.push(chunk);
    });
    socket.on('close', () => {
      if (askId !== null) waiting.delete(askId);
    });
  });
  server.maxConnections = connectionsMax;

  function answer(askId: number, reply: Reply): void {
    const socket = waiting.get(askId);
    waiting.delete(askId);
    socket?.end(`${JSON.stringify(reply)}\n`);
    // A client that neither reads nor leaves.
    socket?.setTimeout(askTimeoutMs, () => socket.destroy());
  }

  return new Promise((resolve, reject) => {
    server.once('error', reject);
    // bind(2) happens within listen(): the file is never there with another mode.
    const before = process.umask(0o177);
    try {
      server.listen(path, () => {
        server.off('error', reject);
        server.on('error', () => {});
        resolve({ reply: answer, close: () => void server.close() });
      });
    } finally {
      process.umask(before);
    }
  });
}
