// The ways in which a path can be read, so that none of them leads past a rule that another one meets. Pure.

import { type Failure, failure } from '../errors/failure.ts';
import { normalizePath } from '../http/target.ts';

/** What a server may resolve, or cut off, or take for a separator, encoded or not. A path without has one
 *  reading. "\" is "/" to URL parsers of browsers and fetch, and what follows ";" is cut off by Java's. */
const unclear = /[\\;]|\/\/|\/\.|%(?:2[ef]|3b|5c)/i;

/** Stands for a "/" that was encoded and is data: no path that is text can hold it. */
const DATA_SLASH = '\0';

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
  // normalizePath() has seen that all of it can be decoded.
  const encoded = path.split('/').slice(1);
  const data = encoded.map((segment) => decodeURIComponent(segment).replaceAll('/', DATA_SLASH));
  const readings = new Set([ours]);
  const add = (segments: readonly string[]): void => {
    readings.add(joined(segments));
    for (const how of ways) readings.add(joined(resolve(segments, segments, how)));
    if (path.includes(';') || path.includes('%')) {
      const bare = segments.map((segment) => segment.split(';', 1)[0]!);
      readings.add(joined(resolve(bare, bare, both)));
    }
  };
  add(data);
  if (data.some((segment) => segment.includes(DATA_SLASH))) {
    add(split(data));
    // As URL parsers do it: "." and ".." are resolved before it is decoded, and perhaps once more after.
    for (const how of ways) add(split(resolve(data, data, how)));
  }
  return { paths: [...readings], canonical: joined(resolve(encoded, data, both)) };
}

function split(segments: readonly string[]): string[] {
  return segments.flatMap((segment) => segment.split(DATA_SLASH));
}

interface Resolving {
  /** Runs of "/" are one. */
  readonly merge: boolean;
  /** "." and ".." are resolved. */
  readonly dots: boolean;
}

const both: Resolving = { merge: true, dots: true };
/** RFC 3986 section 5.2.4 knows nothing of merging: there "/a//../b" is "/a/b". */
const ways = [both, { merge: false, dots: true }, { merge: true, dots: false }];

/** `given` as `decoded` says. The last is empty where the path ends in "/". */
function resolve(given: readonly string[], decoded: readonly string[], how: Resolving): string[] {
  const kept: string[] = [];
  for (let at = 0; at < given.length; at++) {
    const segment = decoded[at]!;
    const isLast = at === given.length - 1;
    const isDots = how.dots && (segment === '.' || segment === '..');
    if (isDots) {
      if (segment === '..') kept.pop();
      if (isLast) kept.push('');
    } else if (segment !== '' || isLast || !how.merge) kept.push(given[at]!);
  }
  return kept;
}

function joined(segments: readonly string[]): string {
  return `/${segments.join('/')}`;
}
