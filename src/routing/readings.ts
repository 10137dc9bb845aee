// The ways in which a path can be read, so that none of them leads past a rule that another one meets. Pure.

import { type Failure, failure } from '../errors/failure.ts';
import { normalizePath } from '../http/target.ts';

/** What a server may resolve, or cut off, or take for a separator, encoded or not. A path without has one
 *  reading. "\" is "/" to URL parsers of browsers and fetch, and what follows ";" is cut off by Java's. */
const unclear = /[\\;]|\/\/|\/\.|%(?:2[ef]|3b|5c)/i;

/** Stands for a "/" that was encoded and is data: no path that is text can hold it. */
const DATA_SLASH = '\0';

/** More ways than an honest path has, by far. */
const READINGS_MAX = 64;

export interface Readings {
  /** Decoded; the first is how Portico reads it. Several where others may read it otherwise. */
  readonly paths: readonly string[];
  /** As encoded as it came, but "." and ".." resolved and slashes merged: what can't be misread, but
   *  for encoded slashes in it. */
  readonly canonical: string;
}

/** `path`: of an origin-form target, without its query. */
export function readPath(path: string): Readings | Failure {
  const ours = path.includes('%') || unclear.test(path) ? normalizePath(path) : path;
  if (typeof ours !== 'string') return ours;
  if (!unclear.test(path)) return { paths: [ours], canonical: path };
  if (path.includes('\\')) return failure('BAD_TARGET', 'the path holds a backslash');
  // What may be done before it is decoded, and what may be done then.
  const encoded = allOf([path], (text) => changed(text, true));
  // normalizePath() has seen that all of it can be decoded.
  const decoded = allOf([ours, ...encoded.map(decode)], (text) => [
    ...changed(text, false),
    text.replaceAll(DATA_SLASH, '/'),
  ]);
  if (encoded.length > READINGS_MAX || decoded.length > READINGS_MAX)
    return failure('BAD_TARGET', 'the path can be read in too many ways');
  return { paths: decoded, canonical: resolve(path, true, true) };
}

/** All that comes of these texts, in any order and as often as it makes a difference; of too many, more than are allowed. */
function allOf(texts: readonly string[], next: (text: string) => readonly string[]): string[] {
  const all = new Set(texts);
  // A set goes on with what is added meanwhile.
  for (const text of all) {
    if (all.size > READINGS_MAX) break;
    for (const other of next(text)) all.add(other);
  }
  return [...all];
}

/** What servers do: cut parameters off, make one slash of many, resolve "." and "..", with or without. RFC 3986
 *  section 5.2.4 knows nothing of merging: there "/a//../b" is "/a/b". */
function changed(text: string, isEncoded: boolean): string[] {
  return [
    text.replace(/;[^/]*/g, ''),
    text.replace(/\/{2,}/g, '/'),
    resolve(text, isEncoded, false),
    resolve(text, isEncoded, true),
  ];
}

/** Each segment by itself, so that an encoded slash does not divide it. */
function decode(text: string): string {
  const segments = text.split('/');
  return segments
    .map((segment) => decodeURIComponent(segment).replaceAll('/', DATA_SLASH))
    .join('/');
}

/** Without "." and "..": what is behind the last of them ends in "/". */
function resolve(text: string, isEncoded: boolean, merge: boolean): string {
  const segments = text.split('/').slice(1);
  const kept: string[] = [];
  for (const [at, segment] of segments.entries()) {
    const isLast = at === segments.length - 1;
    const plain = isEncoded ? segment.replace(/%2e/gi, '.') : segment;
    if (plain === '.' || plain === '..') {
      if (plain === '..') kept.pop();
      if (isLast) kept.push('');
    } else if (segment !== '' || isLast || !merge) kept.push(segment);
  }
  return `/${kept.join('/')}`;
}
