// Reads the size line of a chunk: hexadecimal size and extensions (RFC 9112 section 7.1).

import { CR, DEL, HTAB, hexValue, isTokenByte, LF, SP } from './tokens.ts';

/** Bytes of one size line without CRLF: a size needs a dozen, extensions are next to unused. */
export const CHUNK_LINE_BYTES_MAX = 4_096;
/** Bytes of extensions in one message: each chunk could carry some, and a client could send nothing
 *  but extensions for ever (CVE-2023-39326 in Go, CVE-2024-22019 in Node; both took 16 KiB). */
export const CHUNK_EXTENSIONS_BYTES_MAX = 16_384;
/** 16^13 is below 2^53: with so few digits the size can't overflow. */
export const CHUNK_SIZE_DIGITS_MAX = 13;

const SEMICOLON = 59;
const EQUALS = 61;
const QUOTE = 34;
const BACKSLASH = 92;

/** Index after the hexadecimal digits at `at`. */
export function digitsEnd(bytes: Uint8Array, at: number): number {
  const endMax = Math.min(bytes.length, at + CHUNK_SIZE_DIGITS_MAX + 1);
  let end = at;
  while (end < endMax && hexValue[bytes[end]!] !== 255) end++;
  return end;
}

export function hexNumber(bytes: Uint8Array, at: number, end: number): number {
  let number = 0;
  for (let index = at; index < end; index++) number = number * 16 + hexValue[bytes[index]!]!;
  return number;
}

/** What is wrong with the size line from `at` to its LF at `lf`, or null. */
export function chunkLineFault(bytes: Uint8Array, at: number, lf: number): string | null {
  const sizeEnd = digitsEnd(bytes, at);
  if (sizeEnd === at) return 'a chunk size is not hexadecimal';
  if (sizeEnd - at > CHUNK_SIZE_DIGITS_MAX) {
    return `a chunk size has more than ${CHUNK_SIZE_DIGITS_MAX} digits`;
  }
  // Here LF alone is never enough: section 2.2 of RFC 9112 forgives it in the head only.
  if (lf === at || bytes[lf - 1] !== CR) return 'a chunk size line ends with LF alone';
  return extensionsEnd(bytes, sizeEnd) === lf - 1 ? null : 'a chunk extension is malformed';
}

/** Index after *( BWS ";" BWS name [ BWS "=" BWS value ] ); ends early at what does not fit. */
function extensionsEnd(bytes: Uint8Array, start: number): number {
  let end = start;
  for (;;) {
    let at = blankEnd(bytes, end);
    if (bytes[at] !== SEMICOLON) return end;
    at = blankEnd(bytes, at + 1);
    const nameEnd = tokenEnd(bytes, at);
    if (nameEnd === at) return end;
    end = nameEnd;
    at = blankEnd(bytes, nameEnd);
    if (bytes[at] !== EQUALS) continue;
    at = blankEnd(bytes, at + 1);
    const valueEnd = bytes[at] === QUOTE ? quotedEnd(bytes, at) : tokenEnd(bytes, at);
    if (valueEnd === at) return end;
    end = valueEnd;
  }
}

function blankEnd(bytes: Uint8Array, start: number): number {
  let at = start;
  while (bytes[at] === SP || bytes[at] === HTAB) at++;
  return at;
}

function tokenEnd(bytes: Uint8Array, start: number): number {
  let at = start;
  while (isTokenByte[bytes[at]!] === 1) at++;
  return at;
}

/** Index after the quoted-string at `start`, or `start` (RFC 9110 section 5.6.4). A line ending
 *  inside the quotes ends it: two parsers that differ here are a known way to smuggle requests. */
function quotedEnd(bytes: Uint8Array, start: number): number {
  for (let at = start + 1; at < bytes.length; at++) {
    let byte = bytes[at]!;
    if (byte === QUOTE) return at + 1;
    if (byte === BACKSLASH) byte = bytes[++at] ?? LF;
    if ((byte < SP && byte !== HTAB) || byte === DEL) return start;
  }
  return start;
}
