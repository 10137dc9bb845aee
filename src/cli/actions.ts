// Flags that aren't settings: what to do instead of running.

import type { Action } from '../config/flags.ts';

interface DescribedAction extends Action {
  readonly help: string;
}

export const actions = [
  {
    name: 'check',
    flags: ['--check-config'],
    help: 'Check the settings and the app file, then leave',
  },
  {
    name: 'print',
    flags: ['--print-config'],
    help: 'Print each setting and where it came from, then leave (--json: as JSON)',
  },
  { name: 'json', flags: ['--json'], help: 'Print as JSON, with --print-config and status' },
  { name: 'version', flags: ['--version', '-v', '-V'], help: 'Print the version' },
  { name: 'help', flags: ['--help', '-h'], help: 'Print this' },
] as const satisfies readonly DescribedAction[];

export type ActionName = (typeof actions)[number]['name'];
