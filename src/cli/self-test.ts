// --self-test: starts everything on a private socket, asks it for the app and the files, reports, and stops.

import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import { runArbiter } from '../arbiter/arbiter.ts';
import { askArbiter } from '../arbiter/control/client.ts';
import { bootMs } from '../arbiter/decide/limits.ts';
import { builtApp } from '../config/built-app.ts';
import type { Config, StaticMount } from '../config/config.ts';
import { insideText } from '../executable/inside.ts';
import { ownVersion } from '../telemetry/version.ts';

/** Beyond what the workers may take to boot. */
const answerMsMax = 10_000;
const pollMs = 25;
/** Files asked for, of each mount. */
const filesMax = 500;
const bytesMax = 256 * 1024 ** 2;

/** Returns the exit code: 0 when all is well. Nothing but the private socket is listened on, and no log,
 *  pidfile or certificate of the settings is touched. */
export async function selfTest(config: Config): Promise<number> {
  const dir = mkdtempSync(join(tmpdir(), 'portico-self-test-'));
  const path = join(dir, 'self-test.sock');
  const trial: Config = {
    ...config,
    bind: [{ kind: 'unix', path, tls: false }],
    runtimeDir: join(dir, 'run'),
    pid: null,
    acme: [],
    accessLogfile: null,
    errorLogfile: '-',
    logLevel: 'warning',
  };
  const startedMs = performance.now();
  try {
    const running = runArbiter({
      config: trial,
      loadConfig: async () => ({ ok: true, config: trial }),
      version: ownVersion(),
    });
    const isWell = await Promise.race([running, examine(trial, path, startedMs)]);
    // By itself it ends only when something is wrong, which its log has said.
    if (typeof isWell === 'number') return isWell || 1;
    process.kill(process.pid, 'SIGTERM');
    return (await running) === 0 && isWell ? 0 : 1;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

async function examine(config: Config, path: string, startedMs: number): Promise<boolean> {
  const first = await firstAnswer(path, bootMs(config) + answerMsMax);
  if (first === null) return say('FAIL', 'nothing answers');
  const ms = Math.round(performance.now() - startedMs);
  const results = [
    say(first < 500 ? 'ok' : 'FAIL', `GET / answers ${first}, ${ms} ms after the start`),
  ];
  results.push(await examineWorkers(config));
  for (const mount of config.static) results.push(await examineFiles(mount, path));
  return results.every(Boolean);
}

async function firstAnswer(path: string, withinMs: number): Promise<number | null> {
  const endMs = performance.now() + withinMs;
  while (performance.now() < endMs) {
    const answer = await get(path, '/');
    if (answer !== null) return answer.status;
    await after(pollMs);
  }
  return null;
}

async function examineWorkers(config: Config): Promise<boolean> {
  const endMs = performance.now() + bootMs(config);
  for (;;) {
    const reply = await askArbiter(config.runtimeDir!, { command: 'status' }).catch(() => null);
    if (reply?.ok === true && reply.command === 'status') {
      const serving = reply.status.workers.filter(({ phase }) => phase === 'serving').length;
      const wanted = reply.status.arbiter.workersWanted;
      const isWell = serving === wanted;
      if (isWell || performance.now() > endMs)
        return say(isWell ? 'ok' : 'FAIL', `${serving} of ${wanted} workers serve`);
    } else if (performance.now() > endMs) return say('FAIL', 'the arbiter does not answer');
    await after(pollMs);
  }
}

/** Each file of the executable comes as it was put in; of a directory on the disk nobody knows. */
async function examineFiles(
  { prefix, dir, internal }: StaticMount,
  path: string,
): Promise<boolean> {
  const table: Record<string, [string, number, number, string][]> = JSON.parse(
    (builtApp === null ? null : insideText('static.json')) ?? '{}',
  );
  const files = table[dir];
  if (files === undefined || internal) return true;
  const some = files.filter(([, , bytes]) => bytes <= bytesMax).slice(0, filesMax);
  for (const [file, , , hash] of some) {
    const url = `${prefix === '/' ? '' : prefix}/${file.split('/').map(encodeURIComponent).join('/')}`;
    const answer = await get(path, url);
    if (answer?.status !== 200) return say('FAIL', `GET ${url} answers ${answer?.status}`);
    const actual = createHash('sha256').update(answer.content).digest('base64url');
    if (!actual.startsWith(hash)) return say('FAIL', `GET ${url} is not what was built`);
  }
  return say('ok', `${some.length} of ${files.length} files below ${prefix} are what was built`);
}

function get(
  socketPath: string,
  path: string,
): Promise<{ status: number; content: Buffer } | null> {
  return new Promise((done) => {
    const headers = { host: 'localhost', connection: 'close' };
    const asking = request({ socketPath, path, headers, timeout: answerMsMax }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', () => done(null));
      response.on('end', () =>
        done({ status: response.statusCode ?? 0, content: Buffer.concat(chunks) }),
      );
    });
    asking.on('timeout', () => asking.destroy());
    asking.on('error', () => done(null));
    asking.end();
  });
}

function say(verdict: 'ok' | 'FAIL', text: string): boolean {
  process.stdout.write(`${verdict.padEnd(4)} ${text}\n`);
  return verdict === 'ok';
}
