// Conditional requests (RFC 9110 section 13): whether a representation is sent, in whole or in part, or not at all.

import type { Fields, RequestHead } from './exchange.ts';
import { sameName } from './tokens.ts';

/** The request fields that decide what of a representation is sent. Values as received; a field
 *  that is there twice is joined by a comma. */
export interface Asked {
  readonly ifMatch: string | undefined;
  readonly ifNoneMatch: string | undefined;
  readonly ifModifiedSince: string | undefined;
  readonly ifUnmodifiedSince: string | undefined;
  readonly ifRange: string | undefined;
  readonly range: string | undefined;
  readonly acceptEncoding: string | undefined;
}

export interface Validators {
  /** With its quotes, and W/ where it is weak. */
  readonly etag: string;
  /** IMF-fixdate; null where nobody knows: then no date is one that fits. */
  readonly lastModified: string | null;
}

export type Verdict = 'send' | 'not-modified' | 'failed';

/** What a request without any of these fields asks, which is most of them: no object is made. */
export const askedNothing: Asked = {
  ifMatch: undefined,
  ifNoneMatch: undefined,
  ifModifiedSince: undefined,
  ifUnmodifiedSince: undefined,
  ifRange: undefined,
  range: undefined,
  acceptEncoding: undefined,
};

type Mutable = { -readonly [K in keyof Asked]: Asked[K] };

/** Read once of fields that come again. */
export function askedBy({ fields, repeats }: RequestHead): Asked {
  if (repeats?.fields !== fields) return askedOf(fields);
  repeats.asked ??= askedOf(fields);
  return repeats.asked;
}

/** Reads the fields in one pass, told apart by their length first. */
export function askedOf(fields: Fields): Asked {
  let asked: Mutable | null = null;
  for (let index = 0; index < fields.length; index += 2) {
    const key = keyOf(fields[index]!);
    if (key === null) continue;
    asked ??= { ...askedNothing };
    const former = asked[key];
    asked[key] = former === undefined ? fields[index + 1]! : `${former}, ${fields[index + 1]!}`;
  }
  return asked ?? askedNothing;
}

function keyOf(name: string): keyof Asked | null {
  switch (name.length) {
    case 5:
      return sameName(name, 'range') ? 'range' : null;
    case 8:
      if (sameName(name, 'if-match')) return 'ifMatch';
      return sameName(name, 'if-range') ? 'ifRange' : null;
    case 13:
      return sameName(name, 'if-none-match') ? 'ifNoneMatch' : null;
    case 15:
      return sameName(name, 'accept-encoding') ? 'acceptEncoding' : null;
    case 17:
      return sameName(name, 'if-modified-since') ? 'ifModifiedSince' : null;
    case 19:
      return sameName(name, 'if-unmodified-since') ? 'ifUnmodifiedSince' : null;
    default:
      return null;
  }
}

/** For GET and HEAD, in the order of section 13.2.2. */
export function evaluate(asked: Asked, validators: Validators): Verdict {
  const { ifMatch, ifUnmodifiedSince, ifNoneMatch, ifModifiedSince } = asked;
  if (ifMatch !== undefined) {
    if (!matchesStrongly(ifMatch, validators.etag)) return 'failed';
  } else if (ifUnmodifiedSince !== undefined) {
    const since = parseHttpDate(ifUnmodifiedSince);
    if (since !== null && Date.parse(validators.lastModified ?? '') > since) return 'failed';
  }
  if (ifNoneMatch !== undefined)
    return matchesWeakly(ifNoneMatch, validators.etag) ? 'not-modified' : 'send';
  if (ifModifiedSince !== undefined) {
    if (ifModifiedSince === validators.lastModified) return 'not-modified';
    const since = parseHttpDate(ifModifiedSince);
    if (since !== null && Date.parse(validators.lastModified ?? '') <= since) return 'not-modified';
  }
  return 'send';
}

/** Section 13.1.5: a part is sent only to whom has exactly this representation, else the whole. A
 *  date has to be the very one, as text: then nothing has to be guessed of how strong it is. */
export function rangeApplies(asked: Asked, validators: Validators): boolean {
  const { ifRange, range } = asked;
  if (range === undefined) return false;
  if (ifRange === undefined) return true;
  const given = ifRange.trim();
  if (given.startsWith('"') || given.startsWith('W/'))
    return given === validators.etag && !given.startsWith('W/');
  return given === validators.lastModified;
}

function matchesStrongly(list: string, etag: string): boolean {
  if (list.trim() === '*') return true;
  return !etag.startsWith('W/') && tagsOf(list).includes(etag);
}

function matchesWeakly(list: string, etag: string): boolean {
  // Nearly always it is one tag, just as it was sent.
  if (list === etag) return true;
  if (list.trim() === '*') return true;
  const opaque = withoutWeak(etag);
  return tagsOf(list).some((tag) => withoutWeak(tag) === opaque);
}

function withoutWeak(tag: string): string {
  return tag.startsWith('W/') ? tag.slice(2) : tag;
}

/** The entity tags of a list; a comma may stand within the quotes. */
function tagsOf(list: string): string[] {
  return list.match(/(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g) ?? [];
}

const fixdate = /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/;
const rfc850 =
  /^(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (\d\d)-([A-Z][a-z]{2})-(\d\d) (\d\d:\d\d:\d\d) GMT$/;
const asctime =
  /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) ([A-Z][a-z]{2}) ([ \d]\d) (\d\d:\d\d:\d\d) (\d{4})$/;

/** Any of the three forms of section 5.6.7 as ms since 1970; null for what is none. */
export function parseHttpDate(text: string): number | null {
  let plain = text;
  if (!fixdate.test(text)) {
    const old = rfc850.exec(text);
    const older = asctime.exec(text);
    // Two digits of a year: those of the last century from 70 on, as far as a file can be old.
    if (old !== null)
      plain = `${old[1]} ${old[2]} ${Number(old[3]) < 70 ? 20 : 19}${old[3]} ${old[4]} GMT`;
    else if (older !== null) plain = `${older[2]} ${older[1]} ${older[4]} ${older[3]} GMT`;
    else return null;
  }
  const ms = Date.parse(plain);
  return Number.isNaN(ms) ? null : ms;
}
