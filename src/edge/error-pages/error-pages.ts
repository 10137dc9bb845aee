// The HTML pages for errors: Portico's own or those of the errorPages setting, read once and kept ready to send.

import { readFileSync, statSync } from 'node:fs';
import { escapeHtml } from '../../http/html.ts';
import { type OwnPages, readOwnPages } from './own-pages.ts';

/** A page and the places in it where the request's name goes: between its parts. */
interface Page {
  readonly parts: readonly Buffer[];
  /** Portico's own: needs nothing but its inline style. */
  readonly isOwn: boolean;
}

export interface RenderedPage {
  readonly content: Buffer;
  readonly isOwn: boolean;
}

const pageBytesMax = 1024 ** 2;
/** Stands in a page where the request's name goes. */
const ID = '{{requestId}}';

export class ErrorPages {
  private readonly custom: ReadonlyMap<string, string>;
  private readonly own: OwnPages | null;
  /** Made when first wanted, from text that is in memory; at most one for each error status. */
  private readonly ready = new Map<number, Page | null>();

  constructor(custom: ReadonlyMap<string, string>, own: OwnPages | null) {
    this.custom = custom;
    this.own = own;
  }

  /** Null where there is no page: then the error is told in text. */
  render(status: number, requestId: string): RenderedPage | null {
    if (status < 400 || status > 599) return null;
    let page = this.ready.get(status);
    if (page === undefined) {
      page = this.make(status);
      this.ready.set(status, page);
    }
    if (page === null) return null;
    const { parts, isOwn } = page;
    if (parts.length === 1) return { content: parts[0]!, isOwn };
    const name = Buffer.from(escapeHtml(requestId));
    const content = parts.flatMap((part, index) => (index === 0 ? [part] : [name, part]));
    return { content: Buffer.concat(content), isOwn };
  }

  /** Whether the errorPages setting has a page for the status. */
  replaces(status: number): boolean {
    return this.custom.has(String(status)) || this.custom.has(classOf(status));
  }

  private make(status: number): Page | null {
    const custom = this.custom.get(String(status)) ?? this.custom.get(classOf(status));
    if (custom !== undefined) return page(custom.replaceAll('{{status}}', String(status)), false);
    if (this.own === null) return null;
    const { template, words } = this.own;
    const said = words.get(String(status)) ?? words.get(classOf(status));
    if (said === undefined) return null;
    const text = template
      // Whose fault it is decides: only of a fault of ours somebody will ask which request it was.
      .replace(/\{\{#request\}\}(.*?)\{\{\/request\}\}\n?/s, status >= 500 ? '$1\n' : '')
      .replaceAll('{{status}}', String(status))
      .replaceAll('{{title}}', () => escapeHtml(said.title))
      .replaceAll('{{what}}', () => escapeHtml(said.what))
      .replaceAll('{{advice}}', () => escapeHtml(said.advice));
    return page(text, true);
  }
}

function page(text: string, isOwn: boolean): Page {
  return { parts: text.split(ID).map((part) => Buffer.from(part)), isOwn };
}

function classOf(status: number): string {
  return `${Math.floor(status / 100)}xx`;
}

let own: OwnPages | null | undefined;

/** Reads the pages that the setting names; throws where one can't be read. */
export function loadErrorPages(setting: Readonly<Record<string, string>>): ErrorPages {
  own ??= readOwnPages();
  const custom = Object.entries(setting).map(([key, path]) => [key, readPage(path)] as const);
  return new ErrorPages(new Map(custom), own);
}

function readPage(path: string): string {
  try {
    const { size } = statSync(path);
    if (size > pageBytesMax) throw new Error(`it is larger than ${pageBytesMax} bytes`);
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new Error(`cannot use the error page ${path}: ${(error as Error).message}`);
  }
}
