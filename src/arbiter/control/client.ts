// Asks a running arbiter over its control socket, and finds the ones that run.

import { connect } from 'node:net';
import { join } from 'node:path';
import { createLineReader } from '../../ipc/lines.ts';
import { instanceDirs, runtimeBases } from '../runtime-dir.ts';
import { answers } from '../sockets.ts';
import { checkReply, type Reply, type Request, replyBytesMax } from './protocol.ts';

export interface Instance {
  readonly pid: number;
  readonly runtimeDir: string;
}

/** Sends a request and resolves with the reply. `reload` and `stop` take as long as they take: they
 *  have limits of their own in the arbiter. Rejects when nobody answers. */
export function askArbiter(runtimeDir: string, request: Request): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const socket = connect(join(runtimeDir, 'control.sock'));
    const end = (act: () => void): void => {
      socket.destroy();
      act();
    };
    const reader = createLineReader(replyBytesMax, {
      onValue(value) {
        const reply = checkReply(value);
        end(() => (reply === null ? reject(new Error('a reply of unknown form')) : resolve(reply)));
      },
      onJunk: () => end(() => reject(new Error('a reply of unknown form'))),
    });
    socket.once('connect', () => socket.write(`${JSON.stringify(request)}\n`));
    socket.on('data', (chunk) => reader.push(chunk));
    socket.once('error', (error) => end(() => reject(error)));
    socket.once('close', () => reject(new Error('Portico ended before it answered')));
  });
}

/** The arbiters of this user that run now, but those with a --runtime-dir of their own. */
export async function findInstances(): Promise<Instance[]> {
  const found: Instance[] = [];
  for (const base of runtimeBases()) {
    for (const { name, path } of instanceDirs(base)) {
      if (await answers(join(path, 'control.sock'))) {
        found.push({ pid: Number(name), runtimeDir: path });
      }
    }
  }
  return found;
}
