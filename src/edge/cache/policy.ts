// Whether a response may be kept and for how long it is fresh, by http-cache-semantics; and, from
// what it says, what a later request may be given. Pure: the time is an argument.

import CachePolicy from 'http-cache-semantics';
import type { Fields } from '../../http/exchange.ts';
import { varyNames } from './key.ts';
import type { Wants } from './wants.ts';

/** What of a response decides over its reuse. Times on one clock, in ms. */
export interface Freshness {
  /** When its age was 0. */
  readonly bornMs: number;
  /** From then on; 0 = has to be validated each time. */
  readonly freshForMs: number;
  /** After that: may be served while it is refreshed; may be served when the app fails. */
  readonly whileRevalidateMs: number;
  readonly ifErrorMs: number;
  /** Never served stale, whatever a client accepts. */
  readonly mustRevalidate: boolean;
  /** s-maxage: a client's max-stale does not move it (RFC 9111 section 4.2.4). */
  readonly sharedLimit: boolean;
  /** Fresh by cacheDefaultTtl only: the app did not say that it is for all. */
  readonly anonymousOnly: boolean;
}

export interface JudgeOptions {
  readonly wants: Wants;
  readonly status: number;
  readonly fields: Fields;
  readonly nowMs: number;
  /** For responses that say nothing of their freshness; 0 = they are not stored. */
  readonly defaultTtlMs: number;
  /** Set-Cookie does not keep a response out: it is stored without. */
  readonly dropSetCookie: boolean;
}

export type Judgement =
  | { readonly store: true; readonly freshness: Freshness; readonly vary: readonly string[] }
  | { readonly store: false; readonly why: string };

/** No cache is meant to keep anything for longer (RFC 9111 section 1.2.2), and numbers stay exact. */
const lifetimeMsMax = 2 ** 31 * 1000;
/** Statuses that the default TTL is for: those that are cacheable by default and whole. */
const defaultTtlStatuses = new Set([200, 203, 301, 308, 404, 410]);

/** The library's clock; set before each use, which ends before anything else runs. */
let clockMs = 0;
class Policy extends CachePolicy {
  now(): number {
    return clockMs;
  }
}

export function judge(options: JudgeOptions): Judgement {
  const { wants, status, nowMs } = options;
  const headers = joined(options.fields);
  // To the library it means "never fresh"; it speaks of stale responses only (RFC 9111 section 5.2.2.8).
  const proxyRevalidate = /\bproxy-revalidate\b/.test(headers['cache-control'] ?? '');
  if (proxyRevalidate)
    headers['cache-control'] = headers['cache-control']!.replaceAll(/\bproxy-revalidate\b/g, '');
  if (headers['set-cookie'] !== undefined && !options.dropSetCookie) return no('set-cookie');
  delete headers['set-cookie'];
  const vary = varyNames(headers.vary);
  if (vary === null) return no('vary');
  delete headers.vary;
  if (wants.noStore) return no('no-store');
  clockMs = nowMs;
  const request: Record<string, string> = { host: '' };
  if (wants.authorization !== null) request.authorization = wants.authorization;
  const policy = new Policy({ method: 'GET', url: '', headers: request }, { status, headers }, how);
  if (!policy.storable()) return no('not-storable');
  const said: Record<string, string | boolean> = policy.toObject().rescc;
  if (isGarbled(headers['cache-control'] ?? '', 'no-cache' in said)) return no('garbled');
  const ageMs = Math.max(0, policy.age() * 1000);
  const declares = proxyRevalidate || declaresFreshness(said, headers);
  const byDefault = !declares && options.defaultTtlMs > 0 && defaultTtlStatuses.has(status);
  // Without a word on freshness nothing is known of whom a response is for, so a guess from
  // Last-Modified, which RFC 9111 section 4.2.2 allows, is not made.
  if (!declares && !byDefault) return no('no-freshness');
  const anonymousOnly = byDefault && said.public === undefined;
  if (anonymousOnly && wants.isPersonal) return no('personal');
  const freshForMs = byDefault ? options.defaultTtlMs : policy.maxAge() * 1000;
  const freshness: Freshness = {
    bornMs: nowMs - Math.min(ageMs, lifetimeMsMax),
    freshForMs: Math.max(0, Math.min(freshForMs, lifetimeMsMax)),
    whileRevalidateMs: seconds(said['stale-while-revalidate']) * 1000,
    ifErrorMs: seconds(said['stale-if-error']) * 1000,
    mustRevalidate: proxyRevalidate || 'must-revalidate' in said || 'no-cache' in said,
    sharedLimit: 's-maxage' in said,
    anonymousOnly,
  };
  const isOfUse =
    remainingMs(freshness, nowMs) + freshness.whileRevalidateMs + freshness.ifErrorMs > 0 ||
    headers.etag !== undefined ||
    headers['last-modified'] !== undefined;
  return isOfUse ? { store: true, freshness, vary } : no('stale-at-once');
}

const how = { shared: true, cacheHeuristic: 0, immutableMinTimeToLive: 0 };

function no(why: string): Judgement {
  return { store: false, why };
}

/** Whether an app may have meant less than what was understood: "max-age=60; private" is one directive
 *  to the library, and the response one user's. A no-cache that was understood is heeded. */
function isGarbled(cacheControl: string, saysNoCache: boolean): boolean {
  if (cacheControl.replaceAll(/"[^"]*"/g, '').includes(';')) return true;
  if (/\b(?:private|no-store)\b/.test(cacheControl)) return true;
  return !saysNoCache && /\bno-cache\b/.test(cacheControl);
}

/** What the library reads, in the form it reads: names and directives in lower case. */
function joined(fields: Fields): Record<string, string> {
  const headers: Record<string, string> = Object.create(null) as Record<string, string>;
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at]!.toLowerCase();
    const value = fields[at + 1]!;
    const former = headers[name];
    headers[name] = former === undefined ? value : `${former}, ${value}`;
  }
  const cacheControl = headers['cache-control'];
  if (cacheControl !== undefined) headers['cache-control'] = cacheControl.toLowerCase();
  return headers;
}

function declaresFreshness(
  said: Record<string, unknown>,
  headers: Record<string, string>,
): boolean {
  const directives = ['max-age', 's-maxage', 'no-cache', 'must-revalidate'];
  return headers.expires !== undefined || directives.some((name) => name in said);
}

function seconds(value: unknown): number {
  return typeof value === 'string' && /^\d{1,10}$/.test(value) ? Number(value) : 0;
}

/** How long it stays fresh; negative: for how long it has been stale. */
export function remainingMs({ bornMs, freshForMs }: Freshness, nowMs: number): number {
  return bornMs + freshForMs - nowMs;
}

/** fresh: give it. behind: give it, though stale, and refresh it. ask: the app has to be asked
 *  first, because it is stale or because the request wants it so. */
export type Verdict = 'fresh' | 'behind' | 'ask-stale' | 'ask-request';

export function decide(freshness: Freshness, wants: Wants, nowMs: number): Verdict {
  const leftMs = remainingMs(freshness, nowMs);
  if (wants.noCache) return 'ask-request';
  if (nowMs - freshness.bornMs > wants.maxAgeMs) return 'ask-request';
  if (leftMs > 0) return leftMs >= wants.minFreshMs ? 'fresh' : 'ask-request';
  if (freshness.mustRevalidate || wants.minFreshMs > 0) return 'ask-stale';
  if (-leftMs < freshness.whileRevalidateMs) return 'behind';
  if (!freshness.sharedLimit && wants.maxStaleMs > 0 && -leftMs <= wants.maxStaleMs) return 'fresh';
  return 'ask-stale';
}

/** Whether it may stand in for an answer the app failed to give (RFC 5861 section 4). */
export function standsIn(freshness: Freshness, nowMs: number): boolean {
  const leftMs = remainingMs(freshness, nowMs);
  if (leftMs > 0) return true;
  return !freshness.mustRevalidate && -leftMs < freshness.ifErrorMs;
}

/** Statuses that stale-if-error speaks of. */
export function isServerError(status: number): boolean {
  return status === 500 || (status >= 502 && status <= 504);
}
