// The path of a request target as routes and static mounts match it.

import { type Failure, failure } from '../errors/failure.ts';
import { hexValue } from './tokens.ts';

const SLASH = 47;
const DOT = 46;
const PERCENT = 37;

/**
 * The path as routes and files see it: percent-decoded once, "." and ".." resolved, runs of "/"
 * made one, as nginx does by default. An encoded "/" counts as "/" and so can't hide a "..". What is
 * decoded is text, so bytes that are no UTF-8 are refused, as are NUL and a ".." above the root.
 * Match on this, never on the raw target; pass the raw target on.
 */
export function normalizePath(path: string): string | Failure {
  if (path.charCodeAt(0) !== SLASH)
    return failure('BAD_TARGET', 'the path does not begin with "/"');
  if (isNormal(path)) return path;
  let decoded = path;
  if (path.includes('%')) {
    if (!percentValid(path))
      return failure('BAD_TARGET', 'the path holds a "%" without two digits');
    try {
      decoded = decodeURIComponent(path);
    } catch {
      return failure('BAD_TARGET', 'the path is not UTF-8 once decoded');
    }
    if (decoded.includes('\0')) return failure('BAD_TARGET', 'the path holds NUL');
  }
  return resolveSegments(decoded);
}

/** Nothing to decode, resolve or merge: nearly every path, told in one pass without a copy. */
function isNormal(path: string): boolean {
  let previous = 0;
  for (let at = 0; at < path.length; at++) {
    const code = path.charCodeAt(at);
    if (code === PERCENT || code === 0) return false;
    if (previous === SLASH && (code === SLASH || code === DOT)) return false;
    previous = code;
  }
  return true;
}

function percentValid(path: string): boolean {
  for (let at = path.indexOf('%'); at !== -1; at = path.indexOf('%', at + 1)) {
    if (at + 2 >= path.length) return false;
    if (hexValue[path.charCodeAt(at + 1) & 255] === 255) return false;
    if (hexValue[path.charCodeAt(at + 2) & 255] === 255) return false;
  }
  return true;
}

function resolveSegments(path: string): string | Failure {
  const segments = path.split('/');
  const last = segments.at(-1);
  const kept: string[] = [];
  for (const segment of segments) {
    if (segment === '' || segment === '.') continue;
    if (segment !== '..') kept.push(segment);
    else if (kept.pop() === undefined) {
      return failure('BAD_TARGET', 'the path leads above the root');
    }
  }
  const isFolder = last === '' || last === '.' || last === '..';
  return kept.length === 0 ? '/' : `/${kept.join('/')}${isFolder ? '/' : ''}`;
}
