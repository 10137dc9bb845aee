// Makes response heads for HTTP/2: which fields are sent, and how much content must follow them.

import { type Failure, failure } from '../errors/failure.ts';
import type { Fields } from './exchange.ts';
import {
  fieldNameValid,
  fieldValueValid,
  isHopByHopName,
  withoutForbiddenTrailers,
} from './fields.ts';
import { decimal } from './head-facts.ts';
import type { PreparedHead, PreparedHeadOptions } from './prepared-head.ts';
import { fieldFault, withoutConnectionNamed } from './response-head.ts';
import { excerpt } from './tokens.ts';

/** As node:http2 takes them: lower-case names; an array where a name occurs more than once. */
export interface Http2Fields {
  [name: string]: string | number | string[];
}

export interface Http2ResponseHead {
  readonly fields: Http2Fields;
  /** No content may follow, whatever the handler writes. */
  readonly isBare: boolean;
  /** Content-Length as sent, or null; for a bare one that of the response a GET would get. */
  readonly contentLength: number | null;
}

export interface Http2ResponseOptions {
  /** Of the request. */
  readonly method: string;
  readonly status: number;
  /** As the app gave them. */
  readonly fields: Fields;
  /** The time now as IMF-fixdate; used where the app sends no Date. */
  readonly date: string;
}

/** The highest status node:http2 sends: RFC 9110 section 15 knows no class above it. */
const STATUS_MAX = 599;

/** Makes a final response head, or says why the app's head is none (`'code' in result`). */
export function encodeHttp2Response(options: Http2ResponseOptions): Http2ResponseHead | Failure {
  const { status, method } = options;
  if (!Number.isInteger(status) || status < 200 || status > STATUS_MAX) {
    const shown = excerpt(String(status));
    return failure('RESPONSE_INVALID', `status ${shown} is not a final status of HTTP/2`);
  }
  const given = withoutConnectionNamed(options.fields);
  const fields = newFields(status);
  let contentLength: number | null = null;
  for (let index = 0; index < given.length; index += 2) {
    const value = given[index + 1]!;
    const fault = fieldFault(given[index]!, value);
    if (fault !== null) return fault;
    const name = lowerName(given[index]!);
    if (name === 'content-length') {
      const length = decimal(value);
      if (length === -1 || (contentLength !== null && contentLength !== length))
        return failure('RESPONSE_INVALID', `Content-Length ${excerpt(value)} is not one number`);
      contentLength = length;
    } else if (!isHopByHopName(name)) add(fields, name, value);
  }
  fields.date ??= options.date;
  // Without content by definition; 204 has no length either (RFC 9110 section 8.6).
  const isBare = method === 'HEAD' || status === 204 || status === 205 || status === 304;
  if (status === 204) contentLength = null;
  if (contentLength !== null) fields['content-length'] = String(contentLength);
  return { fields, isBare, contentLength };
}

/** The same of a head that was checked and written before. */
export function encodeHttp2Prepared(
  prepared: PreparedHead,
  options: Pick<PreparedHeadOptions, 'date' | 'requestId' | 'hsts'> & { readonly method: string },
): Http2ResponseHead {
  let made = preparedFields.get(prepared);
  if (made === undefined) {
    made = newFields(prepared.status);
    for (let index = 0; index < prepared.fields.length; index += 2)
      add(made, lowerName(prepared.fields[index]!), prepared.fields[index + 1]!);
    preparedFields.set(prepared, made);
  }
  const fields = Object.assign(newFields(prepared.status), made);
  fields.date = options.date;
  fields['x-request-id'] = options.requestId;
  if (options.hsts !== null) fields['strict-transport-security'] = options.hsts;
  const isBare = options.method === 'HEAD' || prepared.status === 304;
  return { fields, isBare, contentLength: prepared.contentBytes };
}

const preparedFields = new WeakMap<PreparedHead, Http2Fields>();

/** An informational head such as 100 or 103, or null where it is none; 101 has no place in HTTP/2. */
export function encodeHttp2Informational(status: number, given: Fields): Http2Fields | null {
  if (!Number.isInteger(status) || status < 100 || status > 199 || status === 101) return null;
  const fields = newFields(status);
  for (let index = 0; index < given.length; index += 2) {
    const name = lowerName(given[index]!);
    if (fieldFault(name, given[index + 1]!) !== null) return null;
    if (!isHopByHopName(name) && name !== 'content-length') add(fields, name, given[index + 1]!);
  }
  return fields;
}

/** Trailers that may be sent; what may not is left out. */
export function encodeHttp2Trailers(trailers: Fields): Http2Fields {
  const kept = withoutForbiddenTrailers(trailers);
  const fields = noFields();
  for (let index = 0; index < kept.length; index += 2) {
    const name = kept[index]!;
    if (fieldNameValid(name) && fieldValueValid(kept[index + 1]!))
      add(fields, lowerName(name), kept[index + 1]!);
  }
  return fields;
}

/** node:http2 sends some names once only; a list is one value with commas (RFC 9110 section 5.3). */
export function joinRepeated(fields: Http2Fields): Http2Fields {
  const joined = noFields();
  for (const [name, value] of Object.entries(fields))
    joined[name] = Array.isArray(value) && name !== 'set-cookie' ? value.join(', ') : value;
  return joined;
}

/** Without a prototype: "constructor" and "__proto__" are names like any. */
function noFields(): Http2Fields {
  return { __proto__: null } as unknown as Http2Fields;
}

function newFields(status: number): Http2Fields {
  return { __proto__: null, ':status': status } as unknown as Http2Fields;
}

function add(fields: Http2Fields, name: string, given: string): void {
  // Space around a value is not part of it, and not allowed here (RFC 9113 section 8.2.1).
  const value = isPadded(given) ? given.trim() : given;
  const former = fields[name];
  if (former === undefined) fields[name] = value;
  else if (Array.isArray(former)) former.push(value);
  else fields[name] = [String(former), value];
}

function isPadded(value: string): boolean {
  const first = value.charCodeAt(0);
  const last = value.charCodeAt(value.length - 1);
  return first === 32 || first === 9 || last === 32 || last === 9;
}

/** Names apps use, lower-cased: toLowerCase() makes a new string each time. */
const lowerNames = new Map<string, string>();
const LOWER_NAMES_MAX = 512;
const KNOWN_NAME_LENGTH_MAX = 64;

function lowerName(name: string): string {
  const known = lowerNames.get(name);
  if (known !== undefined) return known;
  const lower = name.toLowerCase();
  if (lowerNames.size < LOWER_NAMES_MAX && name.length <= KNOWN_NAME_LENGTH_MAX)
    lowerNames.set(name, lower);
  return lower;
}
