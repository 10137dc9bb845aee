// portico cert: the development CA, and what certificates hold.

import { nearest } from '../../config/did-you-mean.ts';
import { readEnvironment } from '../../config/environment.ts';
import type { ParsedFlags } from '../../config/flags.ts';
import { settings } from '../../config/settings.ts';
import { asks, type Invocation } from '../invocation.ts';
import { reportProblems } from '../report.ts';
import { certDev } from './dev.ts';
import { certInspect } from './inspect.ts';

const subcommands = ['dev', 'inspect'] as const;

/** Returns the exit code: 0 when it could be done, else 1. */
export async function runCert({
  args,
  flags,
}: Exclude<Invocation, { command: 'run' }>): Promise<number> {
  const problems = [...flags.problems];
  for (const { key, origin } of flags.assignments)
    if (key !== 'keyfilePassword') problems.push(`Cannot use ${origin.label} with portico cert`);
  for (const action of flags.actions)
    if (action !== 'json') problems.push(`Cannot use --${action} with portico cert`);
  const [given = '', ...rest] = args;
  const subcommand = subcommands.find((name) => name === given);
  if (subcommand === undefined) problems.push(unknown(given));
  if (problems.length === 0) {
    const json = asks(flags, 'json');
    const passphrase = passphraseOf(flags);
    problems.push(...(await run(subcommand!, rest, { json, passphrase })));
  }
  reportProblems(problems);
  return problems.length === 0 ? 0 : 1;
}

async function run(
  subcommand: (typeof subcommands)[number],
  args: readonly string[],
  options: { readonly json: boolean; readonly passphrase: string | null },
): Promise<readonly string[]> {
  switch (subcommand) {
    case 'dev':
      return args.length === 0 ? certDev(options) : ['portico cert dev takes no arguments'];
    case 'inspect':
      return certInspect(args, options);
  }
}

/** As for a start: by flag or by environment. */
function passphraseOf(flags: ParsedFlags): string | null {
  const { assignments } = readEnvironment(process.env, settings);
  const all = [...assignments, ...flags.assignments];
  const raw = all.findLast(({ key }) => key === 'keyfilePassword')?.raw;
  return typeof raw === 'string' && raw !== '' ? raw : null;
}

function unknown(given: string): string {
  if (given === '') return 'portico cert needs to be told what: dev, or inspect FILE|HOST:PORT';
  const near = nearest(given, subcommands);
  const hint = near === null ? 'expected dev or inspect' : `did you mean ${near}?`;
  return `Unknown portico cert ${JSON.stringify(given)}: ${hint}`;
}
