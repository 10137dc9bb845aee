// The command line: argv to one command. Each command's code is loaded when it is needed.

import { isInside } from '../executable/inside.ts';
import { ownVersion } from '../telemetry/version.ts';
import { asks, type Invocation, parseInvocation } from './invocation.ts';
import { reportProblems } from './report.ts';
import { takeHeaders } from './routes/request.ts';
import { startDirectory } from './start-directory.ts';

/** Runs the command to its end and returns the exit code. */
export async function runCommandLine(argv: readonly string[]): Promise<number> {
  // Before the flags are read: it has some of its own.
  if (argv[0] === 'build' && !argv.includes('--help') && !argv.includes('-h')) {
    if (isInside) {
      reportProblems(['An executable builds no other: use portico from its npm package']);
      return 1;
    }
    const { build } = await import('./build/build.ts');
    return build(argv.slice(1), startDirectory(process.env));
  }
  const { headers, rest } = argv[0] === 'routes' ? takeHeaders(argv) : { headers: [], rest: argv };
  const invocation = parseInvocation(rest);
  const { flags } = invocation;
  if (asks(flags, 'version')) {
    process.stdout.write(`portico ${ownVersion()}\n`);
    return 0;
  }
  if (asks(flags, 'help')) {
    const { helpText } = await import('./help.ts');
    process.stdout.write(helpText(invocation.command));
    return 0;
  }
  if (invocation.command === 'run') return run(argv, invocation);
  if (invocation.command === 'precompress') {
    const { precompress } = await import('./precompress/precompress.ts');
    return precompress(invocation);
  }
  if (invocation.command === 'build') {
    reportProblems(['portico build: "build" comes first, before all flags']);
    return 1;
  }
  if (invocation.command === 'cert') {
    const { runCert } = await import('./cert/cert.ts');
    return runCert(invocation);
  }
  if (invocation.command === 'routes') {
    const { runRoutes } = await import('./routes/routes.ts');
    return runRoutes(invocation, headers);
  }
  const { runControlCommand } = await import('./control-commands.ts');
  return runControlCommand(argv, { ...invocation, command: invocation.command });
}

async function run(
  argv: readonly string[],
  invocation: Extract<Invocation, { command: 'run' }>,
): Promise<number> {
  const { flags } = invocation;
  if (asks(flags, 'check') || asks(flags, 'print')) {
    const { inspectConfig } = await import('./inspect-config.ts');
    return inspectConfig(invocation);
  }
  const { runServer } = await import('./run.ts');
  return runServer(argv, invocation);
}
