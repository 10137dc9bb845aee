// Flags that aren't settings: what to do instead of running.

import type { Action } from '../config/flags.ts';

interface DescribedAction extends Action {
  readonly help: string;
}

export const actions = [
  {
    name: 'check',
    flags: ['--check-config'],
    help: 'Check the settings, and that the app loads',
  },
  {
    name: 'print',
    flags: ['--print-config'],
    help: 'Print each setting and where it came from',
  },
  {
    name: 'self-test',
    flags: ['--self-test'],
    help: 'Start on a private socket, ask for the app and the files, report',
  },
  {
    name: 'json',
    flags: ['--json'],
    help: 'With --print-config, status, routes and cert: print JSON',
  },
  { name: 'app', flags: ['--app'], help: 'With reload and scale: the app of that name alone' },
  { name: 'tag', flags: ['--tag'], help: 'With purge: the arguments are tags' },
  { name: 'all', flags: ['--all'], help: 'With purge: all responses' },
  { name: 'version', flags: ['--version', '-v', '-V'], help: 'Print the version' },
  { name: 'help', flags: ['--help', '-h'], help: 'Print this' },
] as const satisfies readonly DescribedAction[];

export type ActionName = (typeof actions)[number]['name'];
