// --check-config and --print-config.

import { appsOf, configFor } from '../config/apps.ts';
import { hideSecrets } from '../config/assignment.ts';
import { type Config, topApp } from '../config/config.ts';
import { type Loaded, loadConfig } from '../config/load.ts';
import { settings } from '../config/settings.ts';
import { carriedFor } from './carried.ts';
import { asks, type Invocation } from './invocation.ts';
import { misspeltCommand } from './misspelt-command.ts';
import { onTerminal } from './on-terminal.ts';
import { divertStdout } from './own-output.ts';
import { reportProblems } from './report.ts';
import { startDirectory } from './start-directory.ts';
import { tryApp } from './try-app.ts';

/** Leaves with 0 when all is well, else with the code a start would end with. */
export async function inspectConfig({
  app,
  flags,
}: Extract<Invocation, { command: 'run' }>): Promise<never> {
  const print = divertStdout();
  const cwd = startDirectory(process.env);
  const loaded = await loadConfig({ flags, app, env: process.env, cwd }, onTerminal());
  if (!loaded.ok) fail(loaded.problems, 1);
  const misspelt = await misspeltCommand(app, loaded.config);
  if (misspelt !== null) fail([misspelt], 1);
  if (asks(flags, 'print')) await print(printed(loaded, asks(flags, 'json')));
  if (asks(flags, 'check')) {
    reportProblems(loaded.warnings.map((warning) => `Warning: ${warning}`));
    await print(await checkApp(loaded.config));
  }
  // A timer or a connection of the config file's would keep this process for ever.
  process.exit(0);
}

function fail(problems: readonly string[], exitCode: number): never {
  reportProblems(problems);
  process.exit(exitCode);
}

type Good = Extract<Loaded, { ok: true }>;

/** What to print where the app loads. */
async function checkApp(config: Config): Promise<string> {
  // Files or routes alone will do: a page of Portico's own stands in for the app.
  const apps = appsOf(config);
  if (apps.length === 0 && config.static.length + config.routes.length > 0)
    return 'portico: configuration ok\n';
  if (apps.length === 0) fail(['No app: name it as MODULE[:EXPORT], such as app.js:app'], 1);
  const carried = carriedFor(config);
  if (!carried.ok) fail([carried.problem], 1);
  const loaded: string[] = [];
  for (const app of apps) {
    const tried = await tryApp(configFor(config, app));
    const whose = app.name === topApp ? '' : `${app.name}: `;
    if (!tried.ok) {
      carried.remove();
      fail([`${whose}${tried.problem}`], tried.exitCode);
    }
    loaded.push(`${whose}${tried.app}`);
  }
  carried.remove();
  const what = loaded.length === 1 ? 'the app loads' : 'the apps load';
  return `portico: configuration ok, ${what}: ${loaded.join(', ')}\n`;
}

/** One line for each setting: key, value in force, where it came from. */
function printed({ config, settled }: Good, json: boolean): string {
  const rows = settings.map(({ key, kind, fields }) => {
    const { value, origin } = settled.get(key)!;
    const given = kind.show(value);
    const inForce = fields.map((field) => config[field]);
    // "auto", relative paths and the like: both what was given and what was made of it.
    const shown = inForce.length === 1 ? kind.show(inForce[0]) : given;
    const from = shown === given ? origin.label : `${origin.label}: ${given}`;
    return { key, value: inForce.length === 1 ? inForce[0] : given, shown, from };
  });
  if (json) {
    const entries = rows.map(({ key, value, from }) => [
      key,
      { value: hideSecrets(key, value), from },
    ]);
    return `${JSON.stringify(Object.fromEntries(entries), hideSecrets, 2)}\n`;
  }
  const keyWidth = Math.max(...rows.map(({ key }) => key.length));
  const shownWidth = Math.min(40, Math.max(...rows.map(({ shown }) => shown.length)));
  return rows
    .map(
      ({ key, shown, from }) => `${key.padEnd(keyWidth)}  ${shown.padEnd(shownWidth)}  ${from}\n`,
    )
    .join('');
}
