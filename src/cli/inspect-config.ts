// --check-config and --print-config.

import type { Loaded } from '../config/load.ts';
import { loadConfig } from '../config/load.ts';
import { locateModule } from '../config/module-file.ts';
import { settings } from '../config/settings.ts';
import { asks, type Invocation } from './invocation.ts';
import { reportProblems } from './report.ts';
import { startDirectory } from './start-directory.ts';

type RunInvocation = Extract<Invocation, { command: 'run' }>;

export async function inspectConfig({ app, flags }: RunInvocation): Promise<number> {
  const loaded = await loadConfig({
    flags,
    app,
    env: process.env,
    cwd: startDirectory(process.env),
  });
  if (!loaded.ok) {
    reportProblems(loaded.problems);
    return 1;
  }
  if (asks(flags, 'print')) process.stdout.write(printed(loaded, asks(flags, 'json')));
  return asks(flags, 'check') ? check(loaded) : 0;
}

type Good = Extract<Loaded, { ok: true }>;

/** "configuration ok", or what is wrong with the app. */
function check({ config }: Good): number {
  if (config.module === null) {
    reportProblems(['No app: name it as MODULE[:EXPORT], such as app.js:app']);
    return 1;
  }
  const located = locateModule(config.module, config.chdir);
  if (located === null) {
    reportProblems([`Cannot find the app ${JSON.stringify(config.module)} from ${config.chdir}`]);
    return 1;
  }
  process.stdout.write(`portico: configuration ok, app ${located}\n`);
  return 0;
}

/** One line for each setting: key, value, where it came from. */
function printed({ config, settled }: Good, json: boolean): string {
  const rows = settings.map(({ key, kind, fields }) => {
    const { value, origin } = settled.get(key)!;
    return { key, shown: kind.show(value), origin, fields };
  });
  if (json) {
    const entries = rows.map(({ key, origin, fields }) => {
      const values = fields.map((field) => config[field]);
      return [key, { value: fields.length === 1 ? values[0] : values, from: origin.label }];
    });
    return `${JSON.stringify(Object.fromEntries(entries), null, 2)}\n`;
  }
  const keyWidth = Math.max(...rows.map(({ key }) => key.length));
  const shownWidth = Math.min(40, Math.max(...rows.map(({ shown }) => shown.length)));
  return rows
    .map(
      ({ key, shown, origin }) =>
        `${key.padEnd(keyWidth)}  ${shown.padEnd(shownWidth)}  ${origin.label}\n`,
    )
    .join('');
}
