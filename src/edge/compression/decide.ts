// Whether a response is compressed, judged by its head alone, and what its fields become.

import type { Fields, RequestHead } from '../../http/exchange.ts';
import { fieldValue, fieldValues, listHolds } from '../../http/fields.ts';
import { decimal } from '../../http/head-facts.ts';
import { sameName } from '../../http/tokens.ts';

export interface CompressionRules {
  /** Content that is known to be shorter is left alone. */
  readonly minBytes: number;
  /** Whether content of this Content-Type shrinks. */
  isCompressible(contentType: string): boolean;
  /** The encoding for this Accept-Encoding; null = none. */
  negotiate(acceptEncoding: string): string | null;
}

export type Verdict =
  /** Would be compressed for nobody. */
  | { readonly kind: 'leave' }
  /** Not for this client, but for others: caches must know. */
  | { readonly kind: 'vary' }
  /** 304 to a client that holds the compressed form: its ETag is the weak one. */
  | { readonly kind: 'confirm' }
  /** HEAD; `encoding` null where it depends on content that nobody sees. */
  | { readonly kind: 'head'; readonly encoding: string | null }
  | { readonly kind: 'compress'; readonly encoding: string; readonly length: number | null };

const leave: Verdict = { kind: 'leave' };
const vary: Verdict = { kind: 'vary' };
const confirm: Verdict = { kind: 'confirm' };

/** Every response comes by here: what is small or no text is let go after one look at the fields. */
export function decide(
  request: RequestHead,
  status: number,
  fields: Fields,
  rules: CompressionRules,
): Verdict {
  if (status === 304) return confirms(request, fields) ? confirm : leave;
  // 204 and 205 have no content; parts of a 206 count bytes of what is sent, so it stays as it is.
  if (status === 204 || status === 205 || status === 206) return leave;
  let contentType = '';
  let length: number | null = null;
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index]!;
    if (name.length === 12 && sameName(name, 'content-type')) contentType = fields[index + 1]!;
    else if (name.length === 14 && sameName(name, 'content-length')) {
      length = decimal(fields[index + 1]!);
      // Below the minimum, or no number at all: then it is for the listener to refuse.
      if (length < rules.minBytes) return leave;
    }
  }
  if (contentType === '' || !rules.isCompressible(contentType)) return leave;
  if (request.method === 'CONNECT' || forbids(fields)) return leave;
  const encoding = encodingFor(request, rules);
  if (encoding === null) return vary;
  if (request.method === 'HEAD')
    return { kind: 'head', encoding: length === null ? null : encoding };
  return { kind: 'compress', encoding, length };
}

/** What the app says against it: encoded already, a part of something, a checksum of the very bytes
 *  (RFC 9530, and the older Digest and Content-MD5), or no-transform (RFC 9110 section 7.7). */
function forbids(fields: Fields): boolean {
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index]!;
    switch (name.length) {
      case 6:
        if (sameName(name, 'digest')) return true;
        break;
      case 11:
        if (sameName(name, 'content-md5') || sameName(name, 'repr-digest')) return true;
        break;
      case 13:
        if (sameName(name, 'content-range')) return true;
        if (sameName(name, 'cache-control') && listHolds(fields[index + 1]!, 'no-transform'))
          return true;
        break;
      case 14:
        if (sameName(name, 'content-digest')) return true;
        break;
      case 16:
        if (sameName(name, 'content-encoding')) return true;
        break;
    }
  }
  return false;
}

/** The encoding for this client; null is none. HTTP/1.0 gets none, as from nginx: chunks are not to
 *  be had, and of old proxies few know Vary. Nor does who asked for a range: it counts plain bytes. */
function encodingFor(request: RequestHead, rules: CompressionRules): string | null {
  const { fields, version } = request;
  if (version === '1.0' || fieldValue(fields, 'range') !== undefined) return null;
  const accepted = fieldValues(fields, 'accept-encoding');
  if (accepted === undefined) return null;
  const cacheControl = fieldValues(fields, 'cache-control');
  if (cacheControl !== undefined && listHolds(cacheControl, 'no-transform')) return null;
  return rules.negotiate(accepted);
}

/** Whether the client asked by the weak ETag that it has of the compressed form. The app compares
 *  weakly (RFC 9110 section 13.1.2) and answers with its own strong tag, by which the client would
 *  not find what it stored (RFC 9111 section 4.3.4). */
function confirms(request: RequestHead, fields: Fields): boolean {
  const etag = fieldValue(fields, 'etag');
  if (etag === undefined || !etag.startsWith('"')) return false;
  const held = fieldValues(request.fields, 'if-none-match');
  return held?.includes(`W/${etag}`) ?? false;
}

/** The fields of the compressed response; `length` null = not known. */
export function compressedFields(fields: Fields, encoding: string, length: number | null): Fields {
  const changed: Fields = [];
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index]!;
    // Ranges would count bytes of the plain form, and If-Range never matches a weak tag anyway.
    if (sameName(name, 'content-length') || sameName(name, 'accept-ranges')) continue;
    changed.push(name, fields[index + 1]!);
  }
  changed.push('Content-Encoding', encoding);
  if (length !== null) changed.push('Content-Length', String(length));
  weaken(changed);
  addVary(changed);
  return changed;
}

/** Two forms of one content are not equal byte for byte: they share a weak tag, never a strong one
 *  (RFC 9110 section 8.8.1). In place. */
export function weaken(fields: Fields): void {
  for (let index = 0; index < fields.length; index += 2) {
    if (fields[index]!.length !== 4 || !sameName(fields[index]!, 'etag')) continue;
    if (fields[index + 1]!.startsWith('"')) fields[index + 1] = `W/${fields[index + 1]!}`;
  }
}

/** Says that the response depends on that field of the request, in place. */
export function addVary(fields: Fields, name = 'Accept-Encoding'): void {
  let last = -1;
  for (let index = 0; index < fields.length; index += 2) {
    if (fields[index]!.length !== 4 || !sameName(fields[index]!, 'vary')) continue;
    const value = fields[index + 1]!;
    if (listHolds(value, name.toLowerCase()) || listHolds(value, '*')) return;
    last = index;
  }
  if (last === -1 || fields[last + 1] === '') fields.push('Vary', name);
  else fields[last + 1] += `, ${name}`;
}
