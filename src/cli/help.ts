// The help text, made from the settings table.

import { groups, type Setting } from '../config/setting.ts';
import { settings } from '../config/settings.ts';
import { actions } from './actions.ts';
import type { Invocation } from './invocation.ts';

const width = 100;
const helpColumn = 39;

const intro = `Portico serves a Node app: an edge process takes the connections, serves static files and balances
requests over Unix sockets to a pool of worker processes that run the app.
`;

const usage = `Usage: portico [OPTIONS] MODULE[:EXPORT]
       portico status | health | reload | stop | scale N | purge URL...   [-c FILE | --pid FILE]
       portico precompress DIR...
       portico build [OPTIONS] MODULE[:EXPORT] -o FILE
       portico routes | routes test [METHOD] URL [-H 'NAME: VALUE']
       portico cert dev | inspect FILE | inspect HOST:PORT
`;

const examples = `Examples:
  portico app.js:app
  portico --static /=public
  portico --bind :8000 --workers 4 --static /static=public dist/server.js
  portico --reload --access-logfile - app.ts
  portico --config portico.config.ts --check-config
`;

const footing = `Durations take 30, 30s, 500ms, 2m, 1h (a bare number is seconds); sizes take 4094, 8k, 1m, 1g.
Each setting can also stand in a config file (in camelCase) and in the environment (--worker-class
is PORTICO_WORKER_CLASS). Order: defaults < config file < environment < command line.
PORTICO_CMD_ARGS is read as the beginning of the command line.

Exit codes: 0 clean stop, 1 usage or settings, 3 a worker failed to boot, 4 the app failed to load.
`;

/** What \`portico\` alone says. */
export function usageText(): string {
  return `${usage}
Serve an app:  portico app.js:app
All options:   portico --help
`;
}

const commandHelp: Readonly<Record<Exclude<Invocation['command'], 'run'>, string>> = {
  status:
    'portico status [--json]\n\nShows the arbiter, the edges and the workers of the running instance.\n',
  health:
    'portico health\n\nAsks the running instance for /-/readyz, as a load balancer would. The exit code is 0 when requests\nwould be answered now, else 1. For HEALTHCHECK: no curl is needed.\n',
  reload:
    'portico reload [--app NAME]\n\nLoads settings and app anew, without losing a request; of several apps all, or NAME alone. Waits\nuntil the new workers serve; the exit code is 0 when they do, 1 when the old ones had to go on.\n',
  stop: 'portico stop\n\nStops the running instance when its open requests are done.\n',
  purge:
    'portico purge URL...\nportico purge --tag TAG...\nportico purge --all\n\nForgets stored responses (see --cache): those of the URLs (a path alone is that of every host),\nthose whose Cache-Tag or Surrogate-Key names a tag, or all.\n',
  routes:
    "portico routes [--json]\nportico routes test [METHOD] URL [-H 'NAME: VALUE']... [--json]\n\nPrints the routes of the config file (-c FILE, or as a start finds it), in order.\ntest: which of them would take the request, what would become of it, and why those before it do not.\n",
  scale:
    'portico scale N [--app NAME]\n\nSets the number of workers, until the next reload; of several apps that of the first, or of NAME.\n',
  cert: 'portico cert dev [--json]\nportico cert inspect FILE [KEYFILE] [--json]\nportico cert inspect HOST:PORT [NAME] [--json]\n\ndev: where the CA of --tls dev is, and how to trust it on each system.\ninspect: what a certificate file (PEM, DER, PKCS#12) holds or a server sends, in plain words, and what a\nbrowser would object to. KEYFILE: whether the key fits. NAME: the one to ask the server for. The passphrase\nof a key or PKCS#12 file is PORTICO_KEYFILE_PASSWORD. The exit code is 1 where nothing could be read.\n',
  build:
    'portico build [OPTIONS] MODULE[:EXPORT] [-o FILE] [--node PATH|VERSION] [--target OS-CPU]\n              [--external PACKAGE]... [--include PATH]...\n\nMakes one executable of Node, Portico, the app, its static directories and its settings. It runs where\nno Node is installed, and takes the same flags, environment and signals as portico. OPTIONS are settings\n(--workers 2, --static /=public, --config FILE): its defaults. Needs esbuild and postject in the project.\n\n--output, -o  the file to write; else the name of the project.\n--node        the Node to build with: the path of a binary, or a version, which npm gets; else this one.\n--target      linux-x64, linux-arm64, darwin-x64 or darwin-arm64; else this machine.\n--external    a package that is not bundled but carried along as it is.\n--include     a file or directory that the app reads, at the same place beside it.\n',
  precompress:
    'portico precompress DIR...\n\nMakes .br, .zst (where this Node has zstd) and .gz siblings of the text files below DIR, as small as\nthey get; static mounts then send them. What is up to date is left alone, and nothing is removed.\nThe exit code is 1 when a file could not be read or written.\n',
};

const instanceHelp = `
The instance is the one whose --runtime-dir or --pid file the settings name: on this command line, in
the environment (PORTICO_RUNTIME_DIR, PORTICO_PID) or in the config file, which is found as by the
start (--config FILE, --chdir DIR). Where they name neither, it is the only one that runs.
`;

export function helpText(command: Invocation['command']): string {
  if (
    command === 'precompress' ||
    command === 'cert' ||
    command === 'routes' ||
    command === 'build'
  )
    return `Usage: ${commandHelp[command]}`;
  if (command !== 'run') return `Usage: ${commandHelp[command]}${instanceHelp}`;
  const sections = groups.map((group) => {
    const lines = settings
      .filter((setting) => setting.group === group && setting.flags.length > 0)
      .map((setting) => entry(flagText(setting), helpOf(setting)));
    return `${group}:\n${lines.join('')}`;
  });
  const rest = actions.map(({ flags, help }) =>
    entry(flags.length > 1 ? `${flags[1]}, ${flags[0]}` : `    ${flags[0]}`, help),
  );
  return [
    usage,
    intro,
    examples,
    ...sections,
    `Instead of running:\n${rest.join('')}`,
    footing,
  ].join('\n');
}

function flagText({ short, flags, kind }: Setting): string {
  const flag = kind.flag === 'switch' ? flags[0]!.replace('--', '--[no-]') : flags[0]!;
  const value = kind.placeholder === '' ? '' : ` ${kind.placeholder}`;
  return `${short === '' ? '   ' : `${short},`} ${flag}${value}`;
}

function helpOf({ help, kind, defaultText }: Setting): string {
  // A switch is off unless it is given; "none" is no news.
  if (kind.flag === 'switch' || defaultText === 'none' || defaultText === '') return help;
  return defaultText.length > 24 ? help : `${help} [${defaultText}]`;
}

/** One flag and what it does, wrapped. */
function entry(flag: string, help: string): string {
  const lines = wrap(help, width - helpColumn);
  const pad = ' '.repeat(helpColumn);
  const head = `  ${flag}`;
  const fits = head.length < helpColumn - 1;
  const first = fits ? `${head.padEnd(helpColumn)}${lines[0]}` : `${head}\n${pad}${lines[0]}`;
  return [first, ...lines.slice(1).map((line) => pad + line), ''].join('\n');
}

function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > columns) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
