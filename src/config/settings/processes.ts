// Settings of the processes: how many, of which kind, how long they live, as whom they run.

import { resolve } from 'node:path';
import {
  boolean,
  choice,
  duration,
  integer,
  type Kind,
  octal,
  optional,
  text,
  Unfit,
} from '../kinds.ts';
import { type Setting, setting } from '../setting.ts';

const workersMax = 1024;
const count = integer({ min: 1, max: workersMax });

const workerCount: Kind<number | 'auto'> = {
  expected: `a whole number from 1 to ${workersMax}, or auto`,
  placeholder: 'N|auto',
  inputType: "number | 'auto'",
  flag: 'value',
  read: (raw) => (raw === 'auto' ? 'auto' : (count.read(raw) as number | Unfit)),
  show: String,
};

const account = (what: string, placeholder: string) =>
  optional(
    {
      ...text(`the name or number of a ${what}`, placeholder),
      inputType: 'string | number',
      read: (raw: unknown) => {
        const name = typeof raw === 'number' ? String(raw) : raw;
        return typeof name === 'string' && /^[A-Za-z0-9_][\w.@-]*\$?$/.test(name)
          ? name
          : new Unfit();
      },
    },
    'as started',
  );

export const processSettings: readonly Setting[] = [
  setting('workers', {
    group: 'Processes',
    short: '-w',
    kind: workerCount,
    default: 'auto',
    alsoEnv: { name: 'WEB_CONCURRENCY', read: (value) => value },
    help: 'Worker processes; auto: by the CPUs that may be used',
    doc: '`auto` counts the CPUs that the container may use (its cgroup limit, rounded down, and the CPU affinity), at least 1: one worker each for `async`, 2 × CPUs + 1 for `sync` and for `wsgi` without threads, and for `threads` as many as give a thread to each CPU. `WEB_CONCURRENCY` is read too.',
    known: 'Gunicorn `workers`, nginx `worker_processes`, PM2 `instances`',
    finish: (value, { cpus, workerClass, threads }) => {
      if (value !== 'auto') return value;
      const isSingle = workerClass === 'sync' || (workerClass === 'wsgi' && threads === 1);
      if (isSingle) return Math.min(2 * cpus + 1, workersMax);
      // Threads of Python share one lock, so a worker keeps no more than one CPU busy.
      const perWorker = workerClass === 'threads' ? threads : 1;
      return Math.min(Math.ceil(cpus / perWorker), workersMax);
    },
  }),
  setting('workerClass', {
    group: 'Processes',
    short: '-k',
    kind: choice(['async', 'sync', 'threads', 'http', 'wsgi', 'asgi', 'command'], {
      placeholder: 'CLASS',
      aliases: {
        ...{ gthread: 'threads', gevent: 'async', eventlet: 'async', tornado: 'async' },
        'uvicorn.workers.uvicornworker': 'asgi',
      },
    }),
    default: 'async',
    help: 'async, sync (one request at a time), threads, http, wsgi, asgi or command',
    doc: "`async` suits almost every Node app. `sync` gives a worker one request at a time, its content read in full before. `threads` runs the app in several threads of one process. Gunicorn's `gthread` is `threads`; `gevent`, `eventlet` and `tornado` are `async`. With `threads` above 1, `sync` (or no class) becomes `threads`. `http` serves a Node app over plain HTTP/1.1, for one that takes `req.socket` apart. `wsgi` and `asgi` run a Python app under a Python server in each slot, `command` any program that serves HTTP: see [Python](python.md) and [Programs](programs.md).",
    known: 'Gunicorn `worker_class`',
    finish: (_, facts) => facts.workerClass,
  }),
  setting('threads', {
    group: 'Processes',
    kind: integer({ min: 1, max: 256 }),
    default: 1,
    help: 'Threads of each worker, each with the app',
    doc: 'For `wsgi` those of the Python server: as many requests a worker takes at a time.',
    known: 'Gunicorn `threads`',
  }),
  setting('edges', {
    group: 'Processes',
    kind: integer({ min: 1, max: 64 }),
    default: 1,
    help: 'Edge processes, which take the connections',
    doc: 'One edge keeps many workers busy; see in `portico status` and in top whether it is what is short.',
    known: 'nginx `worker_processes`',
  }),
  setting('workerConnections', {
    group: 'Processes',
    kind: integer({ min: 1, max: 1_000_000 }),
    default: 1000,
    help: 'Most requests a worker works on at a time',
    doc: 'Always 1 for `sync`, and as many as `threads` for `wsgi`. Further requests wait at the edge, see `queueSize`.',
    known: 'Gunicorn `worker_connections`, nginx `server … max_conns=`',
    finish: (value, { workerClass, threads }) =>
      workerClass === 'sync' ? 1 : workerClass === 'wsgi' ? threads : value,
  }),
  setting('workerScheduling', {
    group: 'Processes',
    kind: choice(['batch', 'normal'], { placeholder: 'POLICY' }),
    default: 'batch',
    help: 'How Linux schedules workers: batch or normal',
    doc: '`batch` (SCHED_BATCH, sched(7)): a worker that wakes does not push aside what runs, the edge above all. It has as much time as before, and a request costs a tenth less of it. Takes `chrt`, which Linux systems have; without it, and elsewhere, workers are `normal`. What a worker starts is scheduled in the same way.',
    known: 'systemd `CPUSchedulingPolicy=`',
  }),
  setting('nativeIo', {
    group: 'Processes',
    kind: boolean,
    default: true,
    help: 'Read, write and send files past Node’s streams',
    doc: 'On Linux, where Portico was built with a C compiler at hand: all requests that have come are read in one go, answers go to the kernel by one system call, and files without a copy (`sendfile`). A request costs a tenth to a quarter less CPU time. Elsewhere, over TLS and for what does not leave at once, Node’s streams do it.',
    known: 'Gunicorn `sendfile`, nginx `sendfile`',
  }),
  setting('maxRequests', {
    group: 'Processes',
    kind: integer({ min: 0, max: 1_000_000_000 }),
    default: 0,
    help: 'Replace a worker after so many requests; 0: never',
    doc: 'Against slow memory leaks. The replacement is ready before the old worker is drained.',
    known: 'Gunicorn `max_requests`',
  }),
  setting('maxRequestsJitter', {
    group: 'Processes',
    kind: integer({ min: 0, max: 1_000_000_000 }),
    default: 0,
    help: 'Add a random number up to this to maxRequests',
    doc: 'Another one for each worker, so that they are not replaced all at once.',
    known: 'Gunicorn `max_requests_jitter`',
  }),
  setting('timeoutMs', {
    key: 'timeout',
    group: 'Processes',
    short: '-t',
    kind: duration({ minMs: 0 }),
    default: 30_000,
    help: 'Kill a worker whose event loop stands still; 0: never',
    doc: 'It is the worker that is watched, not the request: a request that waits for a database may take longer, see `responseTimeout`. A program of class `wsgi`, `asgi` or `command` has no event loop that Portico could watch: there it is the time for which its socket takes no connection; Gunicorn is told it as its own.',
    known: 'Gunicorn `timeout`',
  }),
  setting('hangStack', {
    group: 'Processes',
    kind: boolean,
    default: true,
    help: 'Log where in its code a worker hangs, before timeout kills it',
    doc: 'A thread beside the event loop looks whether it turns, and after half of `timeout` reads its stack. It costs 6 to 11 MB a worker and no time; `--no-hang-stack` does without. Code that is stuck in a native call has no stack to show, nor has worker class `threads`.',
  }),
  setting('gracefulTimeoutMs', {
    key: 'gracefulTimeout',
    group: 'Processes',
    kind: duration({ minMs: 0 }),
    default: 30_000,
    help: 'Time to finish open requests on stop and on reload',
    known: 'Gunicorn `graceful_timeout`, nginx `worker_shutdown_timeout`',
  }),
  setting('user', {
    group: 'Processes',
    short: '-u',
    kind: account('user', 'USER'),
    default: null,
    help: 'Run edge and workers as this user (needs root)',
    known: 'Gunicorn `user`, nginx `user`',
  }),
  setting('group', {
    group: 'Processes',
    short: '-g',
    kind: account('group', 'GROUP'),
    default: null,
    help: 'Run edge and workers as this group (needs root)',
    known: 'Gunicorn `group`, nginx `user`',
  }),
  setting('umask', {
    group: 'Processes',
    short: '-m',
    kind: octal,
    default: 0,
    help: 'File mode creation mask, octal',
    known: 'Gunicorn `umask`',
  }),
  setting('pid', {
    group: 'Processes',
    short: '-p',
    kind: optional(text('the path of a file', 'FILE'), 'none'),
    default: null,
    help: "File to write the arbiter's process id to",
    known: 'Gunicorn `pidfile`, nginx `pid`',
    finish: (value, { chdir }) => (value === null ? null : resolve(chdir, value)),
  }),
  setting('runtimeDir', {
    group: 'Processes',
    kind: optional(text('the path of a directory', 'DIR'), 'chosen'),
    default: null,
    help: "Directory of Portico's own sockets",
    doc: 'Of those between the processes and of the control socket. Made if need be, with mode 0700. Without it one is chosen: under `XDG_RUNTIME_DIR` or `/run`, else under the directory for temporary files. A Unix socket path is limited to 107 bytes (macOS: 103): keep it short.',
    finish: (value, { chdir }) => (value === null ? null : resolve(chdir, value)),
  }),
];
