// Single executables against `portico` and against node alone: size, time to the first answer, memory, requests.
// npm run bench:executable -- [--rounds 7] [--seconds 2]

import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { runWrk } from './load.ts';
import { cpuBetween, sampleTree } from './proc.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '7' },
    seconds: { type: 'string', default: '2' },
    node: { type: 'string', default: process.execPath },
  },
});
const rounds = Number(values.rounds);
const node = resolve(values.node);
const root = resolve(import.meta.dirname, '../..');
/** What the table is held against: a second to the first answer, 8 MB beside Node. */
const bars = { firstAnswerMs: 1000, besideNodeBytes: 8e6 };

const files = [
  ['1k', 1e3],
  ['100k', 1e5],
  ['10m', 1e7],
] as const;
const filesBytes = files.reduce((sum, [, bytes]) => sum + bytes, 0);

interface Contender {
  readonly name: string;
  readonly bytes: number;
  command(port: number): readonly [string, ...string[]];
  readonly files: boolean;
}

const hello = `import { createServer } from 'node:http';
export const app = createServer((_, response) => {
  response.setHeader('Content-Type', 'text/plain');
  response.end('Hello, world!\\n');
});
if (process.env.BARE) app.listen(Number(process.env.BARE));
`;

const dir = mkdtempSync(join(tmpdir(), 'portico-bench-'));
try {
  process.exitCode = await main();
} finally {
  rmSync(dir, { recursive: true, force: true });
}

async function main(): Promise<number> {
  writeFileSync(join(dir, 'hello.mjs'), hello);
  mkdirSync(join(dir, 'public'));
  for (const [name, bytes] of files)
    writeFileSync(join(dir, 'public', `${name}.bin`), Buffer.alloc(bytes, 'a'));
  const portico = [node, join(root, 'dist/main.js')];
  const flags = ['--workers', '2', '--static', '/files=public', 'hello.mjs:app'];
  const service = join(dir, 'service');
  const [file, ...args] = portico as [string, string];
  execFileSync(file, [...args, 'build', ...flags, '--node', node, '-o', service], { cwd: dir });
  const nodeBytes = statSync(node).size;
  const bind = (port: number) => ['--bind', `127.0.0.1:${port}`];
  const contenders: Contender[] = [
    {
      name: 'node alone, one process',
      bytes: nodeBytes,
      files: false,
      command: () => [node, 'hello.mjs'],
    },
    {
      name: 'portico',
      bytes: nodeBytes,
      files: true,
      command: (port) => [file, ...args, ...bind(port), ...flags],
    },
    {
      name: 'the executable',
      bytes: statSync(service).size - filesBytes,
      files: true,
      command: (port) => [service, ...bind(port)],
    },
  ];
  const rows: { name: string; firstMs: number; [key: string]: string | number }[] = [];
  for (const contender of contenders) rows.push(await measure(contender));
  console.table(rows);
  const own = rows.at(-1)!;
  const beside = statSync(service).size - nodeBytes - filesBytes;
  const isWithin = own.firstMs <= bars.firstAnswerMs && beside <= bars.besideNodeBytes;
  console.log(
    `first answer ${own.firstMs} ms (bar ${bars.firstAnswerMs}), ${(beside / 1e6).toFixed(1)} MB beside Node (bar 8): ${isWithin ? 'within' : 'OVER'}`,
  );
  return isWithin ? 0 : 1;
}

async function measure(contender: Contender) {
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const running = await start(contender);
    times.push(running.firstMs);
    await running.stop();
  }
  const running = await start(contender);
  const origin = `http://127.0.0.1:${running.port}`;
  const load = async (path: string) => {
    const before = sampleTree(running.pid);
    const options = { connections: 32, seconds: Number(values.seconds) };
    const { requests, requestsPerSecond, errors } = await runWrk(origin, { path }, options);
    if (errors > 0) throw new Error(`${contender.name}: ${errors} errors at ${path}`);
    const cpu = cpuBetween(before, sampleTree(running.pid)) / requests;
    return `${Math.round(requestsPerSecond)} (${cpu.toFixed(cpu < 100 ? 1 : 0)} µs)`;
  };
  const idle = memoryOf(running.pid);
  const row = {
    name: contender.name,
    'size MB': (contender.bytes / 1e6).toFixed(1),
    firstMs: median(times),
    'memory MB (PSS)': (idle / 1e6).toFixed(0),
    'hello/s': await load('/'),
    '1 KB/s': contender.files ? await load('/files/1k.bin') : '',
    '100 KB/s': contender.files ? await load('/files/100k.bin') : '',
    '10 MB/s': contender.files ? await load('/files/10m.bin') : '',
  };
  await running.stop();
  return row;
}

/** Resolves with its first answer. */
async function start({ command }: Contender) {
  const port = await freePort();
  const [file, ...args] = command(port);
  const startedMs = performance.now();
  const child = spawn(file, args, {
    cwd: dir,
    env: {
      PATH: process.env.PATH ?? '',
      BARE: file === node && args.length === 1 ? `${port}` : '',
    },
    stdio: 'ignore',
  });
  const ended = new Promise<void>((done) => child.once('exit', () => done()));
  while (
    !(await fetch(`http://127.0.0.1:${port}/`).then(
      ({ ok }) => ok,
      () => false,
    ))
  )
    await after(2);
  const firstMs = Math.round(performance.now() - startedMs);
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await ended;
  };
  return { pid: child.pid!, port, firstMs, stop };
}

/** Each page counted once, however many processes have it. */
function memoryOf(pid: number): number {
  return sampleTree(pid).reduce((sum, one) => {
    const rollup = readFileSync(`/proc/${one.pid}/smaps_rollup`, 'utf8');
    return sum + Number(/^Pss:\s+(\d+)/m.exec(rollup)?.[1]) * 1024;
  }, 0);
}

function freePort(): Promise<number> {
  return new Promise((done) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => done(port));
    });
  });
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}
