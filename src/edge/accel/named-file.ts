// What X-Accel-Redirect and X-Sendfile of an app name: a file under a mount that is marked internal.

import { realpath } from 'node:fs/promises';
import { relative, resolve, sep } from 'node:path';
import type { StaticMount } from '../../config/config.ts';
import { createMatch, type NamedPath } from '../static/mounts.ts';

export interface NamedFile {
  /** As a client would ask for it, if it could. */
  readonly target: string;
  readonly named: NamedPath;
}

/** A URI, as nginx takes it: percent-encoded where need be, with or without a query. Bytes that a
 *  URI can't hold stand for themselves. Null: under no internal mount. */
export function namedByUri(value: string, mounts: readonly StaticMount[]): NamedFile | null {
  const target = value.replace(/[^\x21-\x7e]/g, percentEncoded);
  if (!target.startsWith('/')) return null;
  return usable(target, createMatch(mounts)(target));
}

/** An absolute path in the directory of an internal mount, taken as it is, "%" and all. */
export async function namedByPath(
  value: string,
  mounts: readonly StaticMount[],
): Promise<NamedFile | null> {
  if (!value.startsWith('/') || value.includes('\0')) return null;
  const path = resolve(fromBytes(value));
  // The deepest directory first: its mount says how the file is sent.
  const sorted = [...mounts].sort((a, b) => b.dir.length - a.dir.length);
  for (const mount of sorted) {
    // An app knows its directory by the path it was loaded from, which has no links in it.
    for (const dir of [mount.dir, await realpath(mount.dir).catch(() => mount.dir)]) {
      const inside = relative(dir, path);
      if (inside === '' || inside === '..' || inside.startsWith(`..${sep}`)) continue;
      const segments = inside.split(sep).map(encodeURIComponent);
      const target = `${mount.prefix === '/' ? '' : mount.prefix}/${segments.join('/')}`;
      return usable(target, createMatch([mount])(target));
    }
  }
  return null;
}

function usable(target: string, named: NamedPath | null): NamedFile | null {
  return named === null || named.segments === null ? null : { target, named };
}

/** Field values are Latin-1: bytes of UTF-8 one by one, or a name in Latin-1 itself. */
function fromBytes(value: string): string {
  const text = Buffer.from(value, 'latin1').toString('utf8');
  return text.includes('\ufffd') ? value : text;
}

function percentEncoded(char: string): string {
  return `%${(char.charCodeAt(0) & 255).toString(16).padStart(2, '0')}`;
}
