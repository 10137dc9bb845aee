// The page that lists a directory, and the same as JSON.

import type { Dirent } from 'node:fs';
import { lstat, opendir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import type { StaticMount } from '../../config/config.ts';
import type { Exchange, Fields } from '../../http/exchange.ts';
import { fieldValues } from '../../http/fields.ts';
import { escapeHtml } from '../../http/html.ts';
import { preferredText } from '../../http/prefers.ts';
import { ignoreContent } from '../own-answer.ts';
import { isInsideDir, locateInside, namesInside } from './inside.ts';
import { locate } from './locate.ts';
import type { NamedPath } from './mounts.ts';

/** As nginx's autoindex_format json has it, with the time as ISO 8601. */
interface Entry {
  readonly name: string;
  readonly type: 'directory' | 'file';
  readonly mtime: string;
  readonly size?: number;
}

/** More make a page that no phone shows, and a request that keeps the disk busy. */
const ENTRIES_MAX = 10_000;
/** Looks at the disk at a time. */
const BATCH = 32;

/** Answers with the list of the directory that `named` names. */
export async function serveListing(exchange: Exchange, named: NamedPath): Promise<void> {
  const { entries, isCut } = await entriesOf(named);
  const form = preferredText(fieldValues(exchange.request.fields, 'accept'));
  const isJson = form === 'json';
  const text = isJson ? `${JSON.stringify(entries)}\n` : page(named, entries, isCut);
  const content = Buffer.from(text);
  const fields: Fields = [
    'Content-Type',
    isJson ? 'application/json' : 'text/html; charset=utf-8',
    'Content-Length',
    String(content.length),
    'Cache-Control',
    'no-cache',
    'Vary',
    'Accept',
    'X-Content-Type-Options',
    'nosniff',
    'X-Request-Id',
    exchange.requestId,
  ];
  if (!isJson)
    fields.push('Content-Security-Policy', "default-src 'none'; style-src 'unsafe-inline'");
  exchange.attach(ignoreContent);
  exchange.respond(200, '', [...fields, ...without(named.mount.headers, fields)]);
  exchange.write(content);
  exchange.end([]);
}

/** The mount's own fields, but for those that the page decides. */
function without(headers: readonly string[], fields: Fields): Fields {
  const decided = new Set(fields.filter((_, at) => at % 2 === 0).map((name) => name.toLowerCase()));
  return headers.filter((_, at) => !decided.has(headers[at - (at % 2)]!.toLowerCase()));
}

async function entriesOf({ mount, segments }: NamedPath) {
  const path = segments ?? [];
  if (isInsideDir(mount.dir)) return { entries: entriesInside(mount, path), isCut: false };
  // Free of links: what leads out of the mount is not listed.
  const real = await realpath(join(await realpath(mount.dir), ...path));
  const found: Dirent[] = [];
  let isCut = false;
  for await (const entry of await opendir(real)) {
    if (!isListed(entry.name, mount.dotfiles === 'allow')) continue;
    isCut = found.length >= ENTRIES_MAX;
    if (isCut) break;
    found.push(entry);
  }
  const entries: Entry[] = [];
  for (let at = 0; at < found.length; at += BATCH) {
    const looks = found
      .slice(at, at + BATCH)
      .map((entry) => look(entry, real, [...path, entry.name], mount.dir));
    for (const entry of await Promise.all(looks)) if (entry !== null) entries.push(entry);
  }
  return { entries: entries.sort(byKindAndName), isCut };
}

/** There are no times inside an executable. */
function entriesInside(mount: StaticMount, path: readonly string[]): Entry[] {
  return namesInside(mount.dir, path)
    .filter(({ name }) => isListed(name, mount.dotfiles === 'allow'))
    .map(({ name, isDirectory }): Entry => {
      if (isDirectory) return { name, type: 'directory', mtime: '' };
      const located = locateInside(mount.dir, [...path, name]);
      const size = located.kind === 'file' ? located.stats.size : 0;
      return { name, type: 'file', mtime: '', size };
    })
    .sort(byKindAndName);
}

/** What can't be asked for is not shown: hidden names, names that are no UTF-8 or hold a backslash. */
function isListed(name: string, dotfiles: boolean): boolean {
  return (dotfiles || !name.startsWith('.')) && !/[\\\ufffd]/.test(name);
}

async function look(
  entry: Dirent,
  dir: string,
  segments: readonly string[],
  root: string,
): Promise<Entry | null> {
  if (entry.isSymbolicLink()) {
    const located = await locate(root, segments);
    if (located.kind === 'file') return described(entry.name, located.stats, 'file');
    if (located.kind !== 'directory') return null;
  } else if (!entry.isFile() && !entry.isDirectory()) return null;
  const stats = await lstat(join(dir, entry.name)).catch(() => null);
  if (stats === null) return null;
  return described(entry.name, stats, entry.isFile() ? 'file' : 'directory');
}

function described(
  name: string,
  stats: { readonly size: number; readonly mtimeMs: number },
  type: Entry['type'],
): Entry {
  const mtime = new Date(Math.floor(stats.mtimeMs / 1000) * 1000);
  const base = { name, type, mtime: mtime.toISOString().replace('.000', '') };
  return type === 'file' ? { ...base, size: stats.size } : base;
}

const collator = new Intl.Collator('en', { numeric: true });

function byKindAndName(a: Entry, b: Entry): number {
  if (a.type !== b.type) return a.type === 'directory' ? -1 : 1;
  return collator.compare(a.name, b.name) || (a.name < b.name ? -1 : 1);
}

function page({ mount, segments }: NamedPath, entries: readonly Entry[], isCut: boolean): string {
  const path = segments ?? [];
  const prefix = mount.prefix === '/' ? '' : mount.prefix;
  const title = escapeHtml(`${prefix}/${path.map((part) => `${part}/`).join('')}`);
  const up = path.length === 0 ? '' : row('../', '..', '', '');
  const rows = entries.map((entry) => {
    const isDirectory = entry.type === 'directory';
    const slash = isDirectory ? '/' : '';
    // "./" lest "a:b" be read as a scheme.
    const link = `./${encodeURIComponent(entry.name)}${slash}`;
    return row(
      link,
      entry.name + slash,
      entry.size === undefined ? '' : size(entry.size),
      entry.mtime,
    );
  });
  const note = isCut ? `<p>Only ${ENTRIES_MAX} entries are shown.</p>\n` : '';
  const empty = entries.length === 0 ? '<p>This directory is empty.</p>\n' : '';
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>${title}</h1>
<table>
${up}${rows.join('')}</table>
${empty}${note}</main>
<footer>Portico</footer>
</body>
</html>
`;
}

function row(link: string, name: string, bytes: string, time: string): string {
  const day =
    time === '' ? '' : `<time datetime="${time}">${time.slice(0, 16).replace('T', ' ')}</time>`;
  return `<tr><td><a href="${escapeHtml(link)}">${escapeHtml(name)}</a></td><td>${bytes}</td><td>${day}</td></tr>\n`;
}

function size(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  let value = bytes;
  for (const unit of ['KB', 'MB', 'GB']) {
    value /= 1024;
    if (value < 1000) return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${unit}`;
  }
  return `${Math.round(value / 1024)} TB`;
}

const style = `
:root { color-scheme: light dark; --paper: #f7f7f5; --ink: #1d2025; --soft: #656b75; --line: #deded9; --accent: #2f5fd0; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #15171b; --ink: #eceef1; --soft: #9aa1ac; --line: #2c3037; --accent: #8fb0ff; }
}
body { margin: 0; padding: 2rem 1rem; background: var(--paper); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
main, footer { max-width: 50rem; margin: 0 auto; }
h1 { font-size: 1.25rem; overflow-wrap: anywhere; }
table { width: 100%; border-collapse: collapse; }
td { padding: .6rem .5rem; border-bottom: 1px solid var(--line); vertical-align: top; }
td:first-child { overflow-wrap: anywhere; padding-left: 0; }
td + td { white-space: nowrap; text-align: right; color: var(--soft); font-variant-numeric: tabular-nums; }
td:last-child { padding-right: 0; }
a { color: var(--accent); text-decoration: none; }
a:hover { text-decoration: underline; }
footer { margin-top: 2rem; color: var(--soft); font-size: .8125rem; }
@media (max-width: 32rem) { td:nth-child(3) { display: none; } td:nth-child(2) { padding-right: 0; } }
`;
