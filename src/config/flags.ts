// Reads a command line: flags of the settings table and the command's own, and what is left over.

import type { Assignment } from './assignment.ts';
import { nearest } from './did-you-mean.ts';
import { foreignFlags } from './gunicorn.ts';
import type { Setting } from './setting.ts';

/** A flag that is no setting: --help, --version … It takes no value. */
export interface Action {
  readonly name: string;
  readonly flags: readonly string[];
}

export interface ParsedFlags {
  readonly assignments: readonly Assignment[];
  /** Names of the actions that were asked for. */
  readonly actions: ReadonlySet<string>;
  readonly rest: readonly string[];
  /** How many of `rest` stood after "--". */
  readonly apart: number;
  /** How many of `rest` may be values of flags that nobody knows. */
  readonly doubtful: number;
  readonly problems: readonly string[];
}

export interface FlagTable {
  readonly settings: readonly Setting[];
  readonly actions: readonly Action[];
  /** What the arguments are, where it isn't the command line itself: "PORTICO_CMD_ARGS". */
  readonly within?: string;
}

type Meaning =
  | { readonly is: 'setting'; readonly setting: Setting; readonly negated: boolean }
  | { readonly is: 'action'; readonly action: Action };

/** Flags and arguments may come in any order, "--" ends the flags. Never throws. */
export function parseFlags(argv: readonly string[], table: FlagTable): ParsedFlags {
  const meanings = meaningsOf(table);
  const actions = new Set<string>();
  const rest: string[] = [];
  const problems: string[] = [];
  const given = new Map<string, { flag: string; raw: unknown }>();
  const queue = [...argv];
  let doubtful = 0;
  let apart = 0;

  while (queue.length > 0) {
    const argument = queue.shift()!;
    if (argument === '--') {
      apart = queue.length;
      rest.push(...queue.splice(0));
    } else if (!argument.startsWith('-') || argument === '-') {
      rest.push(argument);
    } else {
      const { flag, attached } = split(argument);
      const meaning = meanings.get(flag);
      if (meaning === undefined) {
        const left = queue.length;
        problems.push(unknownFlag(flag, meanings, queue, attached));
        const isTaken = queue.length < left;
        if (!isTaken && attached === null && queue[0]?.startsWith('-') === false) doubtful++;
      } else if (meaning.is === 'action') {
        if (attached !== null) problems.push(`Cannot use ${argument}: ${flag} takes no value`);
        actions.add(meaning.action.name);
      } else {
        const raw = readValue(flag, meaning.setting, meaning.negated, attached, queue);
        if (raw instanceof MissingValue) problems.push(raw.problem);
        else put(given, meaning.setting, flag, raw);
      }
    }
  }
  const assignments = [...given].map(([key, { flag, raw }]): Assignment => {
    const label = table.within === undefined ? flag : `${flag} in ${table.within}`;
    return { key, raw, origin: { from: 'command line', label } };
  });
  return { assignments, actions, rest, apart, doubtful, problems };
}

/** All flags of a table, also for "did you mean". */
function meaningsOf(table: FlagTable): Map<string, Meaning> {
  const meanings = new Map<string, Meaning>();
  for (const setting of table.settings) {
    const spellings = setting.short === '' ? setting.flags : [...setting.flags, setting.short];
    for (const flag of spellings) meanings.set(flag, { is: 'setting', setting, negated: false });
    if (setting.kind.flag === 'switch')
      for (const flag of setting.flags)
        meanings.set(flag.replace('--', '--no-'), { is: 'setting', setting, negated: true });
  }
  for (const action of table.actions)
    for (const flag of action.flags) meanings.set(flag, { is: 'action', action });
  return meanings;
}

/** "--flag=value", "-w4" and plain flags. */
function split(argument: string): { flag: string; attached: string | null } {
  if (argument.startsWith('--')) {
    const at = argument.indexOf('=');
    if (at === -1) return { flag: argument, attached: null };
    return { flag: argument.slice(0, at), attached: argument.slice(at + 1) };
  }
  const attached = argument.slice(2).replace(/^=/, '');
  return { flag: argument.slice(0, 2), attached: argument.length > 2 ? attached : null };
}

class MissingValue {
  readonly problem: string;
  constructor(problem: string) {
    this.problem = problem;
  }
}

function readValue(
  flag: string,
  setting: Setting,
  negated: boolean,
  attached: string | null,
  queue: string[],
): unknown {
  if (negated) {
    if (attached === null) return false;
    return new MissingValue(`Cannot use ${flag}=${attached}: ${flag} takes no value`);
  }
  if (attached !== null) return attached;
  if (setting.kind.flag === 'switch') return true;
  const next = queue[0];
  // "-" is a value (stdout), "-5" is a wrong one that the kind will name; all else is the next flag.
  if (next === undefined || (/^-./.test(next) && !/^-\d/.test(next)))
    return new MissingValue(`${flag} needs a value: expected ${setting.kind.expected}`);
  return queue.shift();
}

/** The last flag counts, but of a repeatable one each adds to the list. */
function put(
  given: Map<string, { flag: string; raw: unknown }>,
  setting: Setting,
  flag: string,
  raw: unknown,
): void {
  const before = given.get(setting.key);
  if (setting.kind.flag !== 'repeat') given.set(setting.key, { flag, raw });
  else if (before === undefined) given.set(setting.key, { flag, raw: [raw] });
  else (before.raw as unknown[]).push(raw);
}

function unknownFlag(
  flag: string,
  meanings: ReadonlyMap<string, Meaning>,
  queue: string[],
  attached: string | null,
): string {
  const foreign = foreignFlags.get(flag);
  if (foreign !== undefined) {
    // Its value must not be taken for the app.
    if (foreign.takesValue && attached === null && queue[0]?.startsWith('-') === false)
      queue.shift();
    return `Cannot use ${flag}: it has no meaning in Portico; ${foreign.instead}`;
  }
  const near = flag.startsWith('--') ? nearest(flag, meanings.keys()) : null;
  const meant = near === null ? undefined : meanings.get(near);
  const takesValue = meant?.is === 'setting' && meant.setting.kind.flag !== 'switch';
  if (takesValue && attached === null && queue[0]?.startsWith('-') === false) queue.shift();
  const hint = near === null ? 'see portico --help' : `did you mean ${near}?`;
  return `Unknown flag ${flag}: ${hint}`;
}
