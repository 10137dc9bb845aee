// Settings of the app and of the sockets it is reached by.

import { resolve } from 'node:path';
import { type AppName, appName, bindAddress, variables } from '../address.ts';
import type { BindAddress } from '../config.ts';
import { boolean, integer, list, optional, text } from '../kinds.ts';
import { names, type Setting, setting } from '../setting.ts';

const defaultBind: BindAddress[] = [{ kind: 'tcp', host: '127.0.0.1', port: 8000, tls: false }];
const publicBind: BindAddress[] = [
  { kind: 'tcp', host: '0.0.0.0', port: 80, tls: false },
  { kind: 'tcp', host: '0.0.0.0', port: 443, tls: true },
];

/** The one setting that isn't in Config: it says where the others are. */
const config: Setting<string | null> = {
  ...names('config'),
  short: '-c',
  group: 'App',
  kind: optional(text('the path of a config file', 'FILE'), 'none'),
  default: null,
  defaultText: 'portico.config.*',
  help: 'Config file',
  doc: 'Without it, `portico.config.ts`, `.mts`, `.mjs`, `.js`, `.cjs`, `.json`, `.yaml`, `.yml` or `.toml` is looked for in the `chdir` of flag or environment, else where Portico was started. `none` reads no file. It can be given by flag or environment only.',
  table: '',
  known: 'Gunicorn `config`',
  fields: [],
  finish: () => ({}),
};

/** The argument of the command line; one row for two fields of Config. */
const app: Setting<AppName | null> = {
  ...names('app'),
  flags: [],
  short: '',
  group: 'App',
  kind: optional(appName, 'none'),
  default: null,
  defaultText: 'none',
  help: 'The app: file or package, and the name of its export',
  doc: 'The argument of the command line. `MODULE` is a file (relative to `chdir`) or a package: ESM, CommonJS or TypeScript. `EXPORT` is a name, or a call with literal arguments: `create("production", 2)`. Without `:EXPORT`, the first of `default`, `app`, `application`, `server`, `handler` is taken. For `wsgi` and `asgi` it is a Python module and a name in it: `run:app`, `mysite.wsgi`. A file that is named like a command (`status`) is written `./status`.',
  table: '',
  known: 'Gunicorn `wsgi_app`',
  fields: ['module', 'export'],
  finish: (value, { workerClass, command }) =>
    workerClass === 'command'
      ? { module: command?.[0] ?? null, export: null }
      : { module: value?.module ?? null, export: value?.export ?? null },
};

export const appSettings: readonly Setting[] = [
  config as Setting,
  app as Setting,
  setting('chdir', {
    group: 'App',
    kind: text('the path of a directory', 'DIR'),
    default: '.',
    help: 'Working directory of the app; relative paths start here',
    doc: 'All relative paths in settings start here. Itself it is relative to the config file that sets it, else to where Portico was started.',
    known: 'Gunicorn `chdir`',
    finish: (_, facts) => facts.chdir,
  }),
  setting('env', {
    group: 'App',
    short: '-e',
    kind: variables,
    default: {},
    help: 'Environment variable for the app; repeatable',
    known: 'Gunicorn `raw_env`',
  }),
  setting('preload', {
    group: 'App',
    kind: boolean,
    default: false,
    help: 'See that the app loads before workers are started',
    doc: 'Gunicorn loads the app in the arbiter and forks. Node cannot fork, and the arbiter never runs app code.',
    known: 'Gunicorn `preload_app`',
  }),
  setting('reload', {
    group: 'App',
    kind: boolean,
    default: false,
    help: "Replace the workers when the app's files change",
    known: 'Gunicorn `reload`',
  }),
  setting('bind', {
    group: 'Sockets',
    short: '-b',
    kind: list(bindAddress, { repeat: true, min: 1 }),
    default: defaultBind,
    alsoEnv: { name: 'PORT', read: (value) => `0.0.0.0:${value}` },
    help: 'HOST:PORT, :PORT, https://HOST:PORT or unix:PATH; repeatable',
    doc: '`HOST:PORT`, `[IPv6]:PORT`, `:PORT` or `unix:PATH`. `https://` before it makes TLS of it, see [TLS](tls.md); `http://` says what is so without it. `:PORT` listens on all IPv4 addresses. A host name is looked up once, at start. Port 0 takes a free port. When the environment has `PORT`, that is `0.0.0.0:$PORT`. `fd://3` is a socket that was passed on by who starts Portico, `fd://web` the one that systemd calls so, `https+fd://web` the same with TLS; see [systemd](systemd.md#sockets).',
    known: 'Gunicorn `bind`, nginx `listen`',
    finish: (addresses, { chdir, acme }) =>
      // Named hosts are for the world, by the ports that browsers and CAs come to.
      (acme && addresses === defaultBind ? publicBind : addresses).map((address) =>
        address.kind === 'unix' ? { ...address, path: resolve(chdir, address.path) } : address,
      ),
  }),
  setting('backlog', {
    group: 'Sockets',
    kind: integer({ min: 1, max: 65_535 }),
    default: 2048,
    help: 'Connections the kernel queues for each socket',
    doc: 'The kernel has a limit of its own: `net.core.somaxconn` on Linux.',
    known: 'Gunicorn `backlog`, nginx `listen … backlog=`',
  }),
];
