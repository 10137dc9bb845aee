// Which refused requests the event log names, and how the others are summed up.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Refusals } from '../../src/edge/refusals.ts';
import { recordingLog } from '../helpers/recording-log.ts';

const limits = { windowMs: 60_000, linesMax: 3, clientsMax: 4 };

test('a client is named once for each code, and its further refusals are summed up', () => {
  const { log, lines } = recordingLog();
  const refusals = new Refusals(log, limits);
  assert.ok(refusals.isTold('BAD_HOST', '192.0.2.1'));
  assert.ok(refusals.isTold('BAD_FIELD', '192.0.2.1'));
  for (let n = 0; n < 5; n++) assert.ok(!refusals.isTold('BAD_HOST', '192.0.2.1'));
  refusals.close();
  assert.equal(lines.length, 1);
  assert.match(lines[0]!, /^info .*"code":"BAD_HOST","requests":5,.*"mostBy":"192\.0\.2\.1"/);
  assert.ok(refusals.isTold('BAD_HOST', '192.0.2.1'), 'the next window begins anew');
});

test('a crowd of clients gets no more than so many lines, and all are counted', () => {
  const { log, lines } = recordingLog();
  const refusals = new Refusals(log, limits);
  let told = 0;
  for (let n = 0; n < 100; n++) if (refusals.isTold('HEAD_TIMEOUT', `192.0.2.${n}`)) told++;
  for (let n = 0; n < 9; n++) refusals.isTold('HEAD_TIMEOUT', '192.0.2.2');
  refusals.close();
  assert.equal(told, limits.linesMax);
  assert.equal(lines.length, 1);
  assert.match(lines[0]!, /"requests":106,/);
  assert.match(lines[0]!, /"clients":"more than 4","mostBy":"192\.0\.2\.2","ofThose":10/);
});

test('a window ends by itself', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { log, lines } = recordingLog();
  const refusals = new Refusals(log, limits);
  refusals.isTold('BODY_TOO_LARGE', '');
  refusals.isTold('BODY_TOO_LARGE', '');
  t.mock.timers.tick(limits.windowMs);
  assert.match(lines.join(), /"mostBy":"unix"/);
  assert.ok(refusals.isTold('BODY_TOO_LARGE', ''));
});
