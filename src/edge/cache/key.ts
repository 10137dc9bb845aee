// Under what a response is kept: the URL as the app sees it, then what Vary names. Pure.

import type { ClientFacts, Fields } from '../../http/exchange.ts';
import { fieldValues } from '../../http/fields.ts';
import { hostValid, portOf } from '../../http/host.ts';
import { sameName } from '../../http/tokens.ts';
import { toldByProxies } from './wants.ts';

/** Longer keys are not worth their memory: such requests pass by. */
export const keyCharsMax = 4096;
/** Values of the fields that Vary names, together. */
export const variantCharsMax = 2048;
/** Fields that Vary may name; a response that varies by more is not stored. */
export const varyNamesMax = 10;

export interface KeyParts {
  readonly target: string;
  readonly fields: Fields;
  /** The Host field. */
  readonly host: string;
  readonly client: ClientFacts;
  /** The peer's X-Forwarded-* reach the app. */
  readonly trusted: boolean;
}

/** "https://example.com/path?query": scheme, host and target as the app is told them, so that an
 *  answer that was made with them goes to no one who would get another. null: too long. */
export function urlKey(parts: KeyParts): string | null {
  const { client, target, trusted, fields } = parts;
  const host = (trusted ? forwardedHost(fields) : '') || parts.host;
  const key = `${client.scheme}://${withoutDefaultPort(host.toLowerCase(), client.scheme)}${target}`;
  return key.length > keyCharsMax ? null : key;
}

/** The last valid one counts, as in http/forwarded.ts. */
function forwardedHost(fields: Fields): string {
  let host = '';
  for (let at = 0; at < fields.length; at += 2) {
    const value = fields[at + 1]!;
    if (sameName(fields[at]!, 'x-forwarded-host') && hostValid(value)) host = value;
  }
  return host;
}

/** Written one way, so that a purge finds it: example.com:80 is example.com over http. */
function withoutDefaultPort(host: string, scheme: 'http' | 'https'): string {
  const end = scheme === 'http' ? ':80' : ':443';
  return host.endsWith(end) ? host.slice(0, -end.length) : host;
}

/** The key of a URL that an operator wrote; null if it is none. A path alone (from "/") stands for
 *  all hosts and schemes, and is no key. */
export function keyOfUrl(text: string): string | null {
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) return null;
  const { protocol, host, pathname, search } = new URL(text);
  return `${protocol}//${host}${pathname}${search}`;
}

/** Scheme and host of a key: what stands before the path. */
export function originOf(key: string): string {
  const slash = key.indexOf('/', key.indexOf('://') + 3);
  return slash === -1 ? key : key.slice(0, slash);
}

/** The names in Vary, lower-cased and sorted; null where no request matches ("*") or too many. */
export function varyNames(vary: string | undefined): readonly string[] | null {
  if (vary === undefined) return none;
  const names = new Set<string>();
  for (const item of vary.toLowerCase().split(',')) {
    const name = item.trim();
    if (name === '*') return null;
    if (name !== '') names.add(name);
  }
  return names.size > varyNamesMax ? null : [...names].sort();
}

const none: readonly string[] = [];

/** Tells the variants of one URL apart. null: too long. */
export function variantKey(names: readonly string[], parts: KeyParts): string | null {
  let key = forwardedPart(parts);
  for (const name of names) {
    const value = fieldValues(parts.fields, name);
    // A field that is absent matches only requests without it (RFC 9111 section 4.1).
    key += value === undefined ? '\n-' : `\n=${name === 'accept-encoding' ? folded(value) : value}`;
    if (key.length > variantCharsMax) return null;
  }
  return key;
}

/** "gzip, br" and "gzip,BR" mean the same, and every variant costs memory. */
function folded(acceptEncoding: string): string {
  return acceptEncoding.replaceAll(/\s+/g, '').toLowerCase();
}

/** What else the edge or a trusted proxy tells the app of where the request came in: links in a
 *  page may be made of it. */
function forwardedPart({ client, trusted, fields, host }: KeyParts): string {
  let part = portOf(host) === 0 ? String(client.localPort) : '';
  if (!trusted) return part;
  for (let at = 0; at < fields.length; at += 2) {
    const first = fields[at]!.charCodeAt(0) | 32;
    if (fields[at]!.length < 8 || (first !== 0x78 && first !== 0x66)) continue; // x-…, forwarded
    const name = fields[at]!.toLowerCase().replaceAll('_', '-');
    if (name === 'forwarded') part += ` ${withoutNodes(fields[at + 1]!)}`;
    else if (
      toldByProxies.has(name) ||
      (/^x-(forwarded|client-cert)-/.test(name) && !perClient.has(name))
    )
      part += ` ${name}=${fields[at + 1]!}`;
  }
  return part;
}

/** The client's address, which no answer that is for all depends on; scheme and host are in the key. */
const perClient = new Set(['x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host']);

/** Forwarded without the addresses in it. */
function withoutNodes(forwarded: string): string {
  return forwarded.replaceAll(/\b(?:for|by)=(?:"[^"]*"|[^;,]*)/gi, '');
}
