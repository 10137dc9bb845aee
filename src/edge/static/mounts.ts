// Which static mount a request target falls under, and what the rest of it names there. Pure.

import type { StaticMount } from '../../config/config.ts';

/** Finds the mount for a target; null when there is none. */
export type MatchMount = (target: string) => StaticMount | null;

/** What a target names under its mount: decoded segments, none of them "", ".", ".." or hidden. */
export interface NamedPath {
  readonly segments: readonly string[];
  /** It ended in "/": only a directory can be meant. */
  readonly trailingSlash: boolean;
}

/** The longest prefix wins; a prefix matches whole segments: /a matches /a and /a/b, not /ab.
 *  Targets are compared as received: an encoded or dotted spelling of a prefix (/%61, /x/../a)
 *  is not under it and goes to the app, which sees exactly what the client sent. */
export function createMatch(mounts: readonly StaticMount[]): MatchMount {
  const sorted = mounts
    .map((mount) => ({ mount, prefix: mount.prefix.replace(/\/+$/, '') }))
    .sort((a, b) => b.prefix.length - a.prefix.length);
  return (target) => {
    for (const { mount, prefix } of sorted) {
      if (!target.startsWith(prefix)) continue;
      const after = target.charCodeAt(prefix.length);
      // "/", "?" or the end; the mount "/" takes every target that is a path.
      if (after === 0x2f || (prefix !== '' && (after === 0x3f || Number.isNaN(after))))
        return mount;
    }
    return null;
  };
}

/** Takes the path of a target apart; null when it can't name a file of ours. Every spelling that
 *  has made servers leave their root is refused outright rather than resolved: dot segments,
 *  encoded separators, backslashes, NUL, overlong UTF-8. Hidden files (.git, .env) are never
 *  served. Repeated slashes count as one, as in nginx. */
export function namedPath(mount: StaticMount, target: string): NamedPath | null {
  const query = target.indexOf('?');
  const path = query === -1 ? target : target.slice(0, query);
  const segments: string[] = [];
  for (const raw of path.slice(mount.prefix.replace(/\/+$/, '').length).split('/')) {
    if (raw === '') continue;
    const segment = decode(raw);
    if (segment === null || segment.startsWith('.') || /[/\\\0]/.test(segment)) return null;
    segments.push(segment);
  }
  return { segments, trailingSlash: path.endsWith('/') };
}

/** The canonical path of a directory under the mount, for redirects: never "//host". */
export function directoryUrl(mount: StaticMount, named: NamedPath): string {
  const parts = [mount.prefix.replace(/^\/+|\/+$/g, ''), ...named.segments.map(encodeURIComponent)];
  return `/${parts.map((part) => (part === '' ? '' : `${part}/`)).join('')}`;
}

function decode(raw: string): string | null {
  if (!raw.includes('%')) return raw;
  try {
    return decodeURIComponent(raw); // refuses what is not well-formed UTF-8
  } catch {
    return null;
  }
}
