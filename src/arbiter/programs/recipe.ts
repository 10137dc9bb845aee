// How each program is started: its arguments, and what tells that it is ready. Pure.

import type { Config } from '../../config/config.ts';
import type { Server } from './find-server.ts';
import { gunicornSettings } from './gunicorn-settings.ts';

/** Where the program is to listen. */
export type Place =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly port: number };

export interface Recipe {
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** A file the program reads, and its content. */
  readonly file: { readonly path: string; readonly content: string } | null;
  /** It listens before the app is loaded: it is ready when this file is there too. */
  readonly readyFile: string | null;
  /** There before that one where the program keeps connections: see 'http-kept'. */
  readonly keptFile: string | null;
  /** What is served, for the log. */
  readonly title: string;
}

/** Longer than the edge keeps a connection that nobody uses: who closes first must not be the server, or a
 *  request is sent into a connection that is being closed. */
const keepAliveSeconds = 300;

/** Whether a command is given a port in place of a path. */
export function wantsPort(config: Pick<Config, 'workerClass' | 'command'>): boolean {
  if (config.workerClass !== 'command' || config.command === null) return false;
  return !config.command.some((word) => word.includes('{socket}'));
}

export function commandRecipe(config: Pick<Config, 'command'>, place: Place): Recipe {
  const [program = '', ...args] = (config.command ?? []).map((word) => filled(word, place));
  return {
    program,
    args,
    // HOST: what many programs bind to, which must not be the world.
    env: place.kind === 'unix' ? {} : { HOST: '127.0.0.1', PORT: String(place.port) },
    ...{ file: null, readyFile: null, keptFile: null, title: program },
  };
}

function filled(word: string, place: Place): string {
  if (place.kind === 'unix') return word.replaceAll('{socket}', place.path);
  return word
    .replaceAll('{port}', String(place.port))
    .replaceAll(/\$(PORT\b|\{PORT\})/g, String(place.port));
}

interface PythonOptions {
  readonly config: Config;
  readonly server: Server;
  /** Absolute path without ending: `${base}.sock` is the socket. */
  readonly base: string;
}

/** The reason, where the server can't serve an app of that name. */
export function pythonFault({
  config,
  server,
}: Pick<PythonOptions, 'config' | 'server'>): string | null {
  const { module, export: exported } = config;
  const call = exported?.includes('(') ?? false;
  if (!call || server.name === 'gunicorn') return null;
  if (exported?.endsWith('()') && server.name !== 'hypercorn') return null;
  return `Cannot use ${module}:${exported} with ${server.name}: it calls no factory with arguments`;
}

export function pythonRecipe({ config, server, base }: PythonOptions): Recipe {
  const recipe = recipes[server.name]({ config, server, base });
  const version = server.version === '' ? '' : ` ${server.version}`;
  return {
    program: server.program ?? server.python,
    ...{ env: {}, file: null, readyFile: null, keptFile: null, title: `${server.name}${version}` },
    ...recipe,
  };
}

type Own = Pick<Recipe, 'args'> & Partial<Recipe>;

const recipes: Record<Server['name'], (options: PythonOptions) => Own> = {
  gunicorn({ config, base }) {
    const file = `${base}.py`;
    const readyFile = `${base}.ready`;
    const args = [
      ...['-m', 'gunicorn', '--config', file, '--bind', `unix:${base}.sock`],
      ...['--workers', '1', '--threads', String(config.threads)],
      ...['--timeout', seconds(config.timeoutMs)],
      ...['--graceful-timeout', seconds(config.gracefulTimeoutMs)],
      ...['--keep-alive', String(keepAliveSeconds), '--forwarded-allow-ips', '*'],
      ...['--max-requests', '0', '--log-level', pythonLevel(config), appName(config)],
    ];
    const keptFile = `${base}.kept`;
    const content = gunicornSettings({ readyFile, keptFile });
    return { args, readyFile, keptFile, file: { path: file, content } };
  },
  waitress: ({ config, base }) => ({
    args: [
      ...['-m', 'waitress', `--unix-socket=${base}.sock`, '--unix-socket-perms=600'],
      ...[`--threads=${config.threads}`, '--trusted-proxy=*', '--trusted-proxy-count=1'],
      '--trusted-proxy-headers=x-forwarded-for x-forwarded-proto x-forwarded-host x-forwarded-port',
      ...['--clear-untrusted-proxy-headers', `--channel-timeout=${keepAliveSeconds}`],
      ...(isFactory(config) ? ['--call'] : []),
      appName(config),
    ],
  }),
  uwsgi({ config, server, base }) {
    const readyFile = `${base}.ready`;
    const { module, callable } = parts(config);
    const isDebians = server.program?.startsWith('/usr/bin/') ?? false;
    const args = [
      // Debian's has each language in a plugin, pip's is for Python alone.
      ...(isDebians ? ['--plugin', 'python3'] : []),
      ...(server.python.includes('/') ? ['--virtualenv', homeOf(server.python)] : []),
      ...['--http-socket', `${base}.sock`, '--chmod-socket=600', '--chdir', config.chdir],
      ...['--module', module, '--callable', callable, '--need-app', '--single-interpreter'],
      ...['--processes', '1', '--threads', String(config.threads), '--enable-threads'],
      ...['--die-on-term', '--disable-logging', '--hook-accepting1', `write:${readyFile} ready`],
    ];
    return { args, readyFile };
  },
  uvicorn: ({ config, server, base }) => ({
    args: [
      ...['-m', 'uvicorn', '--uds', `${base}.sock`],
      ...['--proxy-headers', '--forwarded-allow-ips', '*', '--no-access-log', '--no-use-colors'],
      ...['--timeout-keep-alive', String(keepAliveSeconds), '--backlog', String(config.backlog)],
      ...(isAtLeast(server.version, [0, 22])
        ? ['--timeout-graceful-shutdown', seconds(config.gracefulTimeoutMs)]
        : []),
      ...['--log-level', pythonLevel(config)],
      ...(isFactory(config) ? ['--factory'] : []),
      appName(config),
    ],
  }),
  hypercorn: ({ config, base }) => ({
    args: [
      ...['-m', 'hypercorn', '--bind', `unix:${base}.sock`, '--workers', '1'],
      ...['--keep-alive', String(keepAliveSeconds), '--backlog', String(config.backlog)],
      ...[
        '--graceful-timeout',
        seconds(config.gracefulTimeoutMs),
        '--log-level',
        pythonLevel(config),
      ],
      appName(config),
    ],
  }),
  granian: ({ config, base }) => ({
    args: [
      ...['-m', 'granian', '--interface', 'asgi', '--uds', `${base}.sock`, '--workers', '1'],
      ...[
        '--no-access-log',
        '--backlog',
        String(config.backlog),
        '--log-level',
        pythonLevel(config),
      ],
      ...(isFactory(config) ? ['--factory'] : []),
      appName(config),
    ],
  }),
};

function parts({ module, export: exported }: Config): { module: string; callable: string } {
  // As a shell completes it: "pkg/run.py" is pkg.run.
  const dotted = (module ?? '').replace(/^\.\//, '').replace(/\.py$/, '').replaceAll('/', '.');
  const usual = /(^|\.)(wsgi|asgi)$/.test(dotted) ? 'application' : 'app';
  return { module: dotted, callable: exported ?? usual };
}

function isFactory(config: Config): boolean {
  return config.export?.endsWith('()') ?? false;
}

function appName(config: Config): string {
  const { module, callable } = parts(config);
  // Gunicorn alone reads a call.
  return `${module}:${callable}`;
}

function seconds(ms: number): string {
  return String(Math.ceil(ms / 1000));
}

function pythonLevel({ logLevel }: Config): string {
  return logLevel === 'trace' ? 'debug' : logLevel;
}

/** The directory of a virtual environment, or of the whole Python. */
function homeOf(python: string): string {
  return python.split('/').slice(0, -2).join('/') || '/';
}

function isAtLeast(version: string, wanted: readonly number[]): boolean {
  const have = version.split('.').map((part) => Number.parseInt(part, 10));
  for (const [at, want] of wanted.entries()) {
    if ((have[at] ?? 0) !== want) return (have[at] ?? 0) > want;
  }
  return true;
}
