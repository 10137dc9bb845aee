// Runs wrk and reads what it prints.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Load {
  readonly path: string;
  readonly method?: 'GET' | 'POST';
  readonly fields?: readonly string[];
  readonly bodyBytes?: number;
  /** Any of so many: /f/0.html, /f/1.html … */
  readonly fileCount?: number;
}

export interface LoadResult {
  readonly requests: number;
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Answers that were not 2xx or 3xx, and socket errors. */
  readonly errors: number;
}

/** Loads `url` over `connections` keep-alive connections for `seconds`. */
export async function runWrk(
  origin: string,
  load: Load,
  options: { connections: number; seconds: number },
): Promise<LoadResult> {
  const args = [
    '-t',
    '1',
    '-c',
    `${options.connections}`,
    '-d',
    `${options.seconds}s`,
    '--latency',
  ];
  for (const field of load.fields ?? []) args.push('-H', field);
  if (load.fileCount !== undefined) args.push('-s', filesScript(load.fileCount));
  if (load.method === 'POST') args.push('-s', postScript(load.bodyBytes ?? 0));
  const output = await capture('wrk', [...args, origin + load.path]);
  const errors =
    number(output, /Non-2xx or 3xx responses: (\d+)/) +
    [...(output.match(/Socket errors: .*/)?.[0].matchAll(/(connect|read|write) (\d+)/g) ?? [])]
      .map((match) => Number(match[2]))
      .reduce((sum, count) => sum + count, 0);
  return {
    requests: number(output, /(\d+) requests in/),
    requestsPerSecond: number(output, /Requests\/sec:\s+([\d.]+)/),
    p50Ms: duration(output, /50%\s+([\d.]+)(us|ms|s)/),
    p99Ms: duration(output, /99%\s+([\d.]+)(us|ms|s)/),
    errors,
  };
}

/** Streams of each connection under HTTP/2 load, and connections. */
const HTTP2_STREAMS = 16;
const HTTP2_CONNECTIONS = 8;

/** Loads `url` over HTTP/2 for `seconds`. Percentiles h2load does not tell. */
export async function runH2load(
  origin: string,
  load: Load,
  options: { seconds: number },
): Promise<LoadResult> {
  const size = ['-c', `${HTTP2_CONNECTIONS}`, '-m', `${HTTP2_STREAMS}`];
  const fields = (load.fields ?? []).flatMap((field) => ['-H', field]);
  const time = ['-D', `${options.seconds}`];
  const output = await capture('h2load', [...size, ...fields, ...time, origin + load.path]);
  const [requests, succeeded] = [number(output, /(\d+) done/), number(output, /(\d+) succeeded/)];
  return {
    requests,
    requestsPerSecond: number(output, /([\d.]+) req\/s/),
    p50Ms: Number.NaN,
    p99Ms: Number.NaN,
    errors: requests - succeeded + number(output, /(\d+) errored/),
  };
}

/** One client that downloads, again from the start when it has all. stop() says how much it got. */
export function downloadOverAndOver(origin: string, load: Load): { stop(): Promise<string> } {
  // A program of its own: reading must not slow down what is measured here.
  const fields = (load.fields ?? []).flatMap((field) => ['-H', field]);
  let current: ChildProcess | null = null;
  let stopped = false;
  let bytes = 0;
  let wholes = 0;
  const run = async (): Promise<void> => {
    while (!stopped) {
      const args = ['-s', '-o', '/dev/null', '-w', '%{size_download}', ...fields];
      const child = spawn('curl', [...args, origin + load.path], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      current = child;
      let output = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
      const code = await new Promise((resolve) => {
        child.once('error', resolve);
        child.once('close', resolve);
      });
      bytes += Number(output) || 0;
      if (code === 0) wholes++;
      else if (!stopped) throw new Error(`the download ended with ${code}`);
    }
  };
  const running = run();
  running.catch(() => {});
  return {
    async stop() {
      stopped = true;
      current?.kill();
      await running;
      return `${wholes} whole downloads, ${(bytes / 2 ** 20).toFixed(1)} MB on the wire,`;
    },
  };
}

/** Steps through them by a number that shares no factor with any count: all are met alike often. */
function filesScript(count: number): string {
  const path = join(mkdtempSync(join(tmpdir(), 'portico-bench-')), 'files.lua');
  const next = `at = (at + 7919) % ${count}`;
  const ask = 'return wrk.format("GET", "/f/" .. at .. ".html")';
  writeFileSync(path, `local at = 0\nrequest = function()\n  ${next}\n  ${ask}\nend\n`);
  return path;
}

function postScript(bytes: number): string {
  const path = join(mkdtempSync(join(tmpdir(), 'portico-bench-')), 'post.lua');
  writeFileSync(path, `wrk.method = "POST"\nwrk.body = string.rep("x", ${bytes})\n`);
  return path;
}

function number(output: string, pattern: RegExp): number {
  return Number(output.match(pattern)?.[1] ?? 0);
}

function duration(output: string, pattern: RegExp): number {
  const [, value, unit] = output.match(pattern) ?? [];
  const ms = { us: 0.001, ms: 1, s: 1000 }[unit ?? 'ms'] ?? 1;
  return Number(value ?? 0) * ms;
}

/** Runs a program to its end and gives its standard output. */
export function capture(command: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    child.on('error', reject);
    child.on('close', (code) =>
      code === 0 ? resolve(output) : reject(new Error(`${command} ended with ${code}: ${output}`)),
    );
  });
}
