// Which versions of Node are refused, which are warned of.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodeVersionFault, nodeVersionWarning } from '../../src/cli/node-version.ts';

const now = new Date('2026-11-22T12:00:00Z');

test('a Node that is too old is refused', () => {
  assert.equal(nodeVersionFault('18.20.8'), 'needs Node 20.19 or newer; this is 18.20.8');
  assert.equal(nodeVersionFault('20.18.3'), 'needs Node 20.19 or newer; this is 20.18.3');
  for (const fine of ['20.19.0', '20.20.2', '22.0.0', '26.13.1', '31.0.0'])
    assert.equal(nodeVersionFault(fine), null, fine);
});

test('a line without security fixes is warned of', () => {
  assert.equal(
    nodeVersionWarning('20.20.2', now),
    'Node 20.20.2: line 20 has had no security fixes since 2026-04-30; use 24 or newer',
  );
  for (const old of ['21.7.3', '23.11.1', '25.9.0'])
    assert.match(nodeVersionWarning(old, now)!, /no security fixes/);
  assert.equal(nodeVersionWarning('20.20.2', new Date('2026-04-30T12:00:00Z')), null);
  assert.match(nodeVersionWarning('24.22.3', new Date('2028-06-01'))!, /no security fixes/);
});

test('a release below the fixed ones is warned of, newer and unknown ones are not', () => {
  assert.equal(
    nodeVersionWarning('24.21.0', now),
    'Node 24.21.0 has known security faults; use 24.22.3 or newer',
  );
  for (const [version, warned] of [
    ['22.23.4', true],
    ['22.23.5', false],
    ['22.23.5-pre', true],
    ['24.22.3', false],
    ['26.10.0', true],
    ['26.13.1', false],
    ['26.14.0', false],
    ['27.0.0', false],
    ['40.1.0', false],
  ] as const)
    assert.equal(nodeVersionWarning(version, now) !== null, warned, version);
});
