// Places and paths made of a request: "https://www.example.com{path}{query}", "/v2/users/{id}". Pure.

import { hostValid } from '../../http/host.ts';
import { isTargetByte } from '../../http/tokens.ts';

/** What a template can hold of any request; of a pattern also its names, and "*" for its rest. */
const alwaysThere = ['path', 'query'] as const;
const ofPlaces = ['scheme', 'host', ...alwaysThere] as const;

/** What stands for the names; all of it is as it was in the request, so nothing is encoded twice. */
export interface TemplateValues {
  readonly scheme: string;
  readonly host: string;
  /** Without "." and ".." and with single slashes: it can't lead to another host. */
  readonly path: string;
  /** With its "?"; '' for none. */
  readonly query: string;
  readonly params: ReadonlyMap<string, string>;
}

/** Text and names in turn, beginning with text. */
export type Template = readonly string[];

/** Throws nothing: what is between braces is a name, whatever it is. */
export function parseTemplate(text: string): Template {
  return text.split(/[{}]/);
}

export function fillTemplate(template: Template, values: TemplateValues): string {
  let text = '';
  for (let at = 0; at < template.length; at++) {
    const part = template[at]!;
    text += at % 2 === 0 ? part : namedValue(part, values);
  }
  // "//host" is another host; a rest that is empty must not make one of "/{*}/{id}".
  return text.startsWith('/') ? text.replace(/^\/{2,}/, '/') : text;
}

function namedValue(name: string, values: TemplateValues): string {
  switch (name) {
    case 'scheme':
      return values.scheme;
    case 'host':
      return values.host;
    case 'path':
      return values.path;
    case 'query':
      return values.query;
    default:
      return values.params.get(name) ?? '';
  }
}

/** What is wrong with the place of a redirect, or null. The host must be settled by the settings or be
 *  the request's own: a part of a path in it would let anyone send clients anywhere. */
export function placeFault(text: string, params: readonly string[]): string | null {
  const fault = templateFault(text, [...ofPlaces, ...params]);
  if (fault !== null) return fault;
  if (text.startsWith('{path}') || /^\/(?![/\\])/.test(text)) return null;
  const match = /^(?:https?|\{scheme\}):\/\/(\{host\}(?::\d{1,5})?|[^/?#{}@]+)(.*)$/i.exec(text);
  if (match === null) return 'it begins with "/", "http://", "https://", "{scheme}://" or "{path}"';
  const [, authority, rest] = match;
  if (!hostValid(authority!.replace('{host}', 'host'))) return `${authority} is no host`;
  return rest === '' || /^([/?#]|\{path\}|\{query\})/.test(rest!)
    ? null
    : 'after the host comes "/" or {path}';
}

/** What is wrong with the path that a request is to have in place of its own, or null. */
export function rewriteFault(text: string, params: readonly string[]): string | null {
  const fault = templateFault(text, [...alwaysThere, ...params]);
  if (fault !== null) return fault;
  if (text.includes('#')) return 'no request has a "#" in it';
  return text.startsWith('/') || text.startsWith('{path}') ? null : 'it begins with "/"';
}

function templateFault(text: string, names: readonly string[]): string | null {
  if (text === '') return 'it is empty';
  let depth = 0;
  for (const letter of text) {
    if (letter === '{') depth++;
    if (letter === '}') depth--;
    if (depth < 0 || depth > 1) return 'its braces do not match';
    const code = letter.charCodeAt(0);
    if (letter !== '#' && (code > 255 || isTargetByte[code] === 0))
      return 'it holds what a URL may not hold: percent-encode it';
  }
  if (depth !== 0) return 'its braces do not match';
  for (const [index, name] of parseTemplate(text).entries())
    if (index % 2 === 1 && !names.includes(name))
      return `there is no {${name}}, but ${names.map((known) => `{${known}}`).join(', ')}`;
  return text.includes('\\') ? 'it holds a backslash' : null;
}
