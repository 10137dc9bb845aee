// What `portico status` prints: the arbiter in a few lines, edges and workers as a table.

import type { Status } from '../arbiter/control/protocol.ts';
import { workerName } from '../config/apps.ts';
import { topApp } from '../config/config.ts';
import { certificateLines } from './certificate-text.ts';
import { routeLines, upstreamLines } from './upstream-text.ts';

type Row = readonly string[];
type AcmeName = NonNullable<EdgeNumbers['acme']>[number];
type EdgeNumbers = NonNullable<Status['edges'][number]['status']>;

const header: Row = ['', 'pid', 'state', 'up', 'in flight', 'served', 'memory', ''];
/** Columns of text; the others are numbers and stand to the right. */
const textColumns = [0, 2, 7];

/** Several lines, the last one ended. */
export function statusText(status: Status, nowMs: number): string {
  const { arbiter, binds, edges, workers } = status;
  const serving = workers.filter(({ phase }) => phase === 'serving').length;
  const head = [
    `portico ${arbiter.version}, pid ${arbiter.pid}, ${arbiter.phase}, up ${ago(arbiter.uptimeMs)}`,
    ...appLines(status),
    `  listening   ${binds.map(({ url }) => url).join(', ')}`,
    ...certificateLines(status, nowMs).map(
      (line, index) => `  ${index === 0 ? 'certificate' : '           '} ${plain(line)}`,
    ),
    `  workers     ${serving} of ${arbiter.workersWanted} serving, ${arbiter.restarts} restarted after a failure`,
    `  runtime dir ${arbiter.runtimeDir}`,
    ...reloadLines(arbiter),
  ];
  const upgraded = upgradedBy(edges);
  const rows = [
    ...edges.map(edgeRow),
    ...workers.map((worker) => workerRow(worker, status, upgraded.get(worker.id) ?? 0)),
  ];
  const names = edges.find(({ status }) => status?.acme)?.status?.acme ?? [];
  const numbers = edges.flatMap(({ status: one }) => (one === null ? [] : [one]));
  const more = [...upstreamLines(numbers), ...routeLines(numbers)].map(plain);
  const places = more.length === 0 ? [] : ['', ...more];
  const acme = names.length === 0 ? [] : ['', ...names.flatMap((name) => acmeLines(name, nowMs))];
  return `${[...head, '', ...table([header, ...rows]), ...places, ...acme].join('\n')}\n`;
}

/** Of several, each with a name has it here and in its workers' rows. */
function appLines({ arbiter, apps, workers }: Status): string[] {
  if (apps.length === 0) return [`  app         none, generation ${arbiter.generation}`];
  if (apps.length < 2)
    return [
      `  app         ${arbiter.app ?? 'none'} (${arbiter.workerClass}), generation ${arbiter.generation}`,
    ];
  return apps.map(({ name, module, workerClass, generation, workersWanted }) => {
    const title = (name === topApp ? 'app' : `app ${name}`).padEnd(11);
    const mine = workers.filter(({ app, phase }) => app === name && phase === 'serving').length;
    const serving = `${mine} of ${workersWanted} serving`;
    return generation === null
      ? `  ${title} is not ready yet`
      : `  ${title} ${module ?? 'none'} (${workerClass}), generation ${generation}, ${serving}`;
  });
}

/** What each edge says of names is the same: it lies in the directory they share. */
function acmeLines(name: AcmeName, nowMs: number): string[] {
  const { host, phase, notAfterMs, nextTryMs, failures, lastError } = name;
  const expiry =
    notAfterMs === null
      ? 'no certificate yet'
      : notAfterMs > nowMs
        ? `certificate for ${ago(notAfterMs - nowMs)}`
        : `certificate EXPIRED ${ago(nowMs - notAfterMs)} ago`;
  const next = nextTryMs > nowMs ? `in ${ago(nextTryMs - nowMs)}` : 'now';
  const what = {
    idle: `${failures > 0 ? 'next try' : 'renewed'} ${next}`,
    waiting: 'another instance is getting one',
    obtaining: 'is being had now',
  }[phase];
  const failed = failures === 0 ? '' : `, failed ${failures} ${failures === 1 ? 'time' : 'times'}`;
  const line = `  acme ${plain(host)}: ${expiry}, ${what}${failed}`;
  return lastError === null ? [line] : [line, `    ${plain(lastError)}`];
}

function reloadLines({ reloading, lastReload }: Status['arbiter']): string[] {
  const lines: string[] = [];
  if (reloading !== null) lines.push(`  reload      under way: ${reloading}`);
  if (lastReload !== null) {
    const { ok, generation, problems, agoMs } = lastReload;
    lines.push(
      `  last reload ${ok ? 'succeeded' : 'FAILED'} ${ago(agoMs)} ago (generation ${generation})`,
    );
    for (const problem of problems) lines.push(`              ${plain(problem)}`);
  }
  return lines;
}

function edgeRow({ slot, pid, phase, uptimeMs, status }: Status['edges'][number]): Row {
  const name = [`edge ${slot}`, String(pid ?? '-'), phase, ago(uptimeMs)];
  if (status === null) return [...name, '-', '-', '-', ''];
  return [
    ...name,
    count(status.requestsInFlight),
    count(status.requestsServed),
    memory(status.rssBytes),
    `${count(status.connections)} connections, ${count(status.queued)} queued${tlsText(status.tls)}${cacheText(status.cache)}`,
  ];
}

function tlsText(tls: EdgeNumbers['tls']): string {
  if (tls === null) return '';
  const { full, resumed, underWay, failures } = tls;
  const failed = Object.entries(failures).filter(([, times]) => times > 0);
  const reasons = failed.map(([reason, times]) => `${reason} ${count(times)}`).join(', ');
  const total = failed.reduce((sum, [, times]) => sum + times, 0);
  const failedText = total === 0 ? '' : `, ${count(total)} failed (${reasons})`;
  return `, TLS ${count(full)} full, ${count(resumed)} resumed, ${count(underWay)} under way${failedText}`;
}

function cacheText(cache: EdgeNumbers['cache']): string {
  if (cache === null) return '';
  const { hits, misses, entries, bytes } = cache;
  const share = hits + misses === 0 ? 0 : Math.round((100 * hits) / (hits + misses));
  return `, cache ${share}% of ${count(hits + misses)} hit, ${count(entries)} stored in ${memory(bytes)}`;
}

/** Open WebSockets and the like by worker id, of all edges. */
function upgradedBy(edges: Status['edges']): Map<number, number> {
  const sums = new Map<number, number>();
  for (const { status } of edges)
    for (const { id, upgraded } of status?.workers ?? [])
      sums.set(id, (sums.get(id) ?? 0) + upgraded);
  return sums;
}

function workerRow(
  worker: Status['workers'][number],
  { arbiter, apps }: Status,
  upgraded: number,
): Row {
  const { app, slot, pid, phase, uptimeMs, inFlight, served, rssBytes, failures, generation } =
    worker;
  const current = apps.find(({ name }) => name === app)?.generation ?? arbiter.generation;
  const notes = [
    ...(upgraded === 0 ? [] : [`${count(upgraded)} upgraded`]),
    ...(generation === current ? [] : [`generation ${generation}`]),
    ...(failures === 0 ? [] : [`failed ${failures} ${failures === 1 ? 'time' : 'times'} in a row`]),
  ];
  return [
    ...[workerName(app, slot), String(pid ?? '-'), phase, ago(uptimeMs)],
    inFlight === null ? '-' : count(inFlight),
    served === null ? '-' : count(served),
    rssBytes === null ? '-' : memory(rssBytes),
    notes.join(', '),
  ];
}

function table(rows: readonly Row[]): string[] {
  const widths = header.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    row
      .map((cell, column) =>
        textColumns.includes(column)
          ? cell.padEnd(widths[column]!)
          : cell.padStart(widths[column]!),
      )
      .join('  ')
      .trimEnd(),
  );
}

/** The two largest units: "3h 12m". */
export function ago(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const parts: [number, string][] = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'm'],
    [seconds % 60, 's'],
  ];
  const first = parts.findIndex(([amount]) => amount > 0);
  if (first === -1) return '0s';
  const shown = parts.slice(first, first + 2).filter(([amount]) => amount > 0);
  return shown.map(([amount, unit]) => `${amount}${unit}`).join(' ');
}

/** "1,234,567": the same whatever the locale. */
function count(value: number): string {
  return String(value).replaceAll(/\B(?=(\d{3})+$)/g, ',');
}

function memory(bytes: number): string {
  return `${Math.round(bytes / 1024 ** 2)} MB`;
}

/** A problem may quote what an app threw: nothing in it may steer the terminal. */
function plain(text: string): string {
  return text.replaceAll(/[\x00-\x1f\x7f-\x9f]+/g, ' ');
}
