// Writes what is made from the tables: docs/configuration.md, docs/errors.md and the type of a config file.
// With --check it writes nothing and fails where a file is stale.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ensureProgram, root } from './lib.mjs';

ensureProgram();
const dist = (file) => import(pathToFileURL(join(root, 'dist', file)).href);
const { settings } = await dist('config/settings.js');
const { groups } = await dist('config/setting.js');
const { mountFields } = await dist('config/static-mounts.js');
const { certificateFields } = await dist('config/tls-table.js');
const { upstreamFields } = await dist('config/upstream-config.js');
const { routeFields } = await dist('config/routes/routes.js');
const { catalogue } = await dist('errors/catalogue.js');

const pages = {
  'docs/configuration.md': configuration(),
  'docs/errors.md': errors(),
  'src/config/portico-config.ts': configType(),
};

let stale = 0;
for (const [file, text] of Object.entries(pages)) {
  const path = join(root, file);
  if (readFileSync(path, { encoding: 'utf8', flag: 'a+' }) === text) continue;
  if (process.argv.includes('--check')) {
    console.error(`${file} is stale: run npm run docs`);
    stale = 1;
  } else {
    writeFileSync(path, text);
    console.error(`portico: wrote ${file}`);
  }
}
process.exitCode = stale;

function configuration() {
  return `# Configuration

<!-- Made from src/config/settings.ts by \`npm run docs\`: do not edit. -->

Each setting can be given in four places. A later one wins, and replaces lists as a whole:

1. its default;
2. the config file: \`--config FILE\`, or \`portico.config.{ts,mts,mjs,js,cjs,json,yaml,yml,toml}\` where Portico is started
   (or in \`--chdir\`). Keys are in camelCase;
3. the environment: \`PORTICO_WORKER_CLASS\` for \`workerClass\`; an empty variable counts as unset. \`PORT\` and
   \`WEB_CONCURRENCY\` are read too, as every platform sets them;
4. the command line, with the flags in \`PORTICO_CMD_ARGS\` before it.

\`portico --print-config\` shows each value and where it came from. A mistake stops the start (on reload the old settings stay in force),
and all mistakes are named at once:

\`\`\`console
$ portico --graceful-timeout 10x --worker 3 app.js
portico: Unknown flag --worker: did you mean --workers?
portico: Cannot use gracefulTimeout "10x" (from --graceful-timeout): expected a duration such as 30, 30s or 500ms
\`\`\`

A **duration** is \`30\`, \`30s\`, \`500ms\`, \`2m\`, \`1h\` or \`1m30s\`: a bare number is seconds. A **size** is \`4094\`, \`8k\`, \`1m\` or \`1g\`:
a bare number is bytes, k is 1024. Where a value may be absent, \`none\` or \`off\` (in a config file also \`null\`) says so.
On the command line, \`--preload\` switches on and \`--no-preload\` off. Relative paths start at \`chdir\`.

## A config file

\`\`\`ts
import { defineConfig } from 'portico';

export default defineConfig({
  app: 'dist/server.js:app',
  bind: ['0.0.0.0:8000'],
  workers: 'auto',
  timeout: '30s',
  static: { '/static': 'public' },
});
\`\`\`

The default export, or one that is named \`config\`, is an object, or a function that returns one (or a promise of one). TypeScript is read as it is.
The file is run in a process of its own, anew at each reload. The same in YAML:

\`\`\`yaml
app: dist/server.js:app
bind: 0.0.0.0:8000
workers: auto
timeout: 30s
static:
  /static: public
\`\`\`

## All settings

${groups.map((group) => `- [${group}](#${anchor(group)}): ${keysOf(group).join(', ')}`).join('\n')}

${groups.map(groupSection).join('\n')}
## Exit codes

| code | when |
| --- | --- |
| 0 | clean stop |
| 1 | wrong usage or settings |
| 3 | a worker failed to boot |
| 4 | the app failed to load |
`;
}

function keysOf(group) {
  return settings
    .filter((row) => row.group === group)
    .map(({ key }) => `[${key}](#${anchor(key)})`);
}

function groupSection(group) {
  const rows = settings.filter((row) => row.group === group);
  return `## ${group}\n\n${rows.map(settingSection).join('\n')}`;
}

function settingSection(row) {
  const { key, short, flags, env, alsoEnv, kind, defaultText, help, doc, table, known } = row;
  const flag =
    flags.length === 0 ? '`MODULE[:EXPORT]`, the argument' : flagsText(short, flags, kind);
  const facts = [
    ['command line', flag],
    [
      'environment',
      [env, ...(alsoEnv ? [alsoEnv.name] : [])].map((name) => `\`${name}\``).join(', '),
    ],
    ['value', kind.expected],
    ['default', `\`${defaultText}\``],
    ...(known === '' ? [] : [['known as', known]]),
  ];
  const rows = facts.map(([name, text]) => `| ${name} | ${text.replaceAll('|', '\\|')} |`);
  return `### ${key}

${sentence(help)}${doc === '' ? '' : ` ${doc}`}

| | |
| --- | --- |
${rows.join('\n')}
${table === '' ? '' : `\n${table}\n`}`;
}

function flagsText(short, flags, kind) {
  const value = kind.flag === 'switch' ? '' : ` ${kind.placeholder}`;
  const negated = kind.flag === 'switch' ? [`\`${flags[0].replace('--', '--no-')}\``] : [];
  const repeat = kind.flag === 'repeat' ? ' (repeatable)' : '';
  const all = [...(short === '' ? [] : [short]), ...flags].map((flag) => `\`${flag}${value}\``);
  return [...all, ...negated].join(', ') + repeat;
}

function sentence(text) {
  return `${text[0].toUpperCase()}${text.slice(1)}.`;
}

function anchor(heading) {
  return heading.toLowerCase().replaceAll('/', '').replaceAll(' ', '-');
}

function errors() {
  const whose = { client: 'The client', upstream: 'The app or its worker', edge: 'Portico' };
  const sections = Object.entries(whose).map(([blame, who]) => {
    const rows = Object.entries(catalogue).filter(([, row]) => row.blame === blame);
    return `## ${who}

| code | status | what happened | what to do | may be retried |
| --- | --- | --- | --- | --- |
${rows
  .map(
    ([code, { status, what, remedy, retry }]) =>
      `| \`${code}\` | ${status || 'none'} | ${what} | ${remedy} | ${retry ? 'yes' : 'no'} |`,
  )
  .join('\n')}
`;
  });
  return `# Errors

<!-- Made from src/errors/catalogue.ts by \`npm run docs\`: do not edit. -->

Every failure that a client or an operator can see has a code, which stands in the log. By whose fault it is:
the client's, the app's or Portico's own. Status 499 is only logged: that client is gone. Where the status is "none",
the connection is closed without an answer.

What is the app's or Portico's fault is logged as a warning, each time. What a client did wrong is logged at \`info\` with the
client's address, the way nginx does it, and once a minute for each client and code: anyone can cause any number of them. At the end of
that minute one line for each code says how many more there were and who caused most; no more than 100 clients a minute are named. At
\`debug\` each one is logged. \`CLIENT_LEFT\`, \`PRECONDITION_FAILED\`, \`RANGE_UNSATISFIABLE\` and \`NOT_CACHED\` refuse nothing
and are logged at \`debug\` only; the access log has them all (\`%({failure}x)s\`).

${sections.join('\n')}`;
}

function configType() {
  const fields = settings
    .filter(({ key }) => key !== 'config')
    .map(({ key, kind, help, doc, defaultText }) => {
      const text = `${sentence(help)}${doc === '' ? '' : ` ${doc}`} Default: \`${defaultText}\`.`;
      const note = text.replaceAll('*/', '*\\/');
      return `  /** ${note} */\n  readonly ${key}?: ${kind.inputType} | undefined;`;
    });
  return `// What a config file may hold. Made from settings.ts by \`npm run docs\`: do not edit.
// biome-ignore-all format: one line each, as they are made

export interface PorticoConfig {
${fields.join('\n')}
}

/** A directory of static files and how it is served. */
export interface StaticMountInput {
  /** Starts with "/"; matches whole path segments. */
  readonly prefix: string;
  /** Relative to \`chdir\`. */
  readonly dir: string;
${mountFields.map(({ key, kind, help, default: value }) => `  /** ${help}. Default: \`${kind.show(value)}\`. */\n  readonly ${key}?: ${kind.inputType} | undefined;`).join('\n')}
}

/** Which requests it takes, and what becomes of them. */
export interface RouteInput {
${Object.entries(routeFields)
  .map(([key, { type, help }]) => {
    const optional = key === 'to' ? `: ${type}` : `?: ${type} | undefined`;
    return `  /** ${help}. */\n  readonly ${key}${optional};`;
  })
  .join('\n')}
}

/** What becomes of header fields, in this order. */
export interface HeaderRulesInput {
  readonly remove?: string | readonly string[] | undefined;
  /** In place of those with the same name. */
  readonly set?: Readonly<Record<string, string>> | undefined;
  readonly add?: Readonly<Record<string, string>> | undefined;
  /** Where there is none with the name. */
  readonly default?: Readonly<Record<string, string>> | undefined;
}

/** Who may come in with which password. */
export interface AuthInput {
  /** Hashes of bcrypt or Argon2 by name. */
  readonly users?: Readonly<Record<string, string>> | undefined;
  /** As htpasswd -B writes it; relative to \`chdir\`. */
  readonly file?: string | undefined;
  /** What the client is told that it is for. Default: \`Restricted\`. */
  readonly realm?: string | undefined;
}

/** Which pages of other origins may ask. */
export interface CorsInput {
  /** Such as \`https://example.com\` and \`https://*.example.com\`. Default: \`*\`. */
  readonly origins?: string | readonly string[] | undefined;
  /** Default: those of the route, or all usual ones. */
  readonly methods?: string | readonly string[] | undefined;
  /** That a page may send. Default: \`*\`, any. */
  readonly headers?: string | readonly string[] | undefined;
  /** That a page may read. Default: the usual ones. */
  readonly expose?: string | readonly string[] | undefined;
  /** Cookies are sent along. Default: \`false\`. */
  readonly credentials?: boolean | undefined;
  /** How long browsers remember the answer to a preflight. Default: \`10m\`. */
  readonly maxAge?: number | string | undefined;
}

/** Where a request goes: to the app, elsewhere, or no further than here. */
export type RouteTargetInput =
  | 'app'
  | (string & {})
  | readonly UpstreamTargetInput[]
  | UpstreamInput
  | { readonly redirect: string; readonly status?: 301 | 302 | 303 | 307 | 308 | undefined }
  | { readonly respond: number; readonly body?: unknown; readonly headers?: Readonly<Record<string, string>> | undefined };

/** \`http://api:8000\`, \`https://HOST\`, \`unix:/run/x.sock\`, with its share of the requests. */
export type UpstreamTargetInput = string | { readonly url: string; readonly weight?: number | undefined };

/** An HTTP upstream, and how it is asked. */
export interface UpstreamInput {
  readonly targets: string | readonly UpstreamTargetInput[];
${upstreamFields.map(({ key, kind, help, default: value }) => `  /** ${help}. Default: \`${kind.show(value)}\`. */\n  readonly ${key}?: ${kind.inputType} | undefined;`).join('\n')}
}

/** A certificate of a local CA, for development: for localhost and the machine's name, "dev:a.test,b.test" for more. */
export type TlsDev = 'dev' | \`dev:\${string}\`;

/** Certificates, from which the name that a client asks for chooses. */
export interface TlsInput {
  /** A certificate of a local CA, for development; a list names hosts beside the usual ones. Default: \`false\`. */
  readonly dev?: boolean | readonly string[] | undefined;
  readonly certificates?: readonly TlsCertificateInput[] | undefined;
}

/** A certificate and its key. Paths are relative to \`chdir\`. */
export interface TlsCertificateInput {
${Object.entries(certificateFields)
  .map(([key, { type, help }]) => {
    const optional = key === 'cert' ? `: ${type}` : `?: ${type} | undefined`;
    return `  /** ${help}. */\n  readonly ${key}${optional};`;
  })
  .join('\n')}
}
`;
}
