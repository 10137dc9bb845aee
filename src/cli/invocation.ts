// What the command line asks for: one command, its arguments and flags.

import { nearest } from '../config/did-you-mean.ts';
import { type ParsedFlags, parseFlags } from '../config/flags.ts';
import { settings } from '../config/settings.ts';
import { type ActionName, actions } from './actions.ts';

export const commandNames = ['status', 'reload', 'stop', 'scale', 'purge', 'precompress'] as const;
export type CommandName = (typeof commandNames)[number];

export type Invocation =
  | { readonly command: 'run'; readonly app: string | null; readonly flags: ParsedFlags }
  | {
      readonly command: CommandName;
      readonly args: readonly string[];
      readonly flags: ParsedFlags;
    };

export function parseInvocation(argv: readonly string[]): Invocation {
  const flags = parseFlags(argv, { settings, actions });
  const [first, ...more] = flags.rest;
  const command = commandNames.find((name) => name === first);
  if (command !== undefined) return { command, args: more, flags };
  const problems = more.map(
    (word) => `Unexpected argument ${JSON.stringify(word)}${hint(first!, more)}`,
  );
  if (asks(flags, 'json') && !asks(flags, 'print'))
    problems.push('Cannot use --json alone: it is for --print-config and portico status');
  return {
    command: 'run',
    app: first ?? null,
    flags: { ...flags, problems: [...flags.problems, ...problems] },
  };
}

export function asks(flags: ParsedFlags, action: ActionName): boolean {
  return flags.actions.has(action);
}

/** "portico statsu" is an app, "portico statsu --json x" hardly. */
function hint(first: string, more: readonly string[]): string {
  if (first === 'run' || first === 'start') return `: portico needs no "${first}"`;
  const near = more.length === 1 ? nearest(first, commandNames) : null;
  return near === null ? ': one app at a time' : `: did you mean portico ${near}?`;
}
