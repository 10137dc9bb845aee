// Runs the server: the settings are loaded and this process becomes the arbiter.

import { runArbiter } from '../arbiter/arbiter.ts';
import type { Config } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';
import { type LoadInput, runsCode } from '../config/sources.ts';
import { openLog } from '../telemetry/log.ts';
import { ownVersion } from '../telemetry/version.ts';
import { carriedFor } from './carried.ts';
import { type DevCertificates, devCertificates } from './dev-certificate.ts';
import { usageText } from './help.ts';
import { asks, type Invocation } from './invocation.ts';
import { type LoadedApart, loadApart } from './load-apart.ts';
import { misspeltCommand } from './misspelt-command.ts';
import { nodeVersionWarning } from './node-version.ts';
import { onTerminal } from './on-terminal.ts';
import { reportProblems } from './report.ts';
import { selfTest } from './self-test.ts';
import { withStandIn } from './stand-in.ts';
import { startDirectory } from './start-directory.ts';

type RunInvocation = Extract<Invocation, { command: 'run' }>;

/** Returns 1 when it can't start, else leaves with the arbiter's exit code: 0, 1, 3 or 4. */
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
  const config = withStandIn(loaded.config);
  if (config.module === null && config.apps.length + config.routes.length === 0) {
    process.stderr.write(usageText());
    return 1;
  }
  const misspelt = await misspeltCommand(invocation.app, config);
  if (misspelt !== null) {
    reportProblems([misspelt]);
    return 1;
  }
  warnOfNodeVersion(config);
  const dev = devCertificates();
  const complete = await dev.put(config);
  if (!complete.ok) {
    reportProblems(complete.problems);
    return 1;
  }
  const carried = carriedFor(complete.config);
  if (!carried.ok) {
    reportProblems([carried.problem]);
    return 1;
  }
  const code = asks(invocation.flags, 'self-test')
    ? await selfTest(complete.config)
    : await runArbiter({
        config: complete.config,
        loadConfig: () => loadAgain(argv, cwd, dev),
        version: ownVersion(),
      });
  carried.remove();
  // All is closed and logged: a handle that was forgotten must not keep a service from stopping.
  process.exit(code);
}

async function loadAgain(
  argv: readonly string[],
  cwd: string,
  dev: DevCertificates,
): Promise<LoadedApart<Config>> {
  const loaded = await loadApart<Config>(argv, cwd);
  return loaded.ok ? dev.put(withStandIn(loaded.config)) : loaded;
}

function warnOfNodeVersion({
  logLevel: level,
  logFormat: format,
  errorLogfile: file,
}: Config): void {
  const warning = nodeVersionWarning(process.versions.node, new Date());
  if (warning === null) return;
  try {
    openLog({ level, format, file, role: 'arbiter' }).warning(warning);
  } catch {
    // The arbiter opens the same file next, and says why it can't.
  }
}

/** This process becomes the arbiter, so code of the user's must not run in it. */
async function loadFirst(argv: readonly string[], input: LoadInput): Promise<LoadedApart<Config>> {
  if (runsCode(input)) return loadApart<Config>(argv, input.cwd);
  return loadConfig(input, onTerminal());
}
