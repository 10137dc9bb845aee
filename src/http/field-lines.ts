// Reads field lines of a head or of trailers (RFC 9112 section 5). The innermost loop of the edge.

import type { HeadDraft } from './head-draft.ts';
import { noteField } from './head-facts.ts';
import { COLON, CR, DEL, excerpt, HTAB, isTokenByte, LF, SP } from './tokens.ts';

/**
 * Reads whole lines from `at` up to the empty line or to `end`, which is the index after an LF.
 * `text` is `bytes` from `base` on, as Latin-1. Returns the index after the last line read (see
 * `draft.complete`), or -1 with `draft.failure` set.
 *
 * Bytes are classed from `bytes` and cut out of `text`: indexing a Buffer costs less than
 * charCodeAt, and a substring less than another latin1Slice.
 */
export function readFieldLines(
  draft: HeadDraft,
  bytes: Uint8Array,
  text: string,
  base: number,
  start: number,
  end: number,
): number {
  const permitBareLf = draft.limits.permitBareLf;
  const fields = draft.fields;
  const isNameByte = isTokenByte;
  const lengthMax = draft.fieldsMax * 2;
  let at = start;
  while (at < end) {
    const lineAt = at;
    // Both loops end at the latest at the LF before `end`: it is in neither class.
    while (isNameByte[bytes[at]!] === 1) at++;
    const nameEnd = at;
    if (bytes[at] !== COLON || nameEnd === lineAt) {
      const next = nameEnd === lineAt ? emptyLineEnd(bytes, at, permitBareLf) : -1;
      if (next === -1) return failField(draft, bytes, lineAt, at);
      draft.complete = true;
      return next;
    }
    at++;
    while (bytes[at] === SP || bytes[at] === HTAB) at++;
    const valueAt = at;
    let byte = bytes[at]!;
    // isValueByte spelt out: a third of the time of a look-up, in the loop that sees most bytes.
    while ((byte > 31 && byte !== DEL) || byte === HTAB) byte = bytes[++at]!;
    const lineEnd = at;
    if (bytes[at] === CR && bytes[at + 1] === LF) at += 2;
    else if (bytes[at] === LF && permitBareLf) at++;
    else return failField(draft, bytes, lineAt, at);
    if (lineEnd - lineAt > draft.lineMax) return draft.failTooLarge();
    if (fields.length >= lengthMax) return failTooMany(draft);
    draft.takeBytes(lineEnd - lineAt);

    let valueEnd = lineEnd;
    while (valueEnd > valueAt && (bytes[valueEnd - 1] === SP || bytes[valueEnd - 1] === HTAB)) {
      valueEnd--;
    }
    const name = text.substring(lineAt - base, nameEnd - base);
    const value = text.substring(valueAt - base, valueEnd - base);
    fields.push(name, value);
    if (!noteField(draft, name, value)) return -1;
  }
  return at;
}

/** Index after the empty line at `at`, or -1. */
function emptyLineEnd(bytes: Uint8Array, at: number, permitBareLf: boolean): number {
  if (bytes[at] === CR && bytes[at + 1] === LF) return at + 2;
  return bytes[at] === LF && permitBareLf ? at + 1 : -1;
}

function failTooMany(draft: HeadDraft): -1 {
  const kind = draft.isTrailers ? 'trailer' : 'head';
  return draft.fail('FIELDS_TOO_MANY', `the ${kind} has more than ${draft.fieldsMax} fields`);
}

/** The line was found wrong at `at`. Its size and number count first: they are what is known when
 *  a line is still arriving or has not been read. */
function failField(draft: HeadDraft, bytes: Uint8Array, lineAt: number, at: number): -1 {
  const lf = bytes.indexOf(LF, lineAt);
  const lineEnd = lf > lineAt && bytes[lf - 1] === CR ? lf - 1 : lf;
  if (lineEnd - lineAt > draft.lineMax) return draft.failTooLarge();
  if (draft.fields.length >= draft.fieldsMax * 2) return failTooMany(draft);
  const found = bytes[at]!;
  let nameEnd = lineAt;
  while (isTokenByte[bytes[nameEnd]!] === 1) nameEnd++;
  const name = excerpt(Buffer.from(bytes.subarray(lineAt, nameEnd)).toString('latin1'));
  if (at > nameEnd) {
    if (found === LF) return draft.fail('BAD_FIELD', `field ${name} ends with LF alone`);
    if (found === CR) return draft.fail('BAD_FIELD', `field ${name} holds a bare CR`);
    return draft.fail('BAD_FIELD', `the value of field ${name} holds ${hex(found)}`);
  }
  if (nameEnd === lineAt) {
    if (found === SP || found === HTAB) {
      return draft.fail('BAD_FIELD', 'a line begins with white space: folding is not allowed');
    }
    if (found === LF) return draft.fail('BAD_FIELD', 'the head ends with LF alone');
    if (found === CR) return draft.fail('BAD_FIELD', 'a line begins with a bare CR');
    if (found === COLON) return draft.fail('BAD_FIELD', 'a field has no name');
  }
  if (found === SP || found === HTAB) {
    return draft.fail('BAD_FIELD', `white space after the field name ${name}`);
  }
  if (found === LF || found === CR) return draft.fail('BAD_FIELD', `field ${name} has no colon`);
  return draft.fail('BAD_FIELD', `a field name holds ${hex(found)}`);
}

function hex(byte: number): string {
  return `0x${byte.toString(16).padStart(2, '0')}`;
}
