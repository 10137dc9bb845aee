// Reads the `static` setting: where directories are mounted, and how what is in them is served. One table of fields.

import type { Fields } from '../http/exchange.ts';
import { fieldNameValid, fieldValueValid } from '../http/fields.ts';
import type { StaticMount } from './config.ts';
import { nearest } from './did-you-mean.ts';
import { defaultsOf, type FieldRow, rowsOf } from './field-rows.ts';
import {
  boolean,
  choice,
  duration,
  integer,
  type Kind,
  list,
  optional,
  readEntries,
  readParts,
  Unfit,
} from './kinds.ts';

const mountExpected =
  '/prefix=DIR, where the prefix starts with "/", or { prefix, dir, … } in a config file';
const yearMs = 365 * 86_400_000;

/** What a mount may say beside its prefix and directory. */
type Options = Omit<StaticMount, 'prefix' | 'dir'>;
const mountField = rowsOf<Options>();

/** A name of one segment; anything else would be looked for elsewhere than in the directory asked for. */
const fileName: Kind<string> = {
  expected: 'the name of a file',
  placeholder: 'FILE',
  inputType: 'string',
  flag: 'value',
  read: (raw) =>
    typeof raw === 'string' && /^[^/\\\0]+$/.test(raw) && raw !== '.' && raw !== '..'
      ? raw
      : new Unfit(),
  show: (value) => value,
};

/** A path below the mount's directory. */
const pathInside: Kind<string> = {
  ...fileName,
  expected: 'the path of a file in the directory',
  read(raw) {
    if (typeof raw !== 'string') return new Unfit();
    const segments = raw.replace(/^\.?\/+/, '').split('/');
    const fits = segments.every((segment) => !(fileName.read(segment) instanceof Unfit));
    return fits ? segments.join('/') : new Unfit();
  },
};

/** Those that are decided elsewhere: by the file, or by who sends it. */
const ownFields =
  /^(content-(length|range|encoding)|transfer-encoding|connection|date|etag|last-modified|accept-ranges)$/i;

const fieldMap: Kind<readonly string[]> = {
  expected: "fields such as { 'X-Frame-Options': 'DENY' }",
  placeholder: 'FIELDS',
  inputType: 'Readonly<Record<string, string>>',
  flag: 'value',
  read(raw) {
    if (raw === null || typeof raw !== 'object' || Array.isArray(raw)) return new Unfit();
    const fields: Fields = [];
    for (const [name, value] of Object.entries(raw)) {
      if (!fieldNameValid(name) || typeof value !== 'string' || !fieldValueValid(value))
        return new Unfit(`${name} is no field that can be sent`);
      if (ownFields.test(name)) return new Unfit(`${name} is decided by the file`);
      fields.push(name, value);
    }
    return fields;
  },
  show: (fields) => fields.filter((_, at) => at % 2 === 0).join(', ') || 'none',
};

const orBoolean = <T extends string>(kind: Kind<T>, yes: T, no: T): Kind<T> => ({
  ...kind,
  inputType: `boolean | ${kind.inputType}`,
  read: (raw) => (raw === true ? yes : raw === false ? no : kind.read(raw)),
});

/** In the order in which the docs show them. */
export const mountFields: readonly FieldRow<Options>[] = [
  mountField({
    key: 'index',
    field: 'index',
    kind: list(fileName, { repeat: false, min: 0 }),
    default: ['index.html'],
    help: 'Files that stand for their directory, the first that is there; `[]` for none',
  }),
  mountField({
    key: 'fallback',
    field: 'fallback',
    kind: optional(pathInside, 'none'),
    default: null,
    help: 'File that answers navigation to unknown paths (the page of a single-page app); a missing asset stays a 404',
  }),
  mountField({
    key: 'tryFiles',
    field: 'tryFiles',
    kind: boolean,
    default: false,
    help: 'What is no file here is the app’s, as with `try_files $uri @app`',
  }),
  mountField({
    key: 'maxAge',
    field: 'maxAgeMs',
    kind: optional(duration({ minMs: 0, maxMs: 10 * yearMs }), 'none'),
    default: null,
    help: 'Sends `Cache-Control: public, max-age=…`; 0 makes caches ask each time; `null` sends none',
  }),
  mountField({
    key: 'immutable',
    field: 'immutable',
    kind: orBoolean(
      choice(['auto', 'always', 'never'], { placeholder: 'WHEN' }),
      'always',
      'never',
    ),
    default: 'auto',
    help: 'Whose `Cache-Control` is `public, max-age=31536000, immutable`: files with a hash in their name (`auto`), all, or none',
  }),
  mountField({
    key: 'headers',
    field: 'headers',
    kind: fieldMap,
    default: [],
    help: 'More fields for what is served from here; a `Cache-Control` among them is the only one',
  }),
  mountField({
    key: 'dotfiles',
    field: 'dotfiles',
    kind: choice(['refuse', 'allow'], { placeholder: 'HOW' }),
    default: 'refuse',
    help: 'Names that begin with a dot: a 404, or files as any; `/.well-known/` is always served (RFC 8615)',
  }),
  mountField({
    key: 'listing',
    field: 'listing',
    kind: boolean,
    default: false,
    help: 'A page that lists a directory which has no index',
  }),
  mountField({
    key: 'internal',
    field: 'internal',
    kind: boolean,
    default: false,
    help: 'Only the app can have these files sent, by X-Accel-Redirect or X-Sendfile; to clients they are not there',
  }),
  mountField({
    key: 'keepBuilds',
    field: 'keepBuilds',
    kind: integer({ min: 0, max: 100 }),
    default: 0,
    help: 'How many earlier builds keep their hashed assets available after a deploy',
  }),
];

/** A mount with the defaults for all that is not said. */
export function staticMount(
  given: Pick<StaticMount, 'prefix' | 'dir'> & Partial<StaticMount>,
): StaticMount {
  return { ...defaultsOf(mountFields), ...given };
}

const textItem: Kind<StaticMount> = {
  expected: mountExpected,
  placeholder: '/PREFIX=DIR',
  inputType: 'string',
  flag: 'value',
  read(raw) {
    if (typeof raw !== 'string') return new Unfit();
    const at = raw.indexOf('=');
    return at === -1 ? new Unfit() : mount(raw.slice(0, at), raw.slice(at + 1));
  },
  show: showMount,
};

/** ["/static=public"], "/static=public,/media=media", { '/static': 'public' }, { '/static': { dir:
 *  'public', maxAge: '1h' } } or [{ prefix: '/static', dir: 'public' }]; directories as given. */
export const staticMounts: Kind<StaticMount[]> = {
  expected: mountExpected,
  placeholder: textItem.placeholder,
  inputType:
    "string | readonly (string | StaticMountInput)[] | Readonly<Record<string, string | Omit<StaticMountInput, 'prefix'>>>",
  flag: 'repeat',
  read(raw) {
    const parts = typeof raw === 'string' ? raw.split(',').map((part) => part.trim()) : raw;
    if (parts === null || typeof parts !== 'object') return new Unfit();
    if (!Array.isArray(parts)) return readEntries(parts, readEntry);
    const given: unknown[] = parts.filter((part) => part !== '');
    return readParts(given, readItem);
  },
  show: (mounts) => mounts.map(showMount).join(', ') || 'none',
};

function readItem(raw: unknown): StaticMount | Unfit {
  if (raw === null || typeof raw !== 'object') return textItem.read(raw);
  const { prefix, ...rest } = raw as { prefix?: unknown };
  if (typeof prefix !== 'string') return new Unfit('a prefix is missing');
  return readEntry(prefix, rest);
}

function readEntry(prefix: string, value: unknown): StaticMount | Unfit {
  if (value === null || typeof value !== 'object') return mount(prefix, value);
  const { dir, ...given } = value as { dir?: unknown };
  const options: Record<string, unknown> = {};
  for (const [key, raw] of Object.entries(given)) {
    // In a config file of code, left out.
    if (raw === undefined) continue;
    const row = mountFields.find((other) => other.key === key);
    if (row === undefined) return new Unfit(unknownField(prefix, key));
    const read = row.kind.read(raw);
    if (read instanceof Unfit) {
      const hint = read.hint === '' ? '' : ` (${read.hint})`;
      return new Unfit(`${key} of ${prefix} is to be ${row.kind.expected}${hint}`);
    }
    options[row.field] = read;
  }
  const base = mount(prefix, dir);
  if (base instanceof Unfit) return base;
  const made: StaticMount = { ...base, ...options };
  if (made.tryFiles && made.fallback !== null)
    return new Unfit(`${prefix} can have fallback or tryFiles, not both`);
  return made;
}

function unknownField(prefix: string, key: string): string {
  const meant = nearest(key, ['prefix', 'dir', ...mountFields.map((row) => row.key)]);
  const hint = meant === null ? '' : `: did you mean ${meant}?`;
  return `${prefix} has an unknown field ${key.slice(0, 40)}${hint}`;
}

function mount(prefix: string, dir: unknown): StaticMount | Unfit {
  // It is compared with the decoded, resolved path: what such a path can't hold would never match.
  const fits = /^\/[^?#%\0-\x1f]*$/.test(prefix) && !/(^|\/)\.\.?(\/|$)|\/\//.test(prefix);
  if (!fits || typeof dir !== 'string' || dir === '' || dir.includes('\0')) return new Unfit();
  // A mount matches whole segments, so "/static/" and "/static" are one and the same.
  return staticMount({ prefix: prefix.replace(/\/+$/, '') || '/', dir });
}

function showMount(shown: StaticMount): string {
  const changed = mountFields
    .filter((row) => String(shown[row.field]) !== String(row.default))
    .map((row) => `${row.key} ${row.kind.show(shown[row.field] as never)}`);
  const more = changed.length === 0 ? '' : ` (${changed.join('; ')})`;
  return `${shown.prefix}=${shown.dir}${more}`;
}
