// The process that loads the settings for the arbiter, and for commands that look for one: a config file
// may be code, and code of the user's neither runs in the arbiter nor comes twice out of one module cache.

import { loadInstanceNames } from '../config/instance-names.ts';
import { loadConfig } from '../config/load.ts';
import { parseInvocation } from './invocation.ts';
import { divertStdout } from './own-output.ts';
import { startDirectory } from './start-directory.ts';

/** Prints the Config (for a command like `status`: InstanceNames) as JSON and leaves with 0, or the problems as a JSON array with 1. */
export async function printConfigForArbiter(): Promise<never> {
  const answer = divertStdout();
  // The config file sees the environment as the command line's process does.
  const onTerminal = process.env.PORTICO_ON_TERMINAL === '1';
  delete process.env.PORTICO_ROLE;
  delete process.env.PORTICO_ON_TERMINAL;
  const invocation = parseInvocation(process.argv.slice(2));
  const { flags } = invocation;
  const app = invocation.command === 'run' ? invocation.app : null;
  const input = { flags, app, env: process.env, cwd: startDirectory(process.env) };
  const loaded =
    invocation.command === 'run'
      ? await loadConfig(input, { onTerminal })
      : await loadInstanceNames(input);
  await answer(JSON.stringify(loaded.ok ? loaded.config : loaded.problems));
  // A timer or a connection of the config file's would keep this process for ever.
  process.exit(loaded.ok ? 0 : 1);
}
