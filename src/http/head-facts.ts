// What the fields of a request head mean for its framing and its connection (RFC 9112 sections 3.2,
// 6 and 9; RFC 9110 sections 7.6.1, 7.8 and 10.1.1), and the checks they must pass.

import type { BodyLength } from './exchange.ts';
import type { HeadDraft } from './head-draft.ts';
import { hostValid } from './host.ts';
import { equalsLower, excerpt, isToken, sameName } from './tokens.ts';

export interface RequestFraming {
  readonly bodyLength: BodyLength;
  /** What the version and Connection ask for. */
  readonly keepAlive: boolean;
  /** Expect: 100-continue, HTTP/1.1, with content announced. */
  readonly expectsContinue: boolean;
  /** The Upgrade field, if Connection names it, in HTTP/1.1. */
  readonly upgrade: string | null;
}

/** Of a head that could not be read. */
export const unknownFraming: RequestFraming = {
  bodyLength: 0,
  keepAlive: false,
  expectsContinue: false,
  upgrade: null,
};

/** Notes a field that means something to us; false with `draft.failure` set if it must not be so. */
export function noteField(draft: HeadDraft, name: string, value: string): boolean {
  if (draft.isTrailers) return true;
  // By length: of a browser's twelve fields one or two get as far as a comparison.
  switch (name.length) {
    case 4:
      return draft.isResponse || !sameName(name, 'host') || noteHost(draft);
    case 6:
      return draft.isResponse || !sameName(name, 'expect') || noteExpect(draft, value);
    case 7:
      if (sameName(name, 'upgrade')) draft.upgrade = joined(draft.upgrade, value);
      return true;
    case 10:
      if (sameName(name, 'connection')) noteConnection(draft, value);
      return true;
    case 12:
      return draft.isResponse || !sameName(name, 'content-type') || noteContentType(draft);
    case 14:
      return !sameName(name, 'content-length') || noteContentLength(draft, value);
    case 17:
      if (sameName(name, 'transfer-encoding')) {
        draft.transferEncoding = joined(draft.transferEncoding, value);
      }
      return true;
    default:
      return true;
  }
}

/** The head is complete: checks what only all fields together say. Null with `draft.failure` set. */
export function settleFacts(draft: HeadDraft): RequestFraming | null {
  if (!settleHost(draft)) return null;
  const isOneOne = draft.version === '1.1';
  const bodyLength = settleBodyLength(draft);
  if (bodyLength === -1) return null;
  return {
    bodyLength,
    keepAlive: !draft.asksClose && (isOneOne || draft.asksKeepAlive),
    // HTTP/1.0 clients wait for no 100 (RFC 9110 section 10.1.1).
    expectsContinue: draft.expectsContinue && isOneOne && bodyLength !== 0,
    upgrade: isOneOne && draft.asksUpgrade ? draft.upgrade : null,
  };
}

function noteHost(draft: HeadDraft): boolean {
  if (draft.hostAt === -1) {
    draft.hostAt = draft.fields.length - 1;
    return true;
  }
  draft.fail('BAD_HOST', 'more than one Host field');
  return false;
}

function settleHost(draft: HeadDraft): boolean {
  const fields = draft.fields;
  if (draft.hostAt === -1) {
    if (draft.version === '1.1') {
      draft.fail('BAD_HOST', 'an HTTP/1.1 request needs a Host field');
      return false;
    }
    if (draft.form === 'absolute') fields.unshift('Host', draft.authority);
    return true;
  }
  const host = fields[draft.hostAt]!;
  // An empty Host says "no authority" (RFC 9110 section 7.2): right only if the target has its own.
  const isEmptyAllowed = draft.form === 'absolute' || draft.form === 'authority';
  if (host === '' ? !isEmptyAllowed : !hostValid(host)) {
    draft.fail('BAD_HOST', host === '' ? 'Host is empty' : `Host is not valid: ${excerpt(host)}`);
    return false;
  }
  if (draft.form === 'absolute') fields[draft.hostAt] = draft.authority;
  return true;
}

function noteExpect(draft: HeadDraft, value: string): boolean {
  if (sameName(value, '100-continue')) {
    draft.expectsContinue = true;
    return true;
  }
  draft.fail('EXPECTATION_UNKNOWN', `cannot meet the expectation ${excerpt(value)}`);
  return false;
}

/** Two content types are two meanings for one body; Gunicorn refuses them too. */
function noteContentType(draft: HeadDraft): boolean {
  if (!draft.hasContentType) {
    draft.hasContentType = true;
    return true;
  }
  draft.fail('BAD_FIELD', 'more than one Content-Type field');
  return false;
}

function noteContentLength(draft: HeadDraft, value: string): boolean {
  // RFC 9110 section 8.6 lets a recipient merge equal values or refuse; nginx refuses, so do we.
  if (draft.contentLength !== -1) {
    draft.fail('BAD_LENGTH', 'more than one Content-Length field');
    return false;
  }
  const length = decimal(value);
  if (length === -1) {
    draft.fail('BAD_LENGTH', `Content-Length is not a number of bytes: ${excerpt(value)}`);
    return false;
  }
  draft.contentLength = length;
  return true;
}

/** Digits only, at most 2^53 - 1; else -1. */
export function decimal(text: string): number {
  let number = 0;
  for (let at = 0; at < text.length; at++) {
    const digit = text.charCodeAt(at) - 48;
    if (digit < 0 || digit > 9) return -1;
    number = number * 10 + digit;
    if (number > Number.MAX_SAFE_INTEGER) return -1;
  }
  return text.length > 0 ? number : -1;
}

function noteConnection(draft: HeadDraft, value: string): void {
  if (sameName(value, 'keep-alive')) draft.asksKeepAlive = true;
  else if (sameName(value, 'close')) draft.asksClose = true;
  else
    eachListItem(value, (start, end) => {
      if (equalsLower(value, start, end, 'close')) draft.asksClose = true;
      else if (equalsLower(value, start, end, 'keep-alive')) draft.asksKeepAlive = true;
      else if (equalsLower(value, start, end, 'upgrade')) draft.asksUpgrade = true;
    });
}

/** Calls `visit` with the range of each item of a comma-separated list, white space trimmed. */
export function eachListItem(list: string, visit: (start: number, end: number) => void): void {
  let start = 0;
  while (start <= list.length) {
    let comma = list.indexOf(',', start);
    if (comma === -1) comma = list.length;
    let from = start;
    let to = comma;
    while (from < to && isBlank(list.charCodeAt(from))) from++;
    while (to > from && isBlank(list.charCodeAt(to - 1))) to--;
    if (to > from) visit(from, to);
    start = comma + 1;
  }
}

function isBlank(code: number): boolean {
  return code === 32 || code === 9;
}

function joined(before: string | null, value: string): string {
  return before === null ? value : `${before}, ${value}`;
}

/** Bytes of content or 'unknown'; -1 with `draft.failure` set. */
function settleBodyLength(draft: HeadDraft): BodyLength | -1 {
  const isConnect = draft.method === 'CONNECT';
  if (draft.transferEncoding !== null) {
    if (!settleCodings(draft, draft.transferEncoding)) return -1;
    // CONNECT has no content (RFC 9110 section 9.3.6): what follows it is the tunnel's.
    if (isConnect) return draft.fail('BAD_TRANSFER_ENCODING', 'CONNECT has no content');
    return 'unknown';
  }
  const length = Math.max(draft.contentLength, 0);
  if (isConnect && length > 0) return draft.fail('BAD_LENGTH', 'CONNECT has no content');
  const limit = draft.limits.bodyBytes;
  if (limit > 0 && length > limit) {
    return draft.fail('BODY_TOO_LARGE', `Content-Length is ${length}; the limit is ${limit} bytes`);
  }
  return length;
}

/** Whether Transfer-Encoding is what can be read; else false with `draft.failure` set. */
export function settleCodings(draft: HeadDraft, codings: string): boolean {
  if (draft.version === '1.0') {
    draft.fail('BAD_TRANSFER_ENCODING', 'HTTP/1.0 has no Transfer-Encoding');
    return false;
  }
  if (draft.contentLength !== -1) {
    draft.fail('BAD_TRANSFER_ENCODING', 'Transfer-Encoding together with Content-Length');
    return false;
  }
  if (sameName(codings, 'chunked')) return true;
  // Not understood is 501, contradictory or malformed is 400 (RFC 9112 sections 6.1 and 6.3).
  const names = codings.split(',').map((coding) => coding.trim().toLowerCase());
  const chunkedAt = names.indexOf('chunked');
  const isUnknown =
    names.every(isToken) && (chunkedAt === -1 || (chunkedAt > 0 && chunkedAt === names.length - 1));
  const code = isUnknown ? 'UNKNOWN_TRANSFER_CODING' : 'BAD_TRANSFER_ENCODING';
  draft.fail(code, `Transfer-Encoding is not plain chunked: ${excerpt(codings)}`);
  return false;
}
