// What a running instance says of itself, asked over its control socket as `portico status` does.

import { askArbiter } from '../../src/arbiter/control/client.ts';
import type { Status } from '../../src/arbiter/control/protocol.ts';

export async function statusOf(runtimeDir: string): Promise<Status> {
  const reply = await askArbiter(runtimeDir, { command: 'status' });
  if (!reply.ok || reply.command !== 'status') throw new Error(JSON.stringify(reply));
  return reply.status;
}
