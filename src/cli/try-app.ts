// --check-config: loads the app as a worker does, in a worker, and ends that.

import { createChildren } from '../arbiter/children.ts';
import type { Event } from '../arbiter/decide/events.ts';
import { bootMs, killAgainMs, quickStopMs } from '../arbiter/decide/limits.ts';
import { socketBaseOf } from '../arbiter/decide/moves.ts';
import { type Identity, resolveIdentity } from '../arbiter/identity.ts';
import { createServers, type Servers } from '../arbiter/programs/servers.ts';
import { prepareRuntimeDir } from '../arbiter/runtime-dir.ts';
import { type Config, topApp } from '../config/config.ts';

/** How it went: a problem for a person to read, and the exit code that a start would have had. */
export type Tried =
  | { readonly ok: true; readonly app: string }
  | { readonly ok: false; readonly problem: string; readonly exitCode: 1 | 3 | 4 };

/** Starts one worker with the settings, as whom a start would, and ends it once the app is loaded. The
 *  app's output goes to stderr. Takes as long as a worker may take to boot. */
export async function tryApp(config: Config): Promise<Tried> {
  const identity = resolveIdentity(config);
  if (!identity.ok) return { ok: false, problem: identity.problem, exitCode: 1 };
  const servers = createServers();
  const missing = await servers.find(config, identity.identity);
  if (missing !== null) return { ok: false, problem: missing, exitCode: 3 };
  // Not that of --runtime-dir: this is asked before a reload, while the instance runs.
  const dir = await prepareRuntimeDir(null, identity.identity);
  if (!dir.ok) return { ok: false, problem: dir.problem, exitCode: 1 };
  try {
    return await bootOne(config, { runtimeDir: dir.path, identity: identity.identity, servers });
  } finally {
    dir.remove();
  }
}

const workerId = 1;
const endings = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

interface Trial {
  readonly runtimeDir: string;
  readonly identity: Identity | null;
  readonly servers: Servers;
}

function bootOne(config: Config, { runtimeDir, identity, servers }: Trial): Promise<Tried> {
  return new Promise((done) => {
    let tried: Tried | null = null;
    const settle = (how: Tried): void => {
      tried ??= how;
    };
    const timers = new Set<NodeJS.Timeout>();
    const after = (ms: number, act: () => void) => timers.add(setTimeout(act, ms));
    const kill = (): void => children.kill('worker', workerId, 'SIGKILL');
    const onEvent = (event: Event): void => {
      if (event.kind === 'exit') {
        for (const timer of timers) clearTimeout(timer);
        for (const signal of endings) process.off(signal, leave);
        const how =
          event.failure ?? (event.signal ? `signal ${event.signal}` : `code ${event.code}`);
        settle(failed(`The worker ended while it was loading the app: ${how}`, 3));
        done(tried!);
      } else if (event.kind === 'worker-says') {
        const { message } = event;
        if (message.type === 'boot-failed') settle(failed(message.reason, message.exitCode));
        else if (message.type === 'ready') {
          settle({ ok: true, app: message.app });
          children.tellWorker(workerId, { type: 'drain', deadlineMs: 0 });
        } else return;
        after(quickStopMs, kill);
      }
    };
    // A worker that hangs does not notice that this process is gone.
    const leave = (signal: (typeof endings)[number]): void => {
      settle(failed(`${signal} came while the app was loading`, 1));
      kill();
    };
    for (const signal of endings) process.on(signal, leave);
    const children = createChildren({
      identity,
      serverOf: () => servers.of(config),
      onEvent,
      onNotice: () => {},
      output: 'stderr',
    });
    const withinMs = bootMs(config);
    after(withinMs, () => {
      settle(failed(`The app was not ready after ${withinMs / 1000} s`, 3));
      kill();
    });
    after(withinMs + 10 * killAgainMs, () => done(tried!));
    children.spawnWorker(forTrial(config), {
      id: workerId,
      app: topApp,
      slot: 1,
      socketBase: socketBaseOf(runtimeDir, workerId),
      maxRequests: 0,
    });
  });
}

/** One thread loads the app as each would, and a log file is the running instance's. */
function forTrial(config: Config): Config {
  return { ...config, threads: 1, errorLogfile: '-', logLevel: 'warning', logFormat: 'text' };
}

function failed(problem: string, exitCode: 1 | 3 | 4): Tried {
  return { ok: false, problem, exitCode };
}
