// Takes the place of Node's rendering of a response head: keeps the fields as pairs, and makes the
// same decisions about Content-Length and trailers.

import http from 'node:http';
import type { Fields } from '../http/exchange.ts';
import { kOutHeaders, type ResponseInternals } from './node-internals.ts';

type SetFields = Record<string, [name: string, value: unknown]>;

/** Which of the fields that decide framing were among the fields: bits. */
const LENGTH = 1;
const CODING = 2;
const TRAILER = 4;

/** The fields that `_storeHeader(line, headers)` was called with, as pairs in order, and the
 *  response's own notes brought up to date. Throws what Node throws for invalid ones. */
export function captureHead(response: ResponseInternals, headers: unknown): Fields {
  const fields: Fields = [];
  let seen = 0;
  if (headers === null || headers === undefined) {
    // No fields at all.
  } else if (headers === response[kOutHeaders]) {
    // Checked by setHeader() already.
    const set = headers as SetFields;
    for (const key in set) {
      const entry = set[key]!;
      const value = entry[1];
      if (typeof value === 'string') {
        fields.push(entry[0], value);
        seen |= note(response, key, value);
      } else seen |= addField(response, fields, entry[0], value, false);
    }
  } else if (Array.isArray(headers)) {
    seen = addList(response, fields, headers);
  } else {
    const given = headers as Record<string, unknown>;
    for (const key of Object.keys(given)) seen |= addField(response, fields, key, given[key], true);
  }
  decideLength(response, fields, seen);
  return fields;
}

/** Adds a Content-Length where Node does, and refuses trailers where Node does. */
function decideLength(response: ResponseInternals, fields: Fields, seen: number): void {
  if ((seen & CODING) !== 0) return;
  const hasTrailer = (seen & TRAILER) !== 0;
  if ((seen & LENGTH) !== 0 || !response._hasBody) {
    if (hasTrailer) throw trailerInvalid();
  } else if (hasTrailer) {
    if (!response.useChunkedEncodingByDefault) throw trailerInvalid();
  } else if (typeof response._contentLength === 'number' && !response._removedContLen) {
    // end(content) with no write() before it knows the length. Unlike Node also for HTTP/1.0,
    // where it saves the edge from closing the connection.
    fields.push('Content-Length', String(response._contentLength));
  }
}

function addList(response: ResponseInternals, fields: Fields, list: unknown[]): number {
  let seen = 0;
  if (Array.isArray(list[0])) {
    for (const [name, value] of list as [string, unknown][])
      seen |= addField(response, fields, name, value, true);
    return seen;
  }
  if (list.length % 2 !== 0) throw listInvalid(list);
  for (let i = 0; i < list.length; i += 2)
    seen |= addField(response, fields, list[i] as string, list[i + 1], true);
  return seen;
}

function addField(
  response: ResponseInternals,
  fields: Fields,
  name: string,
  value: unknown,
  check: boolean,
): number {
  if (check) http.validateHeaderName(name);
  if (!Array.isArray(value)) return addValue(response, fields, name, value, check);
  // Several Cookie fields are joined by Node, all others are sent one by one. The values are
  // checked here: an app can change the array after setHeader() has checked it.
  if (value.length > 1 && name.length === 6 && name.toLowerCase() === 'cookie')
    return addValue(response, fields, name, value.join('; '), true);
  let seen = 0;
  for (const item of value) seen |= addValue(response, fields, name, item, true);
  return seen;
}

function addValue(
  response: ResponseInternals,
  fields: Fields,
  name: string,
  value: unknown,
  check: boolean,
): number {
  if (check) http.validateHeaderValue(name, value as string);
  const text = typeof value === 'string' ? value : String(value);
  fields.push(name, text);
  return note(response, name, text);
}

/** What Node remembers of fields that decide framing. Only four lengths matter: most fields are
 *  passed by one comparison. */
function note(response: ResponseInternals, name: string, value: string): number {
  switch (name.length) {
    case 7:
      return name.toLowerCase() === 'trailer' ? TRAILER : 0;
    case 10:
      if (name.toLowerCase() === 'connection') {
        response._removedConnection = false;
        if (/(?:^|\W)close(?:$|\W)/i.test(value)) response._last = true;
        else response.shouldKeepAlive = true;
      }
      return 0;
    case 14:
      if (name.toLowerCase() !== 'content-length') return 0;
      response._contentLength = +value;
      response._removedContLen = false;
      return LENGTH;
    case 17:
      if (name.toLowerCase() !== 'transfer-encoding') return 0;
      response._removedTE = false;
      return CODING;
    default:
      return 0;
  }
}

function trailerInvalid(): Error {
  return Object.assign(new Error('Trailers are invalid with this transfer encoding'), {
    code: 'ERR_HTTP_TRAILER_INVALID',
  });
}

function listInvalid(list: unknown[]): Error {
  return Object.assign(
    new TypeError(`The argument 'headers' is invalid. Received ${JSON.stringify(list)}`),
    { code: 'ERR_INVALID_ARG_VALUE' },
  );
}
