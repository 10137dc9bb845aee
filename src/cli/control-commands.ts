// status, reload, stop and scale: asks the arbiter of a running instance.

import type { Invocation } from './invocation.ts';
import { reportProblems } from './report.ts';

type ControlInvocation = Exclude<Invocation, { command: 'run' }>;

export async function runControlCommand({ flags }: ControlInvocation): Promise<number> {
  reportProblems(flags.problems.length > 0 ? flags.problems : ['No instance of Portico runs here']);
  return 1;
}
