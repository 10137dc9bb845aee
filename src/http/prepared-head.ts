// Response heads that are checked and written once and sent often: those of static files.

import type { Fields, HttpVersion } from './exchange.ts';
import { fieldNameValid, fieldValueValid, isHopByHopName } from './fields.ts';
import { statusLine } from './status.ts';
import { sameName } from './tokens.ts';

/** A head without what differs from one response to the next: Date, X-Request-Id, Connection. */
export interface PreparedHead {
  readonly status: number;
  /** As respond() wants them, Content-Length included. */
  readonly fields: Fields;
  /** Status line and fields; Latin-1. */
  readonly text: string;
  /** Bytes of content that follow unless the method is HEAD; 0 for 304. */
  readonly contentBytes: number;
  /** `text` and the Date of a second, put together once. */
  readonly dated: { date: string; text: string };
}

/** Fields that can't be sent are left out: whoever makes them has checked them. `contentLength`:
 *  null where there is to be none, as in a 304. */
export function prepareHead(
  status: number,
  fields: Fields,
  contentLength: number | null,
): PreparedHead {
  const all: Fields = [];
  let text = statusLine(status, '');
  const add = (name: string, value: string): void => {
    all.push(name, value);
    text += `${name}: ${value}\r\n`;
  };
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index]!;
    const value = fields[index + 1]!;
    const isOurs = sameName(name, 'content-length') || sameName(name, 'date');
    if (isOurs || isHopByHopName(name)) continue;
    if (fieldNameValid(name) && fieldValueValid(value)) add(name, value);
  }
  if (contentLength !== null) add('Content-Length', String(contentLength));
  const dated = { date: '', text: '' };
  return { status, fields: all, text, contentBytes: contentLength ?? 0, dated };
}

/** What differs from one response to the next. */
export interface PreparedHeadOptions {
  readonly version: HttpVersion;
  readonly keepAlive: boolean;
  /** IMF-fixdate. */
  readonly date: string;
  /** Printable ASCII. */
  readonly requestId: string;
  /** Value of Strict-Transport-Security to be added; null = none. */
  readonly hsts: string | null;
}

/** The head as it is sent, with the empty line. */
export function encodePreparedHead(prepared: PreparedHead, options: PreparedHeadOptions): string {
  const { version, keepAlive, date, requestId, hsts } = options;
  let end = '\r\n\r\n';
  if (!keepAlive) end = '\r\nConnection: close\r\n\r\n';
  else if (version === '1.0') end = '\r\nConnection: keep-alive\r\n\r\n';
  if (hsts !== null) end = `\r\nStrict-Transport-Security: ${hsts}${end}`;
  const { dated } = prepared;
  if (dated.date !== date) dateHead(prepared, date);
  return dated.text + requestId + end;
}

function dateHead({ dated, text }: PreparedHead, date: string): void {
  dated.date = date;
  dated.text = `${text}Date: ${date}\r\nX-Request-Id: `;
  // V8 puts the pieces of a text together when it is first read from, and else for each response.
  dated.text.charCodeAt(0);
}
