// The sweep's limit on how long a client may take nothing: who takes a file slowly is not cut off.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Http1Connection } from '../../src/edge/listener/http1-connection.ts';
import type { ConnectionOptions } from '../../src/edge/listener/hub.ts';
import { sweep } from '../../src/edge/listener/sweep.ts';

const options = { sendTimeoutMs: 1000, bodyTimeoutMs: 1000 } as ConnectionOptions;

/** In the midst of an answer of which as much waits at each look. */
function sending() {
  const record = { responseBytes: 0 };
  const cuts: string[] = [];
  const connection = {
    ...{ phase: 'busy', watch: null, socket: {}, output: { unsent: 65_536 } },
    ...{ messageOpen: false, clientEnded: false, exchange: { record, countFile() {} } },
    cut: ({ code }: { code: string }) => cuts.push(code),
  };
  const look = (nowMs: number) => sweep(connection as unknown as Http1Connection, nowMs, options);
  return { record, cuts, look };
}

test('a client that takes as much as it is given is let go on', () => {
  const { record, cuts, look } = sending();
  for (let nowMs = 0; nowMs < 10_000; nowMs += 500) {
    record.responseBytes += 2_000_000;
    look(nowMs);
  }
  assert.deepEqual(cuts, []);
});

test('one that takes nothing is cut off', () => {
  const { cuts, look } = sending();
  for (let nowMs = 0; nowMs <= 1000; nowMs += 500) look(nowMs);
  assert.deepEqual(cuts, ['SEND_TIMEOUT']);
});
