// From a named path to the file that answers it: itself, a directory's index, or the mount's fallback.

import type { RequestHead } from '../../http/exchange.ts';
import { fieldValue, fieldValues } from '../../http/fields.ts';
import { isFingerprinted } from './fingerprint.ts';
import { type Located, locate } from './locate.ts';
import type { NamedPath } from './mounts.ts';
import type { LocatedFile } from './representation.ts';

/** A file, and its path below the mount as a client could name it. */
export interface FoundFile {
  readonly kind: 'file';
  readonly segments: readonly string[];
  readonly located: LocatedFile;
}

export type Found =
  | FoundFile
  /** A directory that was named without its slash. */
  | { readonly kind: 'redirect' }
  /** A directory without an index. */
  | { readonly kind: 'directory' }
  | { readonly kind: 'missing' }
  | Extract<Located, { kind: 'refused' }>;

export async function find(
  { mount, segments, trailingSlash }: NamedPath,
  root: string,
): Promise<Found> {
  if (segments === null) return { kind: 'missing' };
  const located = await locate(mount.dir, segments, root);
  if (located.kind === 'file')
    return trailingSlash ? { kind: 'missing' } : { kind: 'file', segments, located };
  if (located.kind !== 'directory') return located;
  // Without an index a directory of a tryFiles mount is the app's, in either spelling.
  if (!trailingSlash && !mount.tryFiles) return { kind: 'redirect' };
  for (const name of mount.index) {
    const index = await locate(mount.dir, [...segments, name], root);
    if (index.kind === 'refused') return index;
    if (index.kind !== 'file') continue;
    if (!trailingSlash) return { kind: 'redirect' };
    return { kind: 'file', segments: [...segments, name], located: index };
  }
  return mount.listing && !trailingSlash ? { kind: 'redirect' } : { kind: 'directory' };
}

/** The page of a single-page app for where a person wants to go; null for all else. */
export async function findFallback(
  { mount, segments }: NamedPath,
  request: RequestHead,
): Promise<FoundFile | null> {
  const name = segments?.at(-1) ?? '';
  if (mount.fallback === null || segments === null || !isNavigation(request, name)) return null;
  const path = mount.fallback.split('/');
  const located = await locate(mount.dir, path);
  return located.kind === 'file' ? { kind: 'file', segments: path, located } : null;
}

/** Browsers say so by Sec-Fetch-Mode (Fetch standard). Who doesn't is taken for one where it takes
 *  HTML or anything and names no file: a script that is missing must not come back as a page. */
function isNavigation({ fields }: RequestHead, name: string): boolean {
  // An asset of another build: the page in its place would be a syntax error at best.
  if (isFingerprinted(name)) return false;
  const mode = fieldValue(fields, 'sec-fetch-mode');
  if (mode !== undefined) return mode === 'navigate';
  const accept = fieldValues(fields, 'accept')?.toLowerCase();
  if (accept?.includes('text/html')) return true;
  const takesAnything = accept === undefined || accept.includes('*/*');
  return takesAnything && !/\.[a-z][a-z0-9]{0,10}$/i.test(name);
}
