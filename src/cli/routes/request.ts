// Reads the request of `portico routes test [METHOD] URL [-H 'Name: value']`.

import type { Fields } from '../../http/exchange.ts';
import { fieldNameValid, fieldValueValid } from '../../http/fields.ts';
import { isToken } from '../../http/tokens.ts';
import type { Asker } from '../../routing/onward.ts';

/** Takes -H and --header with their values out of a command line. */
export function takeHeaders(argv: readonly string[]): { headers: string[]; rest: string[] } {
  const headers: string[] = [];
  const rest: string[] = [];
  for (let at = 0; at < argv.length; at++) {
    const argument = argv[at]!;
    if (argument === '-H' || argument === '--header') headers.push(argv[++at] ?? '');
    else if (argument.startsWith('--header=')) headers.push(argument.slice(9));
    else if (/^-H./.test(argument)) headers.push(argument.slice(2));
    else rest.push(argument);
  }
  return { headers, rest };
}

/** What is wrong with it, as text. The URL is taken as it stands: a URL parser would resolve its path. */
export function requestOf(args: readonly string[], headers: readonly string[]): Asker | string {
  const [method, url] = args.length > 1 ? args : ['GET', args[0]];
  if (url === undefined || args.length > 2)
    return "portico routes test needs [METHOD] URL: portico routes test https://example.com/api -H 'Accept: text/html'";
  if (!isToken(method!)) return `Cannot use ${JSON.stringify(method)}: it is no method`;
  const match = /^(?:(https?):\/\/([^/?#]+))?(\/[!-"$-~]*|\?[!-"$-~]*|\*)?$/i.exec(url);
  if (match === null || url === '')
    return `Cannot use ${JSON.stringify(url)}: expected a URL such as https://example.com/api, or a path`;
  const [, scheme = 'http', authority, given = '/'] = match;
  const target = given.startsWith('?') ? `/${given}` : given;
  const fields: Fields = authority === undefined ? [] : ['Host', authority];
  for (const header of headers) {
    const colon = header.indexOf(':');
    const name = header.slice(0, Math.max(colon, 0));
    const value = header.slice(colon + 1).trim();
    if (!fieldNameValid(name) || !fieldValueValid(value))
      return `Cannot use -H ${JSON.stringify(header)}: expected 'Name: value'`;
    fields.push(name, value);
  }
  return {
    scheme: scheme.toLowerCase(),
    request: { method: method!, target, version: '1.1', fields },
  };
}
