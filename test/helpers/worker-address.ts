// What the arbiter says of a worker to the edge, for workers that a test plays.

import type { WorkerAddress } from '../../src/ipc/messages.ts';

/** A worker of the only app that speaks the link, unless told otherwise. */
export function workerAddress(
  facts: Pick<WorkerAddress, 'id' | 'sockets'> & Partial<WorkerAddress>,
): WorkerAddress {
  return {
    slot: facts.id,
    pid: 10_000 + facts.id,
    app: 'app',
    protocol: 'link',
    capacity: 100,
    leavesWhenIdle: false,
    retireAfter: 0,
    ...facts,
  };
}
