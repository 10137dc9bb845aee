// What a request says about caches: its directives, its conditions, and why it has to pass by. Pure.

import type { ClientFacts, Fields, RequestHead } from '../../http/exchange.ts';
import { sameName } from '../../http/tokens.ts';

export interface Wants {
  /** As in the Host field; '' for a request without. */
  host: string;
  /** Cache-Control: no-cache, or Pragma without Cache-Control (RFC 9111 section 5.4). */
  noCache: boolean;
  noStore: boolean;
  onlyIfCached: boolean;
  /** Infinity = does not say. */
  maxAgeMs: number;
  minFreshMs: number;
  /** 0 = does not say; Infinity = any. */
  maxStaleMs: number;
  ifNoneMatch: string | null;
  ifModifiedSince: string | null;
  /** Credentials or a cookie: the answer may be for this client alone. */
  isPersonal: boolean;
  authorization: string | null;
  /** A range, a precondition that only the app can judge, or a switch of protocols. */
  passesBy: boolean;
}

/** One pass over the fields, by the length of their names first. */
export function readWants(fields: Fields, client: ClientFacts): Wants {
  const wants: Wants = {
    host: '',
    noCache: false,
    noStore: false,
    onlyIfCached: false,
    maxAgeMs: Number.POSITIVE_INFINITY,
    minFreshMs: 0,
    maxStaleMs: 0,
    ifNoneMatch: null,
    ifModifiedSince: null,
    isPersonal: false,
    authorization: null,
    passesBy: false,
  };
  // The edge tells the app who presented a certificate: that is a credential.
  if (client.tls !== null && client.tls.clientCertificate !== null) {
    wants.isPersonal = true;
    wants.authorization = 'certificate';
  }
  let cacheControl: string | null = null;
  let pragma = false;
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at]!;
    const value = fields[at + 1]!;
    switch (name.length) {
      case 4:
        if (sameName(name, 'host')) wants.host = value;
        break;
      case 5:
        if (sameName(name, 'range')) wants.passesBy = true;
        break;
      case 6:
        if (sameName(name, 'cookie')) wants.isPersonal = true;
        else if (sameName(name, 'pragma')) pragma = /no-cache/i.test(value);
        break;
      case 7:
        if (sameName(name, 'upgrade')) wants.passesBy = true;
        break;
      case 8:
        if (sameName(name, 'if-match') || sameName(name, 'if-range')) wants.passesBy = true;
        break;
      case 13:
        if (sameName(name, 'cache-control'))
          cacheControl = cacheControl === null ? value : `${cacheControl},${value}`;
        else if (sameName(name, 'if-none-match'))
          wants.ifNoneMatch = wants.ifNoneMatch === null ? value : `${wants.ifNoneMatch},${value}`;
        else if (sameName(name, 'authorization')) {
          wants.isPersonal = true;
          wants.authorization = value;
        }
        break;
      case 17:
        if (sameName(name, 'if-modified-since')) wants.ifModifiedSince = value;
        break;
      case 19:
        if (sameName(name, 'if-unmodified-since')) wants.passesBy = true;
        break;
    }
  }
  if (cacheControl !== null) readDirectives(wants, cacheControl);
  else if (pragma) wants.noCache = true;
  return wants;
}

/** RFC 9111 section 5.2.1. What is malformed is not said. */
function readDirectives(wants: Wants, cacheControl: string): void {
  for (const item of cacheControl.toLowerCase().split(',')) {
    const equals = item.indexOf('=');
    const name = (equals === -1 ? item : item.slice(0, equals)).trim();
    const ms = equals === -1 ? -1 : milliseconds(item.slice(equals + 1));
    if (name === 'no-cache') wants.noCache = true;
    else if (name === 'no-store') wants.noStore = true;
    else if (name === 'only-if-cached') wants.onlyIfCached = true;
    else if (name === 'max-stale' && equals === -1) wants.maxStaleMs = Number.POSITIVE_INFINITY;
    else if (ms < 0) continue;
    else if (name === 'max-age') wants.maxAgeMs = ms;
    else if (name === 'min-fresh') wants.minFreshMs = ms;
    else if (name === 'max-stale') wants.maxStaleMs = ms;
  }
}

/** delta-seconds, also quoted; -1 for anything else. */
function milliseconds(text: string): number {
  const match = /^\s*"?(\d{1,10})"?\s*$/.exec(text);
  return match === null ? -1 : Number(match[1]) * 1000;
}

/** Fields by which apps and their middleware let a request be another one than its URL and method
 *  say. What such a request is answered is not for others: it would be stored under the wrong URL. */
const disguises = new Set([
  'x-host',
  'x-http-host-override',
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
  'x-original-host',
  'x-original-url',
  'x-rewrite-url',
]);

/** By which proxies tell an app where a request came in: it makes links of them. Those of a trusted
 *  one are part of the key (key.ts). Lower case. */
export const toldByProxies: ReadonlySet<string> = new Set([
  'front-end-https',
  'x-original-proto',
  'x-original-uri',
  'x-scheme',
  'x-script-name',
  'x-url-scheme',
]);

/** Whether the answer to this request may be another than its URL, method and Vary promise. */
export function isDisguised({ fields }: RequestHead, trusted: boolean): boolean {
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at]!;
    const first = name.charCodeAt(0) | 32;
    if (name.length < 6 || (first !== 0x78 && first !== 0x66)) continue; // x-…, front-end-https
    const lower = name.toLowerCase().replaceAll('_', '-');
    if (disguises.has(lower) || (!trusted && toldByProxies.has(lower))) return true;
  }
  return false;
}
