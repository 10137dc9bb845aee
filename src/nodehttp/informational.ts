// Reads back the text of an informational head: writeContinue(), writeProcessing(),
// writeEarlyHints() and writeInformation() give Node's socket nothing else.

import http from 'node:http';
import type { Fields } from '../http/exchange.ts';

export interface InformationalHead {
  readonly status: number;
  readonly fields: Fields;
}

const startLine = /^HTTP\/1\.1 (1\d\d) [^\r\n]*\r\n/;

/** The heads in `text`, or null where it is anything else. Field names and values are checked:
 *  Node before 26 renders those of writeEarlyHints() unchecked, and some plugins write the text
 *  themselves. */
export function parseInformational(text: string): InformationalHead[] | null {
  const heads: InformationalHead[] = [];
  let rest = text;
  while (rest.length > 0) {
    const line = startLine.exec(rest);
    const end = rest.indexOf('\r\n\r\n');
    if (line === null || end === -1) return null;
    const status = Number(line[1]);
    // 101 hands the connection over, which an exchange cannot.
    if (status === 101) return null;
    const fields = parseLines(rest.slice(line[0].length, end));
    if (fields === null) return null;
    heads.push({ status, fields });
    rest = rest.slice(end + 4);
  }
  return heads.length > 0 ? heads : null;
}

/** Splits "name: value" lines; null where one is malformed. */
export function parseLines(text: string): Fields | null {
  const fields: Fields = [];
  for (const line of text.split('\r\n')) {
    if (line === '') continue;
    const colon = line.indexOf(':');
    if (colon < 1) return null;
    const name = line.slice(0, colon);
    const value = line.slice(colon + 1).trim();
    try {
      http.validateHeaderName(name);
      http.validateHeaderValue(name, value);
    } catch {
      return null;
    }
    fields.push(name, value);
  }
  return fields;
}
