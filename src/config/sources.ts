// Gathers what was given for the settings, wherever it stands: config file, environment, command line.

import { resolve } from 'node:path';
import { type Assignment, quote } from './assignment.ts';
import { builtApp, builtAssignments } from './built-app.ts';
import { type ConfigFile, findConfigFile, isCode, readConfigFile } from './config-file.ts';
import { nearest } from './did-you-mean.ts';
import { type Environment, readEnvironment } from './environment.ts';
import { type ParsedFlags, parseFlags } from './flags.ts';
import { formerKeys } from './gunicorn.ts';
import { settings, settingsByKey } from './settings.ts';
import { shellWords } from './shell-words.ts';

export interface LoadInput {
  /** The command line's flags, and the app it named. */
  readonly flags: ParsedFlags;
  readonly app: string | null;
  readonly env: Environment;
  /** Where Portico was started. */
  readonly cwd: string;
}

export interface Sources {
  /** In order of precedence, the strongest last. */
  readonly assignments: readonly Assignment[];
  /** Absolute path of the config file that was read. */
  readonly file: string | null;
  readonly problems: readonly string[];
  /** What is wrong with the config file. */
  readonly fileProblems: readonly string[];
}

/** Never throws. Runs the config file where that is code. */
export async function readSources(input: LoadInput): Promise<Sources> {
  const { assignments, problems } = gather(input);
  const fileProblems: string[] = [];
  const built = await readBuilt(fileProblems);
  const found = locate(assignments, input.cwd);
  let file: ConfigFile | null = null;
  if ('problem' in found) fileProblems.push(found.problem);
  else if (found.path !== null) {
    const read = await readConfigFile(found.path, input.cwd);
    if ('problem' in read) fileProblems.push(read.problem);
    else file = read;
  }
  const fromFile = file === null ? [] : fileAssignments(file, fileProblems);
  return {
    assignments: [...built, ...fromFile, ...assignments],
    file: file?.path ?? null,
    problems,
    fileProblems,
  };
}

/** What `portico build` has put into this executable. */
async function readBuilt(problems: string[]): Promise<Assignment[]> {
  try {
    return await builtAssignments();
  } catch (error) {
    problems.push(`Cannot use the settings in the executable: ${(error as Error).message}`);
    return [];
  }
}

/** Whether loading would run code of the user's, which must not happen in the arbiter's process. */
export function runsCode(input: LoadInput): boolean {
  if (builtApp?.hasConfigCode) return true;
  const found = locate(gather(input).assignments, input.cwd);
  return 'path' in found && found.path !== null && isCode(found.path);
}

/** All but the config file, in order of precedence. */
export function gather({ flags, app, env, cwd: _ }: LoadInput): {
  assignments: Assignment[];
  problems: string[];
} {
  const environment = readEnvironment(env, settings);
  const inCommandArgs = readCommandArgs(env.PORTICO_CMD_ARGS ?? '');
  const argument: Assignment[] =
    app === null
      ? []
      : [{ key: 'app', raw: app, origin: { from: 'command line', label: 'the command line' } }];
  const assignments = [
    ...environment.assignments,
    ...inCommandArgs.assignments,
    ...flags.assignments,
    ...argument,
  ];
  const problems = [...environment.problems, ...inCommandArgs.problems, ...flags.problems];
  const other = builtApp === null ? undefined : assignments.find(({ key }) => key === 'app');
  if (other !== undefined)
    problems.push(
      `Cannot use app ${quote(other.raw)} (from ${other.origin.label}): this executable has its app in it`,
    );
  return { assignments, problems };
}

/** PORTICO_CMD_ARGS counts as the beginning of the command line, as GUNICORN_CMD_ARGS does. */
function readCommandArgs(text: string): { assignments: Assignment[]; problems: string[] } {
  const { words, unclosedAt } = shellWords(text);
  const parsed = parseFlags(words, { settings, actions: [], within: 'PORTICO_CMD_ARGS' });
  const [app, ...more] = parsed.rest;
  const assignments = [...parsed.assignments];
  if (app !== undefined)
    assignments.push({
      key: 'app',
      raw: app,
      origin: { from: 'command line', label: 'PORTICO_CMD_ARGS' },
    });
  const problems = parsed.problems.map((line) => `${line} (in PORTICO_CMD_ARGS)`);
  for (const word of more.slice(parsed.doubtful))
    problems.push(`Unexpected argument ${quote(word)} (in PORTICO_CMD_ARGS)`);
  // Not quoted: it may hold a password.
  if (unclosedAt !== null)
    problems.push(
      `Cannot use PORTICO_CMD_ARGS: the quote at character ${unclosedAt + 1} is not closed`,
    );
  return { assignments, problems };
}

/** The config file: by --config or PORTICO_CONFIG, else in chdir or where Portico was started. */
function locate(assignments: readonly Assignment[], cwd: string) {
  const last = (key: string) => {
    const raw = assignments.findLast((assignment) => assignment.key === key)?.raw;
    return typeof raw === 'string' ? raw : null;
  };
  const named = last('config');
  if (named === 'none') return { path: null };
  // An executable is whole: what lies about where it was started is not meant for it.
  if (named === null && builtApp !== null) return { path: null };
  return findConfigFile({ named, cwd, dir: resolve(cwd, last('chdir') ?? '.') });
}

function fileAssignments(file: ConfigFile, problems: string[]): Assignment[] {
  const assignments: Assignment[] = [];
  for (const { key, raw, line } of file.values) {
    const label = line === null ? file.shown : `${file.shown}:${line}`;
    // Undefined is how code says "unless": `workers: process.env.CI ? 1 : undefined`.
    if (raw === undefined) continue;
    if (key === 'config')
      problems.push(`Cannot use config (from ${label}): a config file names no other`);
    else if (!settingsByKey.has(key)) problems.push(unknownKey(key, label));
    else assignments.push({ key, raw, origin: { from: 'file', label } });
  }
  return assignments;
}

function unknownKey(key: string, label: string): string {
  const near =
    formerKeys[key.replaceAll('_', '').toLowerCase()] ?? nearest(key, settingsByKey.keys());
  const hint = near === null ? 'see portico --help' : `did you mean ${near}?`;
  return `Unknown setting ${JSON.stringify(key)} (from ${label}): ${hint}`;
}
