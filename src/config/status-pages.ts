// Reads which page stands for which error status.

import { type Kind, readEntries, readParts, Unfit } from './kinds.ts';

const expected = 'STATUS=FILE, where STATUS is 400 to 599, 4xx or 5xx';

/** ["404=404.html"], "404=404.html" or { 404: '404.html', '5xx': 'sorry.html' }; paths as given. */
export const statusPages: Kind<Record<string, string>> = {
  expected,
  placeholder: 'STATUS=FILE',
  inputType: 'string | readonly string[] | Readonly<Record<string | number, string>>',
  flag: 'repeat',
  read(raw) {
    const parts = typeof raw === 'string' ? raw.split(',').map((part) => part.trim()) : raw;
    if (parts === null || typeof parts !== 'object') return new Unfit();
    const pages = Array.isArray(parts)
      ? readParts(
          parts.filter((part) => part !== ''),
          (part) => readPage(...split(part)),
        )
      : readEntries(parts, readPage);
    return pages instanceof Unfit ? pages : Object.fromEntries(pages);
  },
  show: (pages) =>
    Object.entries(pages)
      .map(([status, path]) => `${status}=${path}`)
      .join(', ') || 'none',
};

function readPage(status: string, path: unknown): [string, string] | Unfit {
  if (!/^([45]\d\d|[45]xx)$/i.test(status)) return new Unfit();
  if (typeof path !== 'string' || path === '' || path.includes('\0')) return new Unfit();
  return [status.toLowerCase(), path];
}

function split(part: unknown): [string, unknown] {
  if (typeof part !== 'string') return ['', null];
  const at = part.indexOf('=');
  return at === -1 ? ['', null] : [part.slice(0, at), part.slice(at + 1)];
}
