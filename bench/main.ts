// Runs the comparison and writes a table and bench/results/latest.json:
// npm run bench -- [--seconds 5] [--rounds 9] [--only hello,json] [--only =hello] [--peers portico,nginx] [--no-bars] [--no-idle]

import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { type GoneRow, goneBarMs, measureGone, printGone } from './gone.ts';
import { edgeMemory, idleConnectionCost } from './idle.ts';
import { downloadOverAndOver, type LoadResult, runH2load, runWrk } from './load.ts';
import { has, type Peer, peers, type Running } from './peers.ts';
import { cpuBetween, sampleTree } from './proc.ts';
import { pythonPeers } from './python-peers.ts';
import { type Scenario, scenarios } from './scenarios.ts';
import { runSockets } from './sockets.ts';
import { staticScenarios } from './static-scenarios.ts';
import { staticPeers } from './static-site.ts';
import { runHandshakes, warmHandshakes } from './tls.ts';
import { upstreamPeers } from './upstream-peers.ts';
import { upstreamScenarios } from './upstream-scenarios.ts';

interface Row extends LoadResult {
  readonly scenario: string;
  readonly peer: string;
  readonly cpuUsPerRequest: number;
  readonly memoryBytes: number;
  readonly edgeMemoryBytes: number;
  /** Of all processes measured, for each connection that stays open. */
  readonly bytesPerClient: number | null;
}

/** Of Scenario.warmUp. */
const WARM_UP_TURNS = 30;

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string' },
    rounds: { type: 'string', default: '9' },
    only: { type: 'string', default: '' },
    peers: { type: 'string', default: '' },
    workers: { type: 'string', default: '2' },
    connections: { type: 'string', default: '32' },
    'no-bars': { type: 'boolean', default: false },
    'no-idle': { type: 'boolean', default: false },
  },
});

if (!has('wrk')) {
  console.error('bench: wrk is missing (apt-get install wrk)');
  process.exit(1);
}
process.exit(await main());

async function main(): Promise<number> {
  const rows: Row[] = [];
  const all = [...scenarios, ...upstreamScenarios, ...staticScenarios];
  const chosen = all.filter((scenario) => matches(scenario.name, options.only));
  for (const peer of [...peers, ...staticPeers]) {
    if (!matches(peer.name, options.peers)) continue;
    if (peer.needs && !has(peer.needs))
      console.log(`skipped: ${peer.name} (no ${peer.needs} here)`);
  }
  for (const scenario of chosen) {
    const medians = (await compare(scenario)).map(median);
    rows.push(...medians);
    printTable(scenario.name, medians);
  }
  const idleBytes =
    !options['no-idle'] && matches('idle', options.only) ? await measureIdle() : null;
  const gone = matches('client gone', options.only) ? await measureGone() : [];
  if (gone.length > 0) printGone(gone);
  mkdirSync('bench/results', { recursive: true });
  const machine = { node: process.version, cpu: cpus()[0]?.model ?? '', cores: cpus().length };
  const result = { at: new Date().toISOString(), machine, options, rows, idleBytes, gone };
  writeFileSync('bench/results/latest.json', `${JSON.stringify(result, null, 2)}\n`);
  return options['no-bars'] ? 0 : checkBars(chosen, rows, { idleBytes, gone });
}

/** The rows of each peer. All are started and warm before the first is measured, and then take turns
 *  for a moment each: a change of the machine's speed meets all alike. */
async function compare(scenario: Scenario): Promise<Row[][]> {
  const wanted = peersFor(scenario).filter(
    (peer) =>
      matches(peer.name, options.peers) &&
      (peer.needs === null || has(peer.needs)) &&
      (!scenario.gzip || peer.gzips) &&
      (!scenario.cache || peer.caches) &&
      (!scenario.http2 || (peer.http2 && has('h2load'))) &&
      (!scenario.tls || (peer.tls && has('openssl'))),
  );
  const runs: { peer: Peer; server: Running; rows: Row[] }[] = [];
  try {
    for (const peer of wanted) {
      const server = await peer.start(scenario.app, {
        workers: scenario.workers ?? Number(options.workers),
        accessLog: scenario.accessLog,
        gzip: scenario.gzip ?? false,
        cache: scenario.cache ?? false,
        http2: scenario.http2 ?? false,
        tls: scenario.tls ?? false,
      });
      runs.push({ peer, server, rows: [] });
      // Until all code is compiled, and each of many files was asked for twice.
      const seconds = scenario.load.fileCount === undefined ? 4 : 6;
      // One handshake after another would take minutes to get there.
      if (scenario.handshakes) await warmHandshakes(server.origin, 8);
      // Turns, as in the measurement: making and ending connections is code too.
      if (scenario.warmUp !== undefined)
        for (let turn = 0; turn < WARM_UP_TURNS; turn++)
          await runLoad({ ...scenario, load: scenario.warmUp }, server, 1);
      await runLoad(scenario, server, seconds);
    }
    // Memory that a client took is seldom given back: the first round is the only one that tells.
    const rounds = scenario.sockets?.kind === 'events' ? 1 : Number(options.rounds);
    for (let round = 0; round < rounds; round++)
      for (const { peer, server, rows } of runs) rows.push(await measure(scenario, peer, server));
  } finally {
    for (const { server } of runs) await server.stop();
  }
  return runs.map(({ rows }) => rows);
}

function peersFor({ isStatic, upstream, python }: Scenario): readonly Peer[] {
  if (python !== undefined) return pythonPeers(python);
  if (upstream !== undefined) return upstreamPeers(upstream);
  return isStatic ? staticPeers : peers;
}

async function measure(scenario: Scenario, peer: Peer, server: Running): Promise<Row> {
  const download = scenario.beside ? downloadOverAndOver(server.origin, scenario.beside) : null;
  try {
    const memory = (samples: readonly { readonly rssBytes: number }[]): number =>
      samples.reduce((sum, { rssBytes }) => sum + rssBytes, 0);
    const sample = () => server.pids.flatMap((pid) => sampleTree(pid));
    let before = sample();
    const emptyBytes = memory(before);
    const { sockets } = scenario;
    const seconds = Number(options.seconds ?? scenario.seconds ?? 1);
    const result =
      sockets === undefined
        ? await runLoad(scenario, server, seconds)
        : await runSockets(server.origin, sockets, {
            seconds,
            onOpen: () => {
              before = sample();
            },
          });
    const after = sample();
    const openBytes = memory(before) - emptyBytes;
    return {
      scenario: scenario.name,
      peer: peer.name,
      ...result,
      cpuUsPerRequest: cpuBetween(before, after) / Math.max(1, result.requests),
      memoryBytes: memory(after),
      edgeMemoryBytes: edgeMemory(server),
      bytesPerClient: sockets === undefined ? null : openBytes / sockets.open,
    };
  } finally {
    if (download !== null) console.log(`  ${peer.name}: ${await download.stop()} beside`);
  }
}

function runLoad(scenario: Scenario, server: Running, seconds: number): Promise<LoadResult> {
  const { load, handshakes, sockets } = scenario;
  // What comes first grows the heap to its working size, and what it leaves behind is no client's.
  const isWarming = sockets?.kind === 'events';
  if (sockets && !isWarming)
    return runSockets(server.origin, sockets, { seconds, onOpen: () => {} });
  if (handshakes) return runHandshakes(server.origin, handshakes, seconds);
  if (scenario.http2) return runH2load(server.origin, load, { seconds });
  return runWrk(server.origin, load, { connections: Number(options.connections), seconds });
}

async function measureIdle(): Promise<number> {
  const portico = peers[0] as Peer;
  const server = await portico.start('routes.mjs', {
    workers: 1,
    accessLog: false,
    gzip: false,
    cache: false,
    http2: false,
    tls: false,
  });
  try {
    // The heap has grown to its working size before the connections are counted.
    await runWrk(server.origin, { path: '/' }, { connections: 200, seconds: 2 });
    const bytes = await idleConnectionCost(server, 10_000);
    console.log(
      `\nidle connection: ${(bytes / 1024).toFixed(1)} KB of edge memory each (10,000 open)`,
    );
    return bytes;
  } finally {
    await server.stop();
  }
}

function median(rows: Row[]): Row {
  const sorted = [...rows].sort((a, b) => a.cpuUsPerRequest - b.cpuUsPerRequest);
  return sorted[Math.floor(sorted.length / 2)] as Row;
}

function printTable(name: string, rows: readonly Row[]): void {
  console.log(`\n${name}`);
  console.log(
    '  peer                 requests/s    p50 ms    p99 ms   CPU µs/req   memory MB  errors',
  );
  for (const row of rows) {
    const cells = [
      row.requestsPerSecond.toFixed(0).padStart(10),
      shownMs(row.p50Ms),
      shownMs(row.p99Ms),
      row.cpuUsPerRequest.toFixed(1).padStart(12),
      (row.memoryBytes / 2 ** 20).toFixed(0).padStart(11),
      `${row.errors}`.padStart(7),
    ];
    const each =
      row.bytesPerClient === null ? '' : `  ${(row.bytesPerClient / 1024).toFixed(1)} KB a client`;
    console.log(`  ${row.peer.padEnd(20)} ${cells.join(' ')}${each}`);
  }
}

function shownMs(ms: number): string {
  return (Number.isNaN(ms) ? '–' : ms.toFixed(2)).padStart(9);
}

/** Holds the bars; a bar whose peer is missing here is named. */
function checkBars(
  chosen: readonly Scenario[],
  rows: readonly Row[],
  { idleBytes, gone }: { readonly idleBytes: number | null; readonly gone: readonly GoneRow[] },
): number {
  let missed = 0;
  const report = (name: string, value: number, max: number, unit: string) => {
    const ok = value <= max;
    if (!ok) missed++;
    console.log(
      `${ok ? 'ok    ' : 'MISSED'} ${name}: ${value.toFixed(2)}${unit} (at most ${max}${unit})`,
    );
  };
  console.log('');
  for (const scenario of chosen) {
    const own = rows.find((row) => row.scenario === scenario.name && row.peer === 'portico');
    for (const bar of scenario.bars) {
      const other = rows.find((row) => row.scenario === scenario.name && row.peer === bar.peer);
      if (!own || !other) console.log(`no bar ${scenario.name} against ${bar.peer}: not run`);
      else {
        const ratio = own.cpuUsPerRequest / other.cpuUsPerRequest;
        report(`${scenario.name}: CPU against ${bar.peer}`, ratio, bar.cpuRatioMax, '');
      }
    }
  }
  for (const scenario of chosen)
    for (const { peer, rateRatioMin } of scenario.rateBars ?? []) {
      const [own, other] = ['portico', peer].map((name) =>
        rows.find((row) => row.scenario === scenario.name && row.peer === name),
      );
      if (!own || !other) console.log(`no bar ${scenario.name} against ${peer}: not run`);
      else {
        const ratio = other.requestsPerSecond / own.requestsPerSecond;
        const max = Number((1 / rateRatioMin).toFixed(2));
        report(`${scenario.name}: rate of ${peer} against its own`, ratio, max, '');
      }
    }
  // Of what has no cache of files to fill, which has a limit of its own.
  const isPlain = (row: Row) => !row.scenario.startsWith('static') && row.bytesPerClient === null;
  const edges = rows
    .filter((row) => row.peer === 'portico' && isPlain(row))
    .map((row) => row.edgeMemoryBytes);
  if (edges.length > 0) report('edge memory', Math.max(...edges) / 2 ** 20, 120, ' MB');
  if (idleBytes !== null) report('idle connection', idleBytes / 1024, 10, ' KB');
  for (const { way, kind, p99Ms } of gone)
    report(`client gone → app told: ${way}, ${kind}, p99`, p99Ms, goneBarMs, ' ms');
  return missed > 0 ? 1 : 0;
}

/** One of the parts between commas is in the name, or is "=" and the whole name. */
function matches(name: string, wanted: string): boolean {
  return (
    wanted === '' ||
    wanted
      .split(',')
      .some((part) => (part.startsWith('=') ? name === part.slice(1) : name.includes(part)))
  );
}
