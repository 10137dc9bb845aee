// Reads the request line: method, target in one of its four forms, version (RFC 9112 section 3).

import type { HeadDraft } from './head-draft.ts';
import { authorityValid, hostValid } from './host.ts';
import { CR, equalsLower, excerpt, isTargetByte, isTokenByte, LF, SP } from './tokens.ts';

const SLASH = 47;
const ASTERISK = 42;
const VERSION = 'HTTP/1.1';

/**
 * Reads one whole line from `at`; the line's LF is in `bytes`. `text` is `bytes` from `base` on, as
 * Latin-1. Returns the index after the line, or -1 with `draft.failure` set.
 */
export function readRequestLine(
  draft: HeadDraft,
  bytes: Uint8Array,
  text: string,
  base: number,
  lineAt: number,
): number {
  const limit = draft.limits.requestLineBytes;
  let at = lineAt;
  while (isTokenByte[bytes[at]!] === 1) at++;
  const methodEnd = at;
  if (methodEnd === lineAt || bytes[at] !== SP) return failLine(draft, bytes, lineAt, at);
  const targetAt = ++at;
  while (isTargetByte[bytes[at]!] === 1) at++;
  const targetEnd = at;
  if (targetEnd === targetAt || bytes[at] !== SP) return failLine(draft, bytes, lineAt, at);
  at++;
  const versionAt = at;
  // "HTTP/1." is compared as text; the last digit says which of the two.
  if (!text.startsWith('HTTP/1.', at - base)) return failVersion(draft, bytes, lineAt, versionAt);
  const minor = bytes[at + 7];
  at += VERSION.length;
  let next: number;
  if (bytes[at] === CR && bytes[at + 1] === LF) next = at + 2;
  else if (bytes[at] === LF && draft.limits.permitBareLf) next = at + 1;
  else return failVersion(draft, bytes, lineAt, versionAt);
  if (minor !== 49 && minor !== 48) return failVersion(draft, bytes, lineAt, versionAt);
  if (at - lineAt > limit) return failTooLong(draft);

  draft.version = minor === 49 ? '1.1' : '1.0';
  draft.method = methodOf(text, lineAt - base, methodEnd - base);
  draft.target = text.substring(targetAt - base, targetEnd - base);
  return takeTarget(draft, bytes[targetAt]!) ? next : -1;
}

/** What follows the target of a usual request line. */
const USUAL_END = Buffer.from(' HTTP/1.1\r\n');
export const USUAL_LINE_END = USUAL_END.length;

export function methodEndOf(bytes: Uint8Array, start: number): number {
  let at = start;
  while (isTokenByte[bytes[at]!] === 1) at++;
  return at;
}

/** Of a line in origin-form and HTTP/1.1, whose method ends at `methodEnd`; -1: it is another, or not all there. */
export function usualTargetEnd(bytes: Uint8Array, methodEnd: number): number {
  if (bytes[methodEnd] !== SP || bytes[methodEnd + 1] !== SLASH) return -1;
  let end = methodEnd + 2;
  while (isTargetByte[bytes[end]!] === 1) end++;
  for (let index = 0; index < USUAL_LINE_END; index++)
    if (bytes[end + index] !== USUAL_END[index]) return -1;
  return end;
}

/** Whether the method that begins there is GET. */
export function isGet(bytes: Uint8Array, start: number): boolean {
  return (
    bytes[start] === 71 &&
    bytes[start + 1] === 69 &&
    bytes[start + 2] === 84 &&
    bytes[start + 3] === SP
  );
}

export function failTooLong(draft: HeadDraft): -1 {
  const limit = draft.limits.requestLineBytes;
  return draft.fail('LINE_TOO_LONG', `the request line is longer than ${limit} bytes`);
}

/** The usual methods as constants: comparing them later is comparing pointers. */
function methodOf(text: string, start: number, end: number): string {
  if (end - start === 3 && text.startsWith('GET', start)) return 'GET';
  if (end - start === 4 && text.startsWith('POST', start)) return 'POST';
  if (end - start === 4 && text.startsWith('HEAD', start)) return 'HEAD';
  return text.substring(start, end);
}

function takeTarget(draft: HeadDraft, first: number): boolean {
  if (draft.method === 'CONNECT') {
    draft.form = 'authority';
    if (authorityValid(draft.target)) return true;
    draft.fail('BAD_TARGET', 'CONNECT needs host:port as its target');
    return false;
  }
  if (first === SLASH) return true;
  if (first === ASTERISK && draft.target.length === 1) {
    draft.form = 'asterisk';
    if (draft.method === 'OPTIONS') return true;
    draft.fail('BAD_TARGET', 'only OPTIONS may have * as its target');
    return false;
  }
  return takeAbsolute(draft);
}

/** Reduces "http://host:port/path" to "/path" and keeps the authority (RFC 9112 section 3.2.2). */
function takeAbsolute(draft: HeadDraft): boolean {
  const target = draft.target;
  let authorityAt = 0;
  if (equalsLower(target, 0, 7, 'http://')) authorityAt = 7;
  else if (equalsLower(target, 0, 8, 'https://')) authorityAt = 8;
  else {
    draft.fail('BAD_TARGET', 'the target is neither a path nor an http or https URI');
    return false;
  }
  let end = authorityAt;
  while (end < target.length && target[end] !== '/' && target[end] !== '?') end++;
  const authority = target.slice(authorityAt, end);
  // No userinfo either ("@" is no host byte): RFC 9110 section 4.2.4 calls it an error from outside.
  if (!hostValid(authority)) {
    draft.fail('BAD_TARGET', `the target's host is not valid: ${excerpt(authority)}`);
    return false;
  }
  draft.form = 'absolute';
  draft.authority = authority;
  const rest = target.slice(end);
  if (rest.startsWith('/')) draft.target = rest;
  // No path at all means the server as a whole to OPTIONS (RFC 9112 section 3.2.4), else "/".
  else draft.target = rest === '' && draft.method === 'OPTIONS' ? '*' : `/${rest}`;
  return true;
}

/** Where the line was found wrong at `at`, in its method or target: says how. */
function failLine(draft: HeadDraft, bytes: Uint8Array, lineAt: number, at: number): -1 {
  if (isTokenByte[bytes[lineAt]!] === 0 && bytes[lineAt] !== CR)
    return failFirstByte(draft, bytes[lineAt]!);
  if (lineTooLong(draft, bytes, lineAt)) return failTooLong(draft);
  const found = bytes[at]!;
  let methodEnd = lineAt;
  while (isTokenByte[bytes[methodEnd]!] === 1) methodEnd++;
  if (at === methodEnd && found !== LF && found !== CR) {
    return draft.fail('BAD_METHOD', `the method holds the byte ${hex(found)}`);
  }
  if (found === SP) {
    return draft.fail('BAD_REQUEST_LINE', 'more than one space between method and target');
  }
  if (found === LF || found === CR) {
    return draft.fail('BAD_REQUEST_LINE', 'the request line ends before the HTTP version');
  }
  return draft.fail('BAD_TARGET', `the target holds the byte ${hex(found)}`);
}

/** Says at once that this is not HTTP; checked on the first byte, before the line is complete. */
export function failFirstByte(draft: HeadDraft, byte: number): -1 {
  if (byte === LF) return draft.fail('BAD_REQUEST_LINE', 'an empty line ends with LF alone');
  const what =
    byte === 22 ? 'this looks like TLS; plain HTTP is spoken here' : 'no method begins so';
  return draft.fail('BAD_METHOD', `the first byte is ${hex(byte)}: ${what}`);
}

function failVersion(draft: HeadDraft, bytes: Uint8Array, lineAt: number, versionAt: number): -1 {
  if (lineTooLong(draft, bytes, lineAt)) return failTooLong(draft);
  const lf = bytes.indexOf(LF, lineAt);
  const end = bytes[lf - 1] === CR ? lf - 1 : lf;
  const version = Buffer.from(bytes.subarray(versionAt, end)).toString('latin1');
  if (/^HTTP\/[0-9]\.[0-9]$/.test(version)) {
    if (version === 'HTTP/1.1' || version === 'HTTP/1.0') {
      return draft.fail('BAD_REQUEST_LINE', 'the request line ends with LF alone');
    }
    return draft.fail('BAD_VERSION', `${version} is not spoken here`);
  }
  return draft.fail('BAD_REQUEST_LINE', `not an HTTP version: ${excerpt(version)}`);
}

function lineTooLong(draft: HeadDraft, bytes: Uint8Array, lineAt: number): boolean {
  const lf = bytes.indexOf(LF, lineAt);
  const end = lf > lineAt && bytes[lf - 1] === CR ? lf - 1 : lf;
  return end - lineAt > draft.limits.requestLineBytes;
}

function hex(byte: number): string {
  return `0x${byte.toString(16).padStart(2, '0')}`;
}
