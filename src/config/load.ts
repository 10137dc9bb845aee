// Loads the settings: defaults < config file < environment < command line.

import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { withBuiltApp } from './built-app.ts';
import { checkConfig } from './checks.ts';
import type { Config } from './config.ts';
import { usableCpus } from './cpus.ts';
import { withDevTls } from './dev-tls.ts';
import { deepFreeze, resolveConfig, type Settled } from './resolve.ts';
import { type LoadInput, readSources } from './sources.ts';

export type Loaded =
  | {
      readonly ok: true;
      readonly config: Config;
      readonly settled: ReadonlyMap<string, Settled>;
      /** What works and should be looked at none the less; a running arbiter sees to these itself. */
      readonly warnings: readonly string[];
    }
  | { readonly ok: false; readonly problems: readonly string[] };

/** Never throws: all that is wrong comes back at once. `onTerminal`: standard output is one, so an https://
 *  bind without a certificate gets that of development. */
export async function loadConfig(
  input: LoadInput,
  { onTerminal }: { readonly onTerminal: boolean },
): Promise<Loaded> {
  const { assignments, file, problems: given, fileProblems } = await readSources(input);
  const problems = [...given, ...fileProblems];
  const resolved = resolveConfig(assignments, {
    cwd: input.cwd,
    file,
    cpus: usableCpus(availableParallelism(), readText),
  });
  problems.push(...resolved.problems);
  const { settled } = resolved;
  const config = withDevTls(resolved.config, { settled, onTerminal });
  const checked = await checkConfig(config, settled);
  problems.push(...checked.problems);
  if (problems.length > 0) return { ok: false, problems };
  const { warnings } = checked;
  return { ok: true, config: deepFreeze(withBuiltApp(checked.config)), settled, warnings };
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
