// How soon an app is told that its client is gone, by each way that leads to one: for event streams, and for
// requests that wait for their answer.

import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, writeFileSync } from 'node:fs';
import http2 from 'node:http2';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { apps, freePort, has, launch, type Running, root, running } from './peers.ts';
import { debianPython } from './python-peers.ts';

export interface GoneRow {
  readonly way: string;
  readonly kind: string;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export const goneBarMs = 100;

const clientsEach = 200;
const atATime = 10;
const waitMaxMs = 5_000;

const app = join(apps, 'gone.mjs');
const ways: readonly { readonly name: string; start(told: Told): Promise<Running> }[] = [
  { name: 'Node worker', start: (told) => startPortico(told, [app]) },
  { name: 'HTTP worker', start: (told) => startPortico(told, ['-k', 'http', app]) },
  { name: 'HTTP upstream', start: startBefore },
  {
    name: 'ASGI worker',
    start: (told) =>
      startPortico(told, [
        '-k',
        'asgi',
        '--python',
        debianPython,
        '--chdir',
        apps,
        'gone_asgi:app',
      ]),
  },
];

const kinds = [
  { name: 'event stream, HTTP/1.1', path: '/events/', leave: leaveByFin },
  { name: 'event stream, HTTP/2', path: '/events/', leave: leaveByReset },
  { name: 'long poll, HTTP/1.1', path: '/poll/', leave: leaveByFin },
  { name: 'long poll, HTTP/2', path: '/poll/', leave: leaveByReset },
] as const;

/** What the apps tell by datagrams. */
interface Told {
  readonly port: number;
  /** Resolves when that was said. */
  word(text: string): Promise<void>;
  close(): void;
}

export async function measureGone(): Promise<GoneRow[]> {
  const rows: GoneRow[] = [];
  const told = await listenForWords();
  try {
    for (const { name: way, start } of ways) {
      if (way.startsWith('ASGI') && !has('uvicorn')) continue;
      const server = await start(told);
      try {
        for (const { name: kind, path, leave } of kinds)
          rows.push({
            way,
            kind,
            ...(await measure(told, (id) => leave(server, path + id, id, told))),
          });
      } finally {
        await server.stop();
      }
    }
  } finally {
    told.close();
  }
  return rows;
}

export function printGone(rows: readonly GoneRow[]): void {
  console.log(
    `\nclient gone → app told\n  ${'app'.padEnd(16)}${'request'.padEnd(26)}p50 ms    p99 ms`,
  );
  for (const { way, kind, p50Ms, p99Ms } of rows)
    console.log(
      `  ${way.padEnd(16)}${kind.padEnd(24)}${p50Ms.toFixed(1).padStart(8)}${p99Ms.toFixed(1).padStart(10)}`,
    );
}

let lastId = 0;

async function measure(told: Told, leave: (id: string) => Promise<() => void>) {
  const tookMs: number[] = [];
  const one = async (): Promise<void> => {
    while (tookMs.length + atATime <= clientsEach) {
      const id = String(++lastId);
      const go = await leave(id);
      const gone = told.word(`-${id}`);
      const fromMs = performance.now();
      go();
      await gone;
      tookMs.push(performance.now() - fromMs);
    }
  };
  await Promise.all(Array.from({ length: atATime }, one));
  tookMs.sort((a, b) => a - b);
  const at = (share: number): number => tookMs[Math.floor(tookMs.length * share)]!;
  return { p50Ms: at(0.5), p99Ms: at(0.99) };
}

/** As a browser's tab that is closed. */
async function leaveByFin({ origin }: Running, path: string, id: string, told: Told) {
  const { port, hostname } = new URL(origin);
  const has = told.word(`+${id}`);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => {});
  socket.write(`GET ${path} HTTP/1.1\r\nHost: bench\r\n\r\n`);
  socket.resume();
  await has;
  return () => void socket.destroy();
}

async function leaveByReset({ origin }: Running, path: string, id: string, told: Told) {
  const has = told.word(`+${id}`);
  const session = http2.connect(origin);
  session.on('error', () => {});
  const stream = session.request({ ':path': path });
  stream.on('error', () => {});
  stream.resume();
  await has;
  return () => {
    stream.close(http2.constants.NGHTTP2_CANCEL);
    session.close();
  };
}

async function listenForWords(): Promise<Told> {
  const waiting = new Map<string, () => void>();
  const words = createSocket('udp4', (message) => waiting.get(String(message))?.());
  words.bind(0, '127.0.0.1');
  await once(words, 'listening');
  return {
    port: (words.address() as AddressInfo).port,
    word: (text) =>
      new Promise((resolve, reject) => {
        const late = (): void => reject(new Error(`no ${text} in ${waitMaxMs} ms`));
        const timer = setTimeout(late, waitMaxMs);
        waiting.set(text, () => {
          clearTimeout(timer);
          waiting.delete(text);
          resolve();
        });
      }),
    close: () => void words.close(),
  };
}

async function startPortico({ port: tell }: Told, args: readonly string[]): Promise<Running> {
  const dir = mkdtempSync(join(tmpdir(), 'portico-bench-'));
  const port = await freePort();
  const program = join(root, 'dist', 'main.js');
  const own = ['--bind', `127.0.0.1:${port}`, '--h2c', '-w', '1', '--log-level', 'warning'];
  const env = { BENCH_TELL: String(tell) };
  return running(port, [await launch(process.execPath, [program, ...own, ...args], dir, env)], dir);
}

async function startBefore(told: Told): Promise<Running> {
  const dir = mkdtempSync(join(tmpdir(), 'portico-bench-'));
  const port = await freePort();
  const env = { BENCH_TELL: String(told.port) };
  const upstream = await launch(process.execPath, [app, String(port)], dir, env);
  const config = join(dir, 'portico.config.json');
  writeFileSync(config, JSON.stringify({ routes: [{ to: `http://127.0.0.1:${port}` }] }));
  const front = await startPortico(told, ['-c', config]);
  return {
    ...front,
    async stop() {
      await front.stop();
      await (await running(port, [upstream], dir)).stop();
    },
  };
}
