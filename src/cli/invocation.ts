// What the command line asks for: one command, its arguments and flags.

import { type Assignment, quote } from '../config/assignment.ts';
import { nearest } from '../config/did-you-mean.ts';
import { type ParsedFlags, parseFlags } from '../config/flags.ts';
import { settings } from '../config/settings.ts';
import { type ActionName, actions } from './actions.ts';

export const commandNames = [
  'status',
  'health',
  'reload',
  'stop',
  'scale',
  'purge',
  'precompress',
  'build',
  'cert',
  'routes',
] as const;
export type CommandName = (typeof commandNames)[number];

export type Invocation =
  | { readonly command: 'run'; readonly app: string | null; readonly flags: ParsedFlags }
  | {
      readonly command: CommandName;
      readonly args: readonly string[];
      readonly flags: ParsedFlags;
    };

export function parseInvocation(argv: readonly string[]): Invocation {
  const flags = withCommand(parseFlags(argv, { settings, actions }));
  const [first, ...more] = flags.rest;
  const command = commandNames.find((name) => name === first);
  if (command !== undefined) return { command, args: more, flags };
  const meant = first === undefined ? null : commandMeant(first);
  const problems = more
    .slice(flags.doubtful)
    .map((word) => `Unexpected argument ${quote(word)}${hint(first!, more)}`);
  if (asks(flags, 'json') && !asks(flags, 'print'))
    problems.push(
      meant === null
        ? 'Cannot use --json alone: it is for --print-config, portico status and portico cert'
        : `There is no command ${quote(first)}: did you mean portico ${meant}?`,
    );
  return {
    command: 'run',
    app: first ?? null,
    flags: { ...flags, problems: [...flags.problems, ...problems] },
  };
}

/** "-k command -- CMD ARGS": what stands after "--" is a program, and no app. */
function withCommand(flags: ParsedFlags): ParsedFlags {
  const { rest, apart, assignments } = flags;
  const isCommand = assignments.some(({ key, raw }) => key === 'workerClass' && raw === 'command');
  if (!isCommand || apart === 0) return flags;
  const command: Assignment = {
    key: 'command',
    raw: rest.slice(-apart),
    origin: { from: 'command line', label: 'the command line' },
  };
  return { ...flags, rest: rest.slice(0, -apart), assignments: [...assignments, command] };
}

export function asks(flags: ParsedFlags, action: ActionName): boolean {
  return flags.actions.has(action);
}

/** "portico statsu" is an app, "portico statsu --json x" hardly. */
function hint(first: string, more: readonly string[]): string {
  if (first === 'run' || first === 'start') return `: portico needs no "${first}"`;
  const near = more.length === 1 ? commandMeant(first) : null;
  return near === null ? ': one app at a time' : `: did you mean portico ${near}?`;
}

/** The command that a word looks like which is none, and no file's name either. */
export function commandMeant(word: string): CommandName | null {
  if (!/^[a-z-]+$/i.test(word)) return null;
  return nearest(word, commandNames) as CommandName | null;
}
