// CPU time and memory of a process tree, from /proc (Linux).

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

interface ProcessSample {
  readonly pid: number;
  readonly title: string;
  /** User and system time so far, in µs. Resolution is one clock tick, 10 ms. */
  readonly cpuUs: number;
  readonly rssBytes: number;
}

/** Samples `root` and all that descend from it. */
export function sampleTree(root: number): ProcessSample[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const parent = Number(statFields(Number(name))?.[1]);
    children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const samples: ProcessSample[] = [];
  const pending = [root];
  while (pending.length > 0) {
    const pid = pending.pop() as number;
    pending.push(...(children.get(pid) ?? []));
    const sample = sampleProcess(pid);
    if (sample) samples.push(sample);
  }
  return samples;
}

/** CPU time in µs that the trees used between two samplings. */
export function cpuBetween(before: ProcessSample[], after: ProcessSample[]): number {
  const start = new Map(before.map((sample) => [sample.pid, sample.cpuUs]));
  return after.reduce((sum, { pid, cpuUs }) => sum + cpuUs - (start.get(pid) ?? 0), 0);
}

function sampleProcess(pid: number): ProcessSample | null {
  const fields = statFields(pid);
  if (!fields) return null;
  const cpuUs = ((Number(fields[11]) + Number(fields[12])) / ticksPerSecond) * 1e6;
  return { pid, title: commandLine(pid), cpuUs, rssBytes: Number(fields[21]) * 4096 };
}

/** The fields of /proc/PID/stat from the third (state) on; null when the process is gone. */
function statFields(pid: number): string[] | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return null;
  }
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
  } catch {
    return '';
  }
}
