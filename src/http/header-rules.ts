// Changes of header fields that the settings ask for: some removed, set, added, or there by default. Pure.

import type { Exchange, Fields } from './exchange.ts';
import type { PreparedHead } from './prepared-head.ts';

/** In the order in which they are carried out. Names and values in turn; all were checked. */
export interface HeaderRules {
  /** In lower case. */
  readonly remove: readonly string[];
  /** In place of those with the same name. */
  readonly set: readonly string[];
  readonly add: readonly string[];
  /** Where there is none with the name. */
  readonly defaults: readonly string[];
}

export const noRules: HeaderRules = { remove: [], set: [], add: [], defaults: [] };

/** Null where they change nothing. */
export function compileRules(rules: HeaderRules): CompiledRules | null {
  const { remove, set, add, defaults } = rules;
  if (remove.length + set.length + add.length + defaults.length === 0) return null;
  const gone = new Set([...remove, ...namesOf(set)].map(plainName));
  const given = namesOf(defaults).map(plainName);
  return { gone, more: [...set, ...add], defaults, given };
}

export interface CompiledRules {
  readonly gone: ReadonlySet<string>;
  readonly more: readonly string[];
  readonly defaults: readonly string[];
  /** Names of the defaults. */
  readonly given: readonly string[];
}

/** `fields` stay as they are. */
export function applyRules(rules: CompiledRules, fields: readonly string[]): Fields {
  const { gone, more, defaults, given } = rules;
  const all: Fields = [];
  const there = given.length === 0 ? null : new Set<string>();
  for (let index = 0; index < fields.length; index += 2) {
    const name = plainName(fields[index]!);
    if (gone.has(name)) continue;
    there?.add(name);
    all.push(fields[index]!, fields[index + 1]!);
  }
  for (const text of more) all.push(text);
  for (const [at, name] of given.entries())
    if (!there!.has(name)) all.push(defaults[2 * at]!, defaults[2 * at + 1]!);
  return all;
}

/** The fields of an answer as its route wants them. */
export function ruledBy(
  { responseRules }: { readonly responseRules: CompiledRules | null },
  fields: Fields,
): Fields {
  return responseRules === null ? fields : applyRules(responseRules, fields);
}

/** An answer whose fields are changed can't be sent as it was prepared: responds in the usual way. */
export function respondedByRules(
  exchange: Pick<Exchange, 'respond' | 'requestId' | 'responseRules'>,
  { status, fields }: PreparedHead,
): boolean {
  if (!exchange.responseRules) return false;
  exchange.respond(status, '', [...fields, 'X-Request-Id', exchange.requestId]);
  return true;
}

/** "_" is "-" to whatever makes variables of names: a client's X_User must not stand for our X-User. */
function plainName(name: string): string {
  const lower = name.toLowerCase();
  return lower.includes('_') ? lower.replaceAll('_', '-') : lower;
}

function namesOf(fields: readonly string[]): string[] {
  return fields.filter((_, index) => index % 2 === 0);
}
