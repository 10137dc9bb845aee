// Workers are batch tasks of Linux's scheduler, so that one that wakes does not push the edge aside.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { directoryOf } from '../helpers/cli.ts';
import { needs } from '../helpers/need.ts';
import { startPortico } from '../helpers/portico.ts';

const app = 'module.exports = (req, res) => res.end(String(process.pid));';
/** sched(7). */
const batch = 3;
const normal = 0;

/** Field 41 of /proc/PID/stat, proc_pid_stat(5); the name before may hold spaces. */
function policyOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[38]);
}

async function becomesBatch(pid: number): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (policyOf(pid) !== batch) {
    if (Date.now() > deadline) assert.fail(`${pid} has policy ${policyOf(pid)}`);
    await delay(20);
  }
}

test('a worker is a batch task, its replacement too; the edge is not', needs('chrt'), async (t) => {
  const cwd = directoryOf(t, { 'app.js': app });
  const portico = await startPortico(t, ['--workers', '1', 'app.js'], { cwd });
  const first = Number(await (await fetch(portico.origin)).text());
  await becomesBatch(first);
  const edge = /Booting edge with pid: (\d+)/.exec(portico.log())?.[1];
  assert.equal(policyOf(Number(edge)), normal);
  process.kill(first, 'SIGKILL');
  const second = Number(await (await fetch(portico.origin)).text());
  assert.notEqual(second, first);
  await becomesBatch(second);
});

test('--worker-scheduling normal leaves workers as they are', needs('chrt'), async (t) => {
  const cwd = directoryOf(t, { 'app.js': app });
  const args = ['--workers', '1', '--worker-scheduling', 'normal', 'app.js'];
  const portico = await startPortico(t, args, { cwd });
  const worker = Number(await (await fetch(portico.origin)).text());
  assert.equal(policyOf(worker), normal);
});
