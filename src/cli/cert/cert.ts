// portico cert: the development CA.

import { nearest } from '../../config/did-you-mean.ts';
import { asks, type Invocation } from '../invocation.ts';
import { reportProblems } from '../report.ts';
import { certDev } from './dev.ts';

const subcommands = ['dev'] as const;

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
  if (problems.length === 0) problems.push(...(await run(subcommand!, rest, asks(flags, 'json'))));
  reportProblems(problems);
  return problems.length === 0 ? 0 : 1;
}

async function run(
  subcommand: (typeof subcommands)[number],
  args: readonly string[],
  json: boolean,
): Promise<readonly string[]> {
  switch (subcommand) {
    case 'dev':
      return args.length === 0 ? certDev({ json }) : ['portico cert dev takes no arguments'];
  }
}

function unknown(given: string): string {
  if (given === '') return 'portico cert needs to be told what? dev';
  const near = nearest(given, subcommands);
  const hint = near === null ? 'expected dev' : `did you mean ${near}?`;
  return `Unknown portico cert ${JSON.stringify(given)}: ${hint}`;
}
