// Finds the app among a module's exports: by the name the user gave, or by the usual ones.

import { nearest } from '../config/did-you-mean.ts';
import { BootError } from './boot-error.ts';
import type { LoadedModule } from './load-app.ts';

/** What `:EXPORT` says: a dotted path, and the arguments where it is a call, `create_app("x", 1)`. */
export interface ExportSpec {
  readonly path: readonly string[];
  readonly args: readonly unknown[] | null;
}

/** Tried in this order where no `:EXPORT` is given. */
export const usualNames = ['default', 'app', 'application', 'server', 'handler'] as const;

const namePattern =
  /^[\p{ID_Start}$_][\p{ID_Continue}$]*(\.[\p{ID_Start}$_][\p{ID_Continue}$]*)*$/u;

export function parseExport(text: string): ExportSpec {
  const call = /^([^(]*)\((.*)\)$/s.exec(text.trim());
  const name = (call?.[1] ?? text).trim();
  if (!namePattern.test(name)) {
    throw new BootError(
      4,
      `Cannot use the export "${text}": expected NAME, NAME.NAME or NAME(...).`,
    );
  }
  return { path: name.split('.'), args: call === null ? null : parseArguments(text, call[2]!) };
}

/** Literals only, as in Gunicorn: JSON, with single quotes allowed. */
function parseArguments(text: string, list: string): unknown[] {
  const json = list.replace(/'((?:[^'"\\]|\\.)*)'/g, '"$1"');
  try {
    return JSON.parse(`[${json}]`) as unknown[];
  } catch {
    throw new BootError(
      4,
      `Cannot use the export "${text}": its arguments may only be strings, numbers, true, false, null, arrays and objects.`,
    );
  }
}

/** The value of the export, or undefined where there is none of that name. */
export function lookUp(module: LoadedModule, path: readonly string[]): unknown {
  let value = first(module.exports, path[0]!);
  for (const name of path.slice(1)) {
    if (value === null || value === undefined) return undefined;
    const holder = value as Record<string, unknown>;
    const member = holder[name];
    value = isMethod(member) ? member.bind(holder) : member;
  }
  return value;
}

/** A plain function of an object needs its `this`; a class or a function with properties of its
 *  own (an Express app) is left as it is. */
function isMethod(value: unknown): value is (...args: unknown[]) => unknown {
  return typeof value === 'function' && Object.keys(value).length === 0 && !isClass(value);
}

export function isClass(value: unknown): boolean {
  return typeof value === 'function' && /^class\b/.test(Function.prototype.toString.call(value));
}

/** One name at the top of a module. What bundlers and transpilers put around CommonJS is looked
 *  through: `exports.default` with `__esModule`, and a default export that holds the names. */
function first(exports: unknown, name: string): unknown {
  if (exports === null || exports === undefined) return undefined;
  const own = exports as Record<string, unknown>;
  if (name === 'default') return defaultOf(exports);
  if (name in Object(exports)) return own[name];
  const inner = defaultOf(exports) as Record<string, unknown> | null | undefined;
  return inner !== null && inner !== undefined && name in Object(inner) ? inner[name] : undefined;
}

function defaultOf(exports: unknown): unknown {
  if (isNamespace(exports)) {
    const value = (exports as { default?: unknown }).default;
    return hasEsModuleFlag(value) ? (value as { default: unknown }).default : value;
  }
  return hasEsModuleFlag(exports) ? (exports as { default: unknown }).default : exports;
}

function isNamespace(value: unknown): boolean {
  return Object.prototype.toString.call(value) === '[object Module]';
}

function hasEsModuleFlag(value: unknown): boolean {
  return typeof value === 'object' && value !== null && '__esModule' in value && 'default' in value;
}

/** "app (function), config (object)": what the module offers, for messages. */
export function listExports(module: LoadedModule): string {
  const entries = namesOf(module).map((name) => `${name} (${typeof lookUp(module, [name])})`);
  return entries.length === 0 ? 'It exports nothing.' : `It exports: ${entries.join(', ')}.`;
}

export function namesOf(module: LoadedModule): string[] {
  const { exports } = module;
  if (exports === null || exports === undefined) return [];
  const names = typeof exports === 'object' ? Object.keys(exports) : ['default'];
  const inner = defaultOf(exports);
  if (inner !== null && typeof inner === 'object' && inner !== exports && isPlain(inner)) {
    names.push(...Object.keys(inner));
  }
  // 40 names tell enough; a module may export thousands.
  return [...new Set(names)]
    .filter((name) => name !== '__esModule' && name !== 'module.exports')
    .slice(0, 40);
}

function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** The sentence for a name that isn't there. */
export function missingExport(module: LoadedModule, spec: ExportSpec): BootError {
  const name = spec.path.join('.');
  const near = nearest(spec.path[0]!, namesOf(module));
  const question = near === null || near === spec.path[0] ? '' : ` Did you mean "${near}"?`;
  return new BootError(
    4,
    `${module.file} has no export "${name}". ${listExports(module)}${question}`,
  );
}
