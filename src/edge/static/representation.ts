// What a file is sent as: media type, validators and fields, for itself and for each compressed sibling.

import { lstatSync } from 'node:fs';
import { basename, join } from 'node:path';
import { contentType } from 'mime-types';
import type { StaticMount } from '../../config/config.ts';
import type { Validators } from '../../http/conditions.ts';
import type { Fields } from '../../http/exchange.ts';
import { type PreparedHead, prepareHead } from '../../http/prepared-head.ts';
import { isFingerprinted } from './fingerprint.ts';
import { type FileStats, type Located, locate } from './locate.ts';

export type LocatedFile = Extract<Located, { kind: 'file' }>;

/** One way to send a file. */
export interface Representation {
  readonly file: LocatedFile;
  /** Content-Encoding; null for the file as it is. */
  readonly coding: string | null;
  readonly type: string;
  readonly validators: Validators;
  /** Of a 200, all but Content-Length. */
  readonly fields: Fields;
  readonly ok: PreparedHead;
  readonly notModified: PreparedHead;
}

/** A file and its siblings, all as they were at one moment. */
export interface Described {
  readonly plain: Representation;
  /** Smallest first. */
  readonly coded: readonly Representation[];
  /** Codings of `coded`, in their order. */
  readonly codings: readonly string[];
}

/** Ending of the sibling, its coding. */
const siblings = [
  ['.br', 'br'],
  ['.zst', 'zstd'],
  ['.gz', 'gzip'],
] as const;

/** The name of the file that a name with such an ending may belong to. */
export function sourceOf(name: string): string | null {
  const ending = siblings.find(([end]) => name.endsWith(end))?.[0];
  return ending === undefined ? null : name.slice(0, -ending.length);
}

/** Looks for siblings and makes the heads. A sibling counts only if it is no older than its source:
 *  what was compressed before the last change is another content. */
export async function describe(
  mount: StaticMount,
  segments: readonly string[],
  file: LocatedFile,
): Promise<Described> {
  const name = segments.at(-1) ?? basename(file.path);
  const coded: { file: LocatedFile; coding: string }[] = [];
  if (mayBeCompressed(name)) {
    for (const [ending, coding] of siblings) {
      // Nearly always there is none: 2 µs to know.
      if (file.inside === undefined && !isThere(join(file.root, file.path) + ending)) continue;
      const sibling = await locate(file.root, [file.path + ending], file.root);
      if (sibling.kind === 'file' && sibling.stats.mtimeMs >= file.stats.mtimeMs)
        coded.push({ file: sibling, coding });
    }
    coded.sort((a, b) => a.file.stats.size - b.file.stats.size);
  }
  const varies = coded.length > 0;
  const common = { mount, name, varies, isFallback: segments.join('/') === mount.fallback };
  const representations = coded.map((one) => represent({ ...common, ...one }));
  return {
    plain: represent({ ...common, file, coding: null }),
    coded: representations,
    codings: coded.map(({ coding }) => coding),
  };
}

function isThere(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    // The name is too long with the ending, or whatever: locate() would say no more.
    return false;
  }
}

/** Whether nothing has changed between two looks. */
export function sameDescribed(a: Described, b: Described): boolean {
  return (
    a.coded.length === b.coded.length &&
    sameFile(a.plain.file, b.plain.file) &&
    a.coded.every((one, index) => sameFile(one.file, b.coded[index]!.file))
  );
}

function sameFile(a: LocatedFile, b: LocatedFile): boolean {
  return a.root === b.root && a.path === b.path && sameStats(a.stats, b.stats);
}

/** ctime too: a tool that restores mtime (rsync, cp -p) can't restore that. */
export function sameStats(a: FileStats, b: FileStats): boolean {
  return (
    a.dev === b.dev &&
    a.ino === b.ino &&
    a.size === b.size &&
    a.mtimeMs === b.mtimeMs &&
    a.ctimeMs === b.ctimeMs
  );
}

interface Represented {
  readonly mount: StaticMount;
  /** As asked for: the media type is that of the source. */
  readonly name: string;
  readonly file: LocatedFile;
  readonly coding: string | null;
  readonly varies: boolean;
  readonly isFallback: boolean;
}

function represent(of: Represented): Representation {
  const { mount, name, file, coding } = of;
  const { size } = file.stats;
  const type = contentType(extensionOf(name)) || 'application/octet-stream';
  const validators = {
    etag: etagOf(file, coding),
    lastModified:
      file.inside === undefined
        ? new Date(Math.floor(file.stats.mtimeMs / 1000) * 1000).toUTCString()
        : null,
  };
  const always: Fields = ['ETag', validators.etag];
  if (validators.lastModified !== null) always.push('Last-Modified', validators.lastModified);
  const cacheControl = cacheControlOf(of);
  if (cacheControl !== null) always.push('Cache-Control', cacheControl);
  if (of.varies) always.push('Vary', 'Accept-Encoding');
  const own = mount.headers.filter((_, at) => at % 2 === 0).map((one) => one.toLowerCase());
  if (own.includes('vary') && of.varies) always.push(...withoutField(mount.headers, 'vary'));
  else always.push(...mount.headers);
  const fields: Fields = [];
  if (!own.includes('content-type')) fields.push('Content-Type', type);
  fields.push('Accept-Ranges', 'bytes');
  if (coding !== null) fields.push('Content-Encoding', coding);
  fields.push(...always);
  return {
    file,
    coding,
    type,
    validators,
    fields,
    ok: prepareHead(200, fields, size),
    notModified: prepareHead(304, always, null),
  };
}

function withoutField(fields: readonly string[], lower: string): Fields {
  return fields.filter((_, at) => fields[at - (at % 2)]!.toLowerCase() !== lower);
}

/** Strong, as nginx's is: If-Range and resumed downloads need that. mtime counts in microseconds, so
 *  that two edits of equal length would have to come within one tick of the kernel's clock. */
function etagOf({ stats, inside }: LocatedFile, coding: string | null): string {
  const time = inside?.hash ?? Math.round(stats.mtimeMs * 1000).toString(36);
  return `"${time}-${stats.size.toString(36)}${coding === null ? '' : `-${coding}`}"`;
}

function cacheControlOf({ mount, name, isFallback }: Represented): string | null {
  const hasOwn = mount.headers.some(
    (field, at) => at % 2 === 0 && field.toLowerCase() === 'cache-control',
  );
  if (hasOwn) return null;
  // The page of a single-page app names the assets of its build: old, it asks for what is gone.
  if (isFallback) return 'no-cache';
  const { immutable, maxAgeMs } = mount;
  if (immutable === 'always' || (immutable === 'auto' && isFingerprinted(name)))
    return 'public, max-age=31536000, immutable';
  if (maxAgeMs === null) return null;
  return maxAgeMs === 0 ? 'no-cache' : `public, max-age=${Math.floor(maxAgeMs / 1000)}`;
}

function extensionOf(name: string): string {
  const dot = name.lastIndexOf('.');
  // mime-types takes a word without a dot for an extension: a file called "json" has none.
  return dot === -1 ? '.' : name.slice(dot);
}

/** Three looks less for what nobody compresses again. */
function mayBeCompressed(name: string): boolean {
  return !/\.(png|jpe?g|gif|webp|avif|mp[34]|webm|mov|ogg|zip|gz|br|zst|xz|7z|woff2?)$/i.test(name);
}
