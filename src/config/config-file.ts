// Finds the config file and reads it, whatever it is written in.

import { existsSync, readFileSync, statSync } from 'node:fs';
import { basename, extname, join, relative, resolve } from 'node:path';
import { parse as parseToml, TomlError } from 'smol-toml';
import { quote } from './assignment.ts';
import { runConfigCode } from './config-code.ts';
import { parseYaml } from './config-yaml.ts';
import { FileFault, type FileValue } from './file-value.ts';

const codeEndings = ['.ts', '.mts', '.mjs', '.js', '.cjs'];
const dataEndings = ['.json', '.yaml', '.yml', '.toml'];
export const configFileNames = [...codeEndings, ...dataEndings].map(
  (ending) => `portico.config${ending}`,
);

/** A config holds some dozens of values: more than this is a mistake, such as a path to a log. */
const fileBytesMax = 1024 ** 2;

export interface ConfigFile {
  /** Absolute. */
  readonly path: string;
  /** As it is shown: relative where it is below the current directory. */
  readonly shown: string;
  readonly values: readonly FileValue[];
}

export type Found = { readonly path: string | null } | { readonly problem: string };

/** The file that was named (relative to `cwd`), or the one portico.config.* in `dir`. */
export function findConfigFile(options: { named: string | null; cwd: string; dir: string }): Found {
  if (options.named !== null) {
    const path = resolve(options.cwd, options.named);
    return existsSync(path) ? { path } : { problem: `No config file at ${path}` };
  }
  const names = configFileNames.filter((name) => existsSync(join(options.dir, name)));
  if (names.length > 1)
    return {
      problem: `More than one config file in ${options.dir}: ${names.join(', ')}; keep one, or name it with --config`,
    };
  return { path: names.length === 1 ? join(options.dir, names[0]!) : null };
}

/** Whether reading the file runs code of the user's. */
export function isCode(path: string): boolean {
  return codeEndings.includes(extname(path));
}

export type ReadFile = ConfigFile | { readonly problem: string };

export async function readConfigFile(path: string, cwd: string): Promise<ReadFile> {
  const below = relative(cwd, path);
  const shown = below !== '' && !below.startsWith('..') ? below : path;
  try {
    const values = isCode(path) ? fromObject(await runConfigCode(path)) : readData(path);
    return { path, shown, values };
  } catch (error) {
    const { line, message } = faultOf(error, path);
    return { problem: `Cannot read ${shown}${line === null ? '' : `:${line}`}: ${message}` };
  }
}

function readData(path: string): FileValue[] {
  const ending = extname(path);
  if (!dataEndings.includes(ending))
    throw new Error(
      `expected a file that ends in ${[...codeEndings, ...dataEndings].join(', ')}, not ${basename(path)}`,
    );
  if (statSync(path).size > fileBytesMax) throw new Error('it is larger than 1 MB');
  const text = readFileSync(path, 'utf8').replace(/^\uFEFF/, '');
  if (ending === '.yaml' || ending === '.yml') return parseYaml(text);
  if (ending === '.json') {
    return withLines(fromObject(parseJson(text)), text, (key) => `"${literal(key)}"\\s*:`);
  }
  return withLines(
    fromObject(parseToml(text)),
    text,
    (key) => `(?<=^\\s*\\[?\\s*)"?${literal(key)}"?\\s*[=.\\]]`,
  );
}

/** Own properties only, so that a "__proto__" is just an unknown key. */
export function fromObject(value: unknown): FileValue[] {
  if (value === null || typeof value !== 'object' || Array.isArray(value))
    throw new Error(`expected an object of settings, got ${describe(value)}`);
  return Object.entries(value).map(([key, raw]) => ({ key, raw, line: null }));
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  return Array.isArray(value) ? 'an array' : `a ${typeof value}`;
}

/** Neither JSON.parse nor smol-toml tells positions: a key that stands once is where it stands. */
function withLines(
  values: FileValue[],
  text: string,
  pattern: (key: string) => string,
): FileValue[] {
  return values.map(({ key, raw }) => {
    const hits = [...text.matchAll(new RegExp(pattern(key), 'gm'))];
    const line = hits.length === 1 ? lineAt(text, hits[0]!.index) : null;
    return { key, raw, line };
  });
}

function literal(key: string): string {
  return key.replaceAll(/[^\w]/g, '\\$&');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    // Not every message has the position, and the words around it differ from Node to Node.
    const match = /^(.*?)(?: in JSON)? at position (\d+)/.exec(messageOf(error));
    if (match === null) throw error;
    throw new FileFault(match[1]!, lineAt(text, Number(match[2])));
  }
}

function faultOf(error: unknown, path: string): { line: number | null; message: string } {
  if (error instanceof FileFault) return error;
  if (error instanceof TomlError) {
    const message = error.message.split('\n', 1)[0]!.replace(/^Invalid TOML document: /, '');
    return { line: error.line, message };
  }
  // A stack names the file: of a syntax error in its first line, of a thrown error in a frame.
  const stack = error instanceof Error ? (error.stack ?? '') : '';
  const at = stack.indexOf(`${path}:`);
  const line = at === -1 ? null : /^\d+/.exec(stack.slice(at + path.length + 1));
  return { line: line === null ? null : Number(line[0]), message: messageOf(error) };
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return `it threw ${quote(error)}`;
  // jiti's own: "ParseError: Unexpected token \n /path:1:18".
  return error.message.replace(/^ParseError: (.*?)\s*\n[\s\S]*$/, '$1');
}

function lineAt(text: string, index: number): number {
  return text.slice(0, index).split('\n').length;
}
