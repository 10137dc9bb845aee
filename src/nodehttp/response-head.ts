// Takes the place of Node's rendering of a response head: keeps the fields as pairs, and makes the
// same decisions about Content-Length and trailers.

import http from 'node:http';
import type { Fields } from '../http/exchange.ts';
import { kOutHeaders, type ResponseInternals } from './node-internals.ts';

type SetFields = Record<string, [name: string, value: unknown]>;

/** The fields that `_storeHeader(line, headers)` was called with, as pairs in order, and the
 *  response's own notes brought up to date. Throws what Node throws for invalid ones. */
export function captureHead(response: ResponseInternals, headers: unknown): Fields {
  const fields: Fields = [];
  const facts: HeadFacts = { length: false, coding: false, trailer: false };
  if (headers === null || headers === undefined) {
    // No fields at all.
  } else if (headers === response[kOutHeaders]) {
    // Checked by setHeader() already.
    const set = headers as SetFields;
    for (const key in set) {
      const entry = set[key]!;
      addField(response, fields, facts, entry[0], entry[1], false);
    }
  } else if (Array.isArray(headers)) {
    addList(response, fields, facts, headers);
  } else {
    const given = headers as Record<string, unknown>;
    for (const key of Object.keys(given)) addField(response, fields, facts, key, given[key], true);
  }
  if (facts.coding || facts.length) {
    if (facts.trailer && !facts.coding) throw trailerInvalid();
  } else if (!response._hasBody) {
    if (facts.trailer) throw trailerInvalid();
  } else if (
    // As Node: end(content) with no write() before it knows the length. Unlike Node also for
    // HTTP/1.0, where it saves the edge from closing the connection.
    typeof response._contentLength === 'number' &&
    !response._removedContLen &&
    !facts.trailer
  ) {
    fields.push('Content-Length', String(response._contentLength));
  } else if (facts.trailer && !response.useChunkedEncodingByDefault) {
    throw trailerInvalid();
  }
  return fields;
}

interface HeadFacts {
  length: boolean;
  coding: boolean;
  trailer: boolean;
}

function addList(
  response: ResponseInternals,
  fields: Fields,
  facts: HeadFacts,
  list: unknown[],
): void {
  if (Array.isArray(list[0])) {
    for (const [name, value] of list as [string, unknown][])
      addField(response, fields, facts, name, value, true);
    return;
  }
  if (list.length % 2 !== 0) throw listInvalid(list);
  for (let i = 0; i < list.length; i += 2)
    addField(response, fields, facts, list[i] as string, list[i + 1], true);
}

function addField(
  response: ResponseInternals,
  fields: Fields,
  facts: HeadFacts,
  name: string,
  value: unknown,
  check: boolean,
): void {
  if (check) http.validateHeaderName(name);
  if (Array.isArray(value)) {
    // Several Cookie fields are joined by Node, all others are sent one by one. The values are
    // checked here: an app can change the array after setHeader() has checked it.
    if (value.length > 1 && name.length === 6 && name.toLowerCase() === 'cookie')
      addValue(response, fields, facts, name, value.join('; '), true);
    else for (const item of value) addValue(response, fields, facts, name, item, true);
    return;
  }
  addValue(response, fields, facts, name, value, check);
}

function addValue(
  response: ResponseInternals,
  fields: Fields,
  facts: HeadFacts,
  name: string,
  value: unknown,
  check: boolean,
): void {
  if (check) http.validateHeaderValue(name, value as string);
  const text = typeof value === 'string' ? value : String(value);
  fields.push(name, text);
  note(response, facts, name, text);
}

/** What Node remembers of fields that decide framing. Only four lengths matter: most fields are
 *  passed by one comparison. */
function note(response: ResponseInternals, facts: HeadFacts, name: string, value: string): void {
  switch (name.length) {
    case 7:
      if (name.toLowerCase() === 'trailer') facts.trailer = true;
      break;
    case 10:
      if (name.toLowerCase() === 'connection') {
        response._removedConnection = false;
        if (/(?:^|\W)close(?:$|\W)/i.test(value)) response._last = true;
        else response.shouldKeepAlive = true;
      }
      break;
    case 14:
      if (name.toLowerCase() === 'content-length') {
        facts.length = true;
        response._contentLength = +value;
        response._removedContLen = false;
      }
      break;
    case 17:
      if (name.toLowerCase() === 'transfer-encoding') {
        facts.coding = true;
        response._removedTE = false;
      }
      break;
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
