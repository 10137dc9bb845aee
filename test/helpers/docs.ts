// Reads the fenced blocks of the pages. What each kind of block is, and what becomes of it, is in `kinds`.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseInvocation } from '../../src/cli/invocation.ts';
import { shellWords } from '../../src/config/shell-words.ts';
import { repositoryRoot } from './portico.ts';

/** By the first word after the fence; a block that is none of these fails test/process/docs.test.ts. */
export const kinds = {
  sh: 'its commands are run, in the order of the page; each has to succeed',
  console: 'lines after "$ " are run; what they print has the lines that follow them',
  ts: 'settings: a whole config file, or a part of one. They are loaded',
  yaml: 'settings, loaded',
  js: 'code of an app: it is compiled',
  dockerfile: 'its commands and variables are compared with what Portico knows',
  haproxy: 'read by haproxy -c',
  text: 'a drawing, a line of a log, a part of an answer: no command',
} as const;

export interface Block {
  readonly page: string;
  readonly line: number;
  /** The first word after the fence. */
  readonly kind: string;
  /** ```js file=NAME: where the commands of the page find it. */
  readonly file: string | null;
  readonly text: string;
}

/** README.md, docs/*.md and docs/guides/*.md. */
export function pages(): string[] {
  const inside = (dir: string) =>
    readdirSync(join(repositoryRoot, dir))
      .filter((name) => name.endsWith('.md'))
      .map((name) => join(dir, name));
  return ['README.md', ...inside('docs'), ...inside('docs/guides')];
}

export function textOf(page: string): string {
  return readFileSync(join(repositoryRoot, page), 'utf8');
}

export function blocksOf(page: string): Block[] {
  const text = textOf(page);
  return [...text.matchAll(/^( *)```(.*)\n([\s\S]*?)^ *```$/gm)].map((match) => {
    const [, , info = '', block = ''] = match;
    return {
      page,
      line: text.slice(0, match.index).split('\n').length,
      kind: info.split(' ')[0] as string,
      file: / file=(\S+)$/.exec(info)?.[1] ?? null,
      text: block,
    };
  });
}

export interface Command {
  /** As written, lines that end in a backslash joined. */
  readonly line: string;
  /** Whether it is a Portico that serves until it is stopped. */
  readonly serves: boolean;
  /** What a page says that it prints. */
  readonly prints: readonly string[];
}

export function commandsOf({ kind, text }: Block): Command[] {
  const lines = text.replaceAll(/\\\n\s*/g, '').split('\n');
  if (kind !== 'sh' && kind !== 'console') return [];
  if (kind === 'sh') return lines.map((line) => ({ line, serves: serves(line), prints: [] }));
  const commands: { line: string; serves: boolean; prints: string[] }[] = [];
  for (const line of lines)
    if (line.startsWith('$ '))
      commands.push({ line: line.slice(2), serves: serves(line.slice(2)), prints: [] });
    else if (line.trim() !== '') commands.at(-1)?.prints.push(line);
  return commands;
}

/** The arguments of a Portico that the line starts, or null. */
export function argumentsOf(line: string): readonly string[] | null {
  const { words } = shellWords(line.replace(/(^|\s)#.*$/, ''));
  const starts = /^(portico|\.\/myservice|(.*\/)?\.bin\/portico)$/;
  const at = words.findIndex((word) => !/^\w+=/.test(word));
  const before = ['npx', 'systemd-socket-activate'].includes(words[at] ?? '');
  const found = before ? words.findIndex((word) => starts.test(word)) : at;
  return starts.test(words[found] ?? '') ? words.slice(found + 1) : null;
}

function serves(line: string): boolean {
  const args = argumentsOf(line);
  if (args === null || args[0] === 'build') return false;
  const { command, flags } = parseInvocation(args);
  return command === 'run' && flags.actions.size === 0;
}

/** Whether `printed` has these lines, in their order. Numbers and lengths of space may differ, "…" is anything. */
export function missingLine(lines: readonly string[], printed: string): string | null {
  let from = 0;
  for (const line of lines) {
    const pieces = line.trim().split(/(…|\d[\d.]*|\s+)/);
    const source = pieces.map((piece, index) => {
      if (index % 2 === 0) return piece.replaceAll(/[$()*+.?[\\\]^{|}]/g, '\\$&');
      return piece === '…' ? '.*' : /\d/.test(piece) ? '\\d[\\d.]*' : '[ \\t]+';
    });
    const match = new RegExp(`^[ \\t]*${source.join('')}[ \\t]*\\r?$`, 'm').exec(
      printed.slice(from),
    );
    if (match === null) return line;
    from += match.index + match[0].length;
  }
  return null;
}
