// A client that takes an answer with pauses.

import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { Random } from './random.ts';

/** Takes all that comes, with pauses, and says what it was when the end has come. */
export function readSlowly(far: Socket, random: Random): Promise<Buffer> {
  const chunks: Buffer[] = [];
  far.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    if (random(3) > 0) return;
    far.pause();
    setTimeout(() => far.resume(), random(3));
  });
  return once(far, 'end').then(() => Buffer.concat(chunks));
}
