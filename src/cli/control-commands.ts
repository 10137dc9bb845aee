// status, health, reload, stop, scale and purge: asks the arbiter of a running instance.

import { readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { askArbiter } from '../arbiter/control/client.ts';
import { purgesMax, type Reply, type Request, workersMax } from '../arbiter/control/protocol.ts';
import { isAlive } from '../arbiter/pidfile.ts';
import type { ParsedFlags } from '../config/flags.ts';
import {
  type InstanceNames,
  type LoadedNames,
  loadInstanceNames,
  namedOutright,
} from '../config/instance-names.ts';
import { runsCode } from '../config/sources.ts';
import { findInstance } from './find-instance.ts';
import { healthOf } from './health.ts';
import { asks, type Invocation } from './invocation.ts';
import { loadApart } from './load-apart.ts';
import { reportProblems } from './report.ts';
import { startDirectory } from './start-directory.ts';
import { statusText } from './status-text.ts';

type CommandInvocation = Exclude<Invocation, { command: 'run' }>;
type ControlInvocation = CommandInvocation & {
  readonly command: Exclude<
    CommandInvocation['command'],
    'precompress' | 'cert' | 'routes' | 'build'
  >;
};

/** After its answer to `stop` the arbiter only closes what it has: milliseconds. */
const leaveMs = 10_000;
/** Settings that name an instance; all others are the running one's own affair. */
const instanceKeys = ['runtimeDir', 'pid', 'config', 'chdir'];

/** Returns the exit code: 0 when what was asked for is done, else 1. */
export async function runControlCommand(
  argv: readonly string[],
  invocation: ControlInvocation,
): Promise<number> {
  const { flags } = invocation;
  const { request, problems } = requestOf(invocation);
  if (request === null || problems.length > 0) return fail(problems);
  const names = await namesOfInstance(argv, flags);
  if (!names.ok) return fail(names.problems);
  const instance = await findInstance(names.config);
  if (!instance.ok) return fail([instance.problem, ...names.config.doubts]);
  let reply: Reply;
  try {
    reply = await askArbiter(instance.runtimeDir, request);
  } catch (error) {
    return fail([`No answer from ${instance.runtimeDir}: ${reasonOf(error)}`]);
  }
  if (!reply.ok) return fail(reply.problems);
  if (invocation.command === 'health') return sayHealth(reply);
  if (reply.command === 'stop' && !(await hasLeft(reply.pid))) {
    return fail([`Everything has stopped, but the arbiter (pid ${reply.pid}) has not left yet`]);
  }
  process.stdout.write(asks(flags, 'json') ? json(reply) : answerText(reply));
  return 0;
}

async function sayHealth(reply: Extract<Reply, { ok: true }>): Promise<number> {
  if (reply.command !== 'status') return fail(['The arbiter answers something else']);
  const { isWell, text } = await healthOf(reply.status);
  process.stdout.write(`portico: ${text}\n`);
  return isWell ? 0 : 1;
}

/** Waits until the arbiter has ended: its pidfile and sockets are there until then, and a start
 *  right after would find them. */
async function hasLeft(pid: number): Promise<boolean> {
  const endMs = performance.now() + leaveMs;
  while (isRunning(pid)) {
    if (performance.now() > endMs) return false;
    await setTimeout(20);
  }
  return true;
}

function isRunning(pid: number): boolean {
  if (!isAlive(pid)) return false;
  try {
    // Ended, only that its parent has not asked how: it holds nothing any more.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    // No /proc here, or it left this moment.
    return isAlive(pid);
  }
}

function fail(problems: readonly string[]): number {
  reportProblems(problems);
  return 1;
}

function requestOf({ command, args, flags }: ControlInvocation): {
  request: Request | null;
  problems: string[];
} {
  const problems = [...flags.problems];
  for (const { key, origin } of flags.assignments)
    if (!instanceKeys.includes(key))
      problems.push(`Cannot use ${origin.label} with portico ${command}: it is for a start`);
  for (const action of flags.actions)
    if (!ownActions[command].includes(action))
      problems.push(`Cannot use --${action} with portico ${command}`);
  if (command === 'purge') return purgeOf(args, flags, problems);
  // "--app NAME": as with --tag, the name is an argument.
  const hasName = asks(flags, 'app');
  const [app, ...rest] = hasName ? args : [undefined, ...args];
  if (hasName && app === undefined) problems.push('--app needs the name of an app');
  const named = app === undefined ? {} : { app };
  const extra = command === 'scale' ? rest.slice(1) : rest;
  for (const word of extra) problems.push(`Unexpected argument ${JSON.stringify(word)}`);
  if (command === 'health') return { request: { command: 'status' }, problems };
  if (command === 'reload') return { request: { command, ...named }, problems };
  if (command !== 'scale') return { request: { command }, problems };
  const [given] = rest;
  const workers = /^\d{1,6}$/.test(given ?? '') ? Number(given) : 0;
  if (workers >= 1 && workers <= workersMax)
    return { request: { command, ...named, workers }, problems };
  const what = given === undefined ? 'needs a number' : `cannot use ${JSON.stringify(given)}`;
  problems.push(`portico scale ${what}: expected a number of workers from 1 to ${workersMax}`);
  return { request: null, problems };
}

type Purge = Extract<Request, { command: 'purge' }>['purges'][number];

const ownActions: Readonly<Record<ControlInvocation['command'], readonly string[]>> = {
  status: ['json'],
  health: [],
  reload: ['app'],
  stop: [],
  scale: ['app'],
  purge: ['tag', 'all'],
};

function purgeOf(args: readonly string[], flags: ParsedFlags, problems: string[]) {
  const all = asks(flags, 'all');
  const tags = asks(flags, 'tag');
  if (all && (tags || args.length > 0)) problems.push('portico purge --all needs nothing else');
  if (!all && args.length === 0)
    problems.push('portico purge needs URLs, --tag and tags, or --all');
  if (args.length > purgesMax) problems.push(`portico purge takes ${purgesMax} at a time`);
  if (!tags)
    for (const url of args)
      if (!/^(\/|https?:\/\/.)/i.test(url))
        problems.push(
          `Cannot use ${JSON.stringify(url)}: expected a URL such as https://example.com/path, or a path`,
        );
  const named = args.map(
    (arg): Purge => (tags ? { kind: 'tag', tag: arg } : { kind: 'url', url: arg }),
  );
  const request: Request = { command: 'purge', purges: all ? [{ kind: 'all' }] : named };
  return { request, problems };
}

/** As the settings of a start would name it. */
async function namesOfInstance(argv: readonly string[], flags: ParsedFlags): Promise<LoadedNames> {
  const input = { flags, app: null, env: process.env, cwd: startDirectory(process.env) };
  const outright = namedOutright(input);
  if (outright !== null) return { ok: true, config: outright };
  if (!runsCode(input)) return loadInstanceNames(input);
  const loaded = await loadApart<InstanceNames>(argv, input.cwd);
  const isNamed = flags.assignments.some(({ key }) => key === 'config');
  if (loaded.ok || isNamed || input.env.PORTICO_CONFIG) return loaded;
  // It was only found, and ended the process or hung: what else is known may do.
  const without = { ...input, env: { ...input.env, PORTICO_CONFIG: 'none' } };
  const rest = await loadInstanceNames(without);
  return rest.ok ? { ok: true, config: { ...rest.config, doubts: loaded.problems } } : rest;
}

function json(reply: Extract<Reply, { ok: true }>): string {
  return `${JSON.stringify(reply.command === 'status' ? reply.status : reply, null, 2)}\n`;
}

function answerText(reply: Extract<Reply, { ok: true }>): string {
  switch (reply.command) {
    case 'status':
      return statusText(reply.status, Date.now());
    case 'reload':
      return `portico: reloaded, generation ${reply.generation} serves\n`;
    case 'stop':
      return 'portico: stopped\n';
    case 'purge':
      return `portico: ${reply.responses} ${reply.responses === 1 ? 'response' : 'responses'} purged\n`;
    case 'scale':
      return `portico: ${reply.workers} ${reply.workers === 1 ? 'worker' : 'workers'} wanted\n`;
  }
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'ECONNREFUSED') return 'no instance runs there';
  if (code === 'EACCES') return 'it is of another user';
  return message;
}
