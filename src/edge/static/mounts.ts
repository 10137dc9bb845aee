// Which static mount a request target falls under, and what the rest of it names there. Pure.

import type { StaticMount } from '../../config/config.ts';
import { normalizePath } from '../../http/target.ts';

/** What a target names under a mount. */
export interface NamedPath {
  readonly mount: StaticMount;
  /** Decoded, none of them "", "." or "..", nor hidden where the mount says so. Null: no file of ours can have such a name. */
  readonly segments: readonly string[] | null;
  /** It ended in "/": only a directory can be meant. */
  readonly trailingSlash: boolean;
}

/** Finds the mount for a target; null when it is the app's. */
export type MatchMount = (target: string) => NamedPath | null;

/** The longest prefix wins; a prefix matches whole segments: /a matches /a and /a/b, not /ab. What
 *  is matched is the path decoded and resolved, as nginx does it: /%61/b and /x/../a/b are under
 *  /a, and /a/../b is not. */
export function createMatch(mounts: readonly StaticMount[]): MatchMount {
  const sorted = mounts
    .map((mount) => ({ mount, prefix: withoutTrailingSlash(mount.prefix) }))
    .sort((a, b) => b.prefix.length - a.prefix.length);
  return (target) => {
    const query = target.indexOf('?');
    const raw = query === -1 ? target : target.slice(0, query);
    const normal = normalizePath(raw);
    const path = typeof normal === 'string' ? normal : raw;
    for (const { mount, prefix } of sorted) {
      if (!path.startsWith(prefix)) continue;
      const after = path.charCodeAt(prefix.length);
      const atEnd = prefix !== '' && Number.isNaN(after);
      if (after !== slash && !atEnd) continue;
      // Bytes that are no UTF-8, NUL, or more ".." than there are directories: not the app's, since
      // it asks for a file, and no file's name.
      const segments =
        typeof normal === 'string' ? split(path.slice(prefix.length), mount, prefix === '') : null;
      return { mount, segments, trailingSlash: path.endsWith('/') };
    }
    return null;
  };
}

const slash = 0x2f;

/** The canonical path of a directory under its mount, for redirects: never "//host". */
export function directoryUrl(named: NamedPath): string {
  const parts = [
    withoutTrailingSlash(named.mount.prefix).slice(1),
    ...(named.segments ?? []).map(encodeURIComponent),
  ];
  return `/${parts.map((part) => (part === '' ? '' : `${part}/`)).join('')}`;
}

/** Hidden files (.git, .env) are not served unless the mount says so, and whatever begins with a dot
 *  is one, but for /.well-known/, which is there to be read by all (RFC 8615). "." and ".." are
 *  resolved by now, and are refused here once more. A backslash separates elsewhere. */
function split(path: string, mount: StaticMount, isAtRoot: boolean): string[] | null {
  const segments = path.split('/').filter((segment) => segment !== '');
  const isHidden = mount.dotfiles === 'allow' ? /^\.\.?$/ : /^\./;
  const isSafe = segments.every(
    (segment, at) =>
      !/[\\\0]/.test(segment) &&
      (!isHidden.test(segment) || (isAtRoot && at === 0 && segment === '.well-known')),
  );
  return isSafe ? segments : null;
}

function withoutTrailingSlash(prefix: string): string {
  return prefix.endsWith('/') ? prefix.slice(0, -1) : prefix;
}
