// Runs the server: the settings are loaded and this process becomes the arbiter.

import type { Config } from '../config/config.ts';
import { type LoadInput, loadConfig, runsCode } from '../config/load.ts';
import { usageText } from './help.ts';
import type { Invocation } from './invocation.ts';
import { type ConfigResult, loadApart } from './load-apart.ts';
import { nodeVersionWarning } from './node-version.ts';
import { reportProblems } from './report.ts';
import { startDirectory } from './start-directory.ts';
import { ownVersion } from './version.ts';

type RunInvocation = Extract<Invocation, { command: 'run' }>;

/** Returns the exit code: 0 clean stop, 1 usage or settings, 3 and 4 see docs/errors.md. */
export async function runServer(
  argv: readonly string[],
  invocation: RunInvocation,
): Promise<number> {
  const cwd = startDirectory(process.env);
  const input = { flags: invocation.flags, app: invocation.app, env: process.env, cwd };
  const loaded = await loadFirst(argv, input);
  if (!loaded.ok) {
    reportProblems(loaded.problems);
    return 1;
  }
  if (loaded.config.module === null) {
    process.stderr.write(usageText());
    return 1;
  }
  const warning = nodeVersionWarning(process.versions.node, new Date());
  if (warning !== null) process.stderr.write(`portico: warning: ${warning}\n`);
  const { runArbiter } = (await import(new URL('../arbiter/arbiter.js', import.meta.url).href)) as {
    runArbiter: (options: ArbiterOptions) => Promise<number>;
  };
  return runArbiter({
    config: loaded.config,
    loadConfig: () => loadApart(argv, cwd),
    version: ownVersion(),
  });
}

interface ArbiterOptions {
  readonly config: Config;
  readonly loadConfig: () => Promise<ConfigResult>;
  readonly version: string;
}

/** This process becomes the arbiter, so code of the user's must not run in it. */
async function loadFirst(argv: readonly string[], input: LoadInput): Promise<ConfigResult> {
  if (runsCode(input)) return loadApart(argv, input.cwd);
  return loadConfig(input);
}
