// A stored response, kept ready to be sent: fields without what belongs to one delivery, content in
// one piece. Pure.

import type { Fields } from '../../http/exchange.ts';
import { fieldValue, isHopByHopName, namedByConnection, withoutNamed } from '../../http/fields.ts';
import { sameName } from '../../http/tokens.ts';
import type { Freshness } from './policy.ts';
import { remainingMs } from './policy.ts';
import { hitStatus } from './status-field.ts';
import type { Wants } from './wants.ts';

export interface Entry {
  readonly status: number;
  readonly reason: string;
  /** As to be sent, with Date and without Age. */
  readonly fields: Fields;
  readonly body: Buffer;
  readonly etag: string | null;
  readonly lastModified: string | null;
  readonly tags: readonly string[];
  /** Replaced by a successful validation. */
  readonly freshness: Freshness;
  /** What it counts against the cache's size. */
  readonly bytes: number;
  /** Fields of a hit in this second: several hits share them. */
  ready: { readonly second: number; readonly fields: Fields } | null;
  /** No refresh behind a client's back before this: the last one failed. */
  refreshAfterMs: number;
}

/** Objects, strings' heads and places in maps that an entry takes beside its bytes; measured 700. */
const entryOverheadBytes = 1024;
/** Tags of one response, and characters of one; what goes beyond is not kept. */
const tagsMax = 128;
const tagCharsMax = 256;

export interface EntryParts {
  readonly status: number;
  readonly reason: string;
  readonly fields: Fields;
  readonly body: Buffer;
  readonly tags: readonly string[];
  readonly freshness: Freshness;
}

export function makeEntry(parts: EntryParts): Entry {
  const { fields, body, tags } = parts;
  let bytes = entryOverheadBytes + body.length;
  for (const text of fields) bytes += text.length + 16;
  for (const tag of tags) bytes += 2 * tag.length + 64;
  return {
    ...parts,
    etag: fieldValue(fields, 'etag') ?? null,
    lastModified: fieldValue(fields, 'last-modified') ?? null,
    bytes,
    ready: null,
    refreshAfterMs: 0,
  };
}

/** The fields of a response that go to its client and, but for Set-Cookie, into the store; and its
 *  tags, which are for the cache alone. */
export function splitTags(fields: Fields): { fields: Fields; tags: readonly string[] } {
  let kept: Fields | null = null;
  let tags: string[] | null = null;
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at]!;
    const isTag =
      (name.length === 9 && sameName(name, 'cache-tag')) ||
      (name.length === 13 && sameName(name, 'surrogate-key'));
    if (!isTag) {
      kept?.push(name, fields[at + 1]!);
      continue;
    }
    kept ??= fields.slice(0, at);
    tags ??= [];
    // Cache-Tag has commas between (Cloudflare, Akamai), Surrogate-Key spaces (Fastly).
    for (const tag of fields[at + 1]!.split(name.length === 9 ? ',' : /\s+/)) {
      const text = tag.trim();
      if (text !== '' && text.length <= tagCharsMax && tags.length < tagsMax) tags.push(text);
    }
  }
  return kept === null || tags === null ? { fields, tags: noTags } : { fields: kept, tags };
}

const noTags: readonly string[] = [];

/** Not stored: made anew for each delivery, or one client's. */
const perDelivery = new Set([
  'age',
  'cache-status',
  'content-length',
  'set-cookie',
  'x-request-id',
  'trailer',
]);

/** What of a response's fields is kept (RFC 9111 section 3.1). `date` is for a response without one. */
export function storedFields(
  fields: Fields,
  options: { length: number | null; date: string },
): Fields {
  let source = fields;
  const connection = fieldValue(fields, 'connection');
  const named = connection === undefined ? null : namedByConnection(connection);
  if (named !== null) source = withoutNamed(fields, named);
  const kept: Fields = [];
  let hasDate = false;
  for (let at = 0; at < source.length; at += 2) {
    const name = source[at]!;
    if (isHopByHopName(name) || perDelivery.has(name.toLowerCase())) continue;
    if (sameName(name, 'date')) hasDate = true;
    kept.push(name, source[at + 1]!);
  }
  if (!hasDate) kept.push('Date', options.date);
  if (options.length !== null) kept.push('Content-Length', String(options.length));
  return kept;
}

/** The stored fields with those of a 304 in place of theirs (RFC 9111 section 3.2): all but those
 *  that describe the content, which stays as it is. */
export function updatedFields(stored: Fields, fresh: Fields, date: string): Fields {
  const names = new Set<string>(['date']);
  const added: Fields = fieldValue(fresh, 'date') === undefined ? ['Date', date] : [];
  for (let at = 0; at < fresh.length; at += 2) {
    const lower = fresh[at]!.toLowerCase();
    if (/^content-(length|encoding|type|range)$/.test(lower)) continue;
    // The validator matched; that of compressed content is weak where the app's own may not be.
    if (lower === 'etag') continue;
    if (perDelivery.has(lower) || isHopByHopName(lower) || lower === 'vary') continue;
    names.add(lower);
    added.push(fresh[at]!, fresh[at + 1]!);
  }
  return [...withoutNamed(stored, [...names]), ...added];
}

/** Whether the client has this response already (RFC 9110 section 13.2.2). */
export function clientHasIt(
  { ifNoneMatch, ifModifiedSince }: Pick<Wants, 'ifNoneMatch' | 'ifModifiedSince'>,
  validators: { readonly etag: string | null; readonly lastModified: string | null },
): boolean {
  if (ifNoneMatch !== null) return matchesTag(ifNoneMatch, validators.etag);
  if (ifModifiedSince === null || validators.lastModified === null) return false;
  if (ifModifiedSince === validators.lastModified) return true;
  const since = Date.parse(ifModifiedSince);
  return Number.isFinite(since) && Date.parse(validators.lastModified) <= since;
}

/** Weak comparison (RFC 9110 section 8.8.3.2): W/ counts for nothing. */
function matchesTag(list: string, etag: string | null): boolean {
  if (list.trim() === '*') return true;
  if (etag === null) return false;
  const opaque = etag.replace(/^W\//, '');
  for (const [tag] of list.matchAll(/"[^"]*"/g)) if (tag === opaque) return true;
  return false;
}

/** Fields of a 304 in place of a response: without those that describe content (RFC 9110 section 15.4.5). */
export function notModifiedFields(fields: Fields): Fields {
  const kept: Fields = [];
  for (let at = 0; at < fields.length; at += 2) {
    if (/^content-(?!location$|security-policy)/i.test(fields[at]!)) continue;
    kept.push(fields[at]!, fields[at + 1]!);
  }
  return kept;
}

/** The fields of a hit, but X-Request-Id. */
export function hitFields(entry: Entry, nowMs: number, detail = ''): Fields {
  const leftMs = remainingMs(entry.freshness, nowMs);
  const second = Math.ceil(leftMs / 1000);
  if (detail === '' && entry.ready !== null && entry.ready.second === second)
    return entry.ready.fields;
  const fields = [
    ...entry.fields,
    'Age',
    ageOf(entry, nowMs),
    'Cache-Status',
    hitStatus(leftMs, detail),
  ];
  if (detail === '') entry.ready = { second, fields };
  return fields;
}

/** Whole seconds, as the Age field has it. */
export function ageOf({ freshness }: Entry, nowMs: number): string {
  return String(Math.max(0, Math.floor((nowMs - freshness.bornMs) / 1000)));
}
