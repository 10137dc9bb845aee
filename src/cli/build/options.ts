// The command line of `portico build`: options of its own, and settings, which become part of what is built.

import { BuildFault } from './fault.ts';

export interface BuildOptions {
  readonly output: string | null;
  /** Path or version of the Node to build with. */
  readonly node: string | null;
  /** "linux-arm64". */
  readonly target: string | null;
  /** Names of packages that are carried along as they are. */
  readonly external: readonly string[];
  /** Files and directories that the app reads when it runs. */
  readonly include: readonly string[];
  /** What is left: MODULE[:EXPORT] and flags of settings. */
  readonly rest: readonly string[];
}

const flags = {
  '-o': 'output',
  '--output': 'output',
  '--node': 'node',
  '--target': 'target',
  '--external': 'external',
  '--include': 'include',
} as const;

/** Throws a BuildFault. */
export function parseBuildOptions(argv: readonly string[]): BuildOptions {
  const given: Record<(typeof flags)[keyof typeof flags], string[]> = {
    output: [],
    node: [],
    target: [],
    external: [],
    include: [],
  };
  const rest: string[] = [];
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at]!;
    const equals = word.startsWith('--') ? word.indexOf('=') : -1;
    const flag = equals === -1 ? word : word.slice(0, equals);
    const name = flags[flag as keyof typeof flags];
    if (name === undefined) rest.push(word);
    else {
      const value = equals === -1 ? argv[++at] : word.slice(equals + 1);
      if (value === undefined || value === '') throw new BuildFault(`${flag} needs a value`);
      given[name].push(value);
    }
  }
  return {
    output: given.output.at(-1) ?? null,
    node: given.node.at(-1) ?? null,
    target: given.target.at(-1) ?? null,
    external: given.external,
    include: given.include,
    rest,
  };
}
