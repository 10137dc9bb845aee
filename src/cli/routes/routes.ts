// portico routes: the table of routes, and which of them would take a request.

import type { Config } from '../../config/config.ts';
import { loadConfig } from '../../config/load.ts';
import { showPath, showTarget } from '../../config/routes/routes.ts';
import { asks, type Invocation } from '../invocation.ts';
import { onTerminal } from '../on-terminal.ts';
import { divertStdout } from '../own-output.ts';
import { printable, printableJson } from '../printable.ts';
import { reportProblems } from '../report.ts';
import { startDirectory } from '../start-directory.ts';
import { requestOf } from './request.ts';
import { restOf, tryRequest } from './try-request.ts';

/** `headers`: "Name: value" each. Leaves with 0 when it could be said, else with 1. */
export async function runRoutes(
  { args, flags }: Exclude<Invocation, { command: 'run' }>,
  headers: readonly string[],
): Promise<never> {
  const print = divertStdout();
  const [what, ...rest] = args;
  const problems = [...flags.problems];
  if (what !== undefined && what !== 'test')
    problems.push(`Unknown portico routes ${JSON.stringify(what)}: expected test, or nothing`);
  const asked = what === 'test' ? requestOf(rest, headers) : null;
  if (typeof asked === 'string') problems.push(asked);
  if (asked === null && headers.length > 0) problems.push('-H is for portico routes test');
  for (const action of flags.actions)
    if (action !== 'json') problems.push(`Cannot use --${action} with portico routes`);
  const cwd = startDirectory(process.env);
  const loaded = await loadConfig({ flags, app: null, env: process.env, cwd }, onTerminal());
  if (!loaded.ok) problems.push(...loaded.problems);
  if (problems.length > 0 || !loaded.ok || typeof asked === 'string') {
    reportProblems([...new Set(problems)]);
    process.exit(1);
  }
  const { config } = loaded;
  const isJson = asks(flags, 'json');
  if (asked !== null) await print(tryRequest(config, asked, isJson));
  else
    await print(
      isJson
        ? printableJson(
            config.routes.map(({ auth, ...route }) => ({
              ...route,
              auth: auth && { file: auth.file, realm: auth.realm },
            })),
          )
        : table(config),
    );
  // A timer or a connection of the config file's would keep this process for ever.
  process.exit(0);
}

function table(config: Config): string {
  const rows = config.routes.map(({ name, match, to }, index) => [
    String(index + 1),
    match.hosts.join(' ') || '*',
    match.paths.map(showPath).join(' ') || '*',
    match.methods.join(' ') || '*',
    match.headers.map(({ name: header }) => header).join(' ') || '*',
    showTarget(to),
    name,
  ]);
  const last = ['', '*', '*', '*', '*', restOf(config), ''];
  const all = [['', 'HOST', 'PATH', 'METHOD', 'HEADER', 'TO', 'NAME'], ...rows, last];
  const widths = all[0]!.map((_, column) =>
    Math.min(48, Math.max(...all.map((row) => row[column]!.length))),
  );
  return all
    .map((row) =>
      row
        .map((cell, at) => printable(cell).padEnd(widths[at]!))
        .join('  ')
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join('');
}
