// portico precompress DIR: makes .br, .zst and .gz siblings, which static mounts then send.

import { stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { relative } from 'node:path';
import type { Invocation } from '../invocation.ts';
import { printable } from '../printable.ts';
import { reportProblems } from '../report.ts';
import { type Findings, type Found, findFiles } from './find-files.ts';
import { type Made, makeSiblings } from './make-siblings.ts';
import { startProgress } from './progress.ts';

/** Threads of libuv's pool, unless UV_THREADPOOL_SIZE says otherwise. */
const poolThreads = 4;

/** Returns the exit code: 0 when every file has its siblings, else 1. */
export async function precompress({
  args,
  flags,
}: Exclude<Invocation, { command: 'run' }>): Promise<number> {
  const problems = [...flags.problems];
  for (const { origin } of flags.assignments)
    problems.push(`Cannot use ${origin.label} with portico precompress`);
  for (const action of flags.actions)
    problems.push(`Cannot use --${action} with portico precompress`);
  if (args.length === 0) problems.push('portico precompress needs a directory');
  for (const dir of args) {
    const stats = await stat(dir).catch(() => null);
    if (stats === null) problems.push(`There is no directory ${dir}`);
    else if (!stats.isDirectory()) problems.push(`${dir} is not a directory`);
  }
  if (problems.length > 0) {
    reportProblems(problems);
    return 1;
  }
  const startedMs = performance.now();
  const found: Findings[] = [];
  for (const dir of args) found.push(await findFiles(dir));
  const failed = found.flatMap((findings) => findings.problems);
  const totals = await compressAll(
    found.flatMap(({ files }) => files),
    failed,
  );
  process.stdout.write(`${summary(totals, performance.now() - startedMs)}\n`);
  reportProblems(failed.map((problem) => `Skipped ${printable(problem)}`));
  return failed.length === 0 ? 0 : 1;
}

interface Totals {
  files: number;
  made: number;
  fresh: number;
  useless: number;
  /** Of files that have a new sibling, and of the smallest of these. */
  fromBytes: number;
  toBytes: number;
}

async function compressAll(files: readonly Found[], failed: string[]): Promise<Totals> {
  const totals = { files: files.length, made: 0, fresh: 0, useless: 0, fromBytes: 0, toBytes: 0 };
  const progress = startProgress(files.length, process.stderr, process.stdout);
  // Largest first: one that takes long must not be the last to begin.
  const waiting = [...files].sort((a, b) => a.stats.size - b.stats.size);
  const work = async () => {
    for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
      const name = printable(relative('.', file.path));
      try {
        const result = await makeSiblings(file);
        count(totals, file, result);
        progress.step(`${name}: ${told(file, result)}`);
      } catch (error) {
        failed.push(`${file.path}: ${(error as Error).message}`);
        progress.step(`${name}: failed`);
      }
    }
  };
  const threads = Number(process.env.UV_THREADPOOL_SIZE) || poolThreads;
  const width = Math.max(1, Math.min(availableParallelism(), threads));
  await Promise.all(Array.from({ length: width }, work));
  progress.end();
  return totals;
}

function count(totals: Totals, { stats }: Found, { made, fresh, useless }: Made): void {
  totals.made += made.size;
  totals.fresh += fresh;
  totals.useless += useless;
  if (made.size === 0) return;
  totals.fromBytes += stats.size;
  totals.toBytes += Math.min(...made.values());
}

function told({ stats }: Found, { made, fresh }: Made): string {
  if (made.size === 0) return fresh > 0 ? 'up to date' : 'would not be smaller';
  const sizes = [...made].map(([suffix, bytes]) => `${suffix} ${size(bytes)}`);
  return `${size(stats.size)} → ${sizes.join(', ')}`;
}

function summary(totals: Totals, ms: number): string {
  const { files, made, fresh, useless, fromBytes, toBytes } = totals;
  const saved = fromBytes === 0 ? '' : `, ${size(fromBytes)} → ${size(toBytes)}`;
  const rest = [
    ...(fresh > 0 ? [`${fresh} up to date`] : []),
    ...(useless > 0 ? [`${useless} not kept, being no smaller`] : []),
  ];
  return `${files} files: ${made} siblings made${saved} in ${(ms / 1000).toFixed(1)} s${rest.map((part) => `; ${part}`).join('')}`;
}

function size(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  return bytes < 1024 ** 2
    ? `${(bytes / 1024).toFixed(1)} KB`
    : `${(bytes / 1024 ** 2).toFixed(1)} MB`;
}
