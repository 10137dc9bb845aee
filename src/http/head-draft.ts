// A head while it is being read: what its lines have said so far. Made per message and
// dropped when the head is complete, so that an idle connection holds none.

import type { FailureCode } from '../errors/catalogue.ts';
import { type Failure, failure } from '../errors/failure.ts';
import type { Fields } from './exchange.ts';

export interface ParserLimits {
  /** Bytes of the start line without its line ending. */
  readonly requestLineBytes: number;
  /** Field lines of a head. */
  readonly fields: number;
  /** Bytes of one field line without its line ending. */
  readonly fieldSizeBytes: number;
  /** Bytes of content; 0 = no limit. */
  readonly bodyBytes: number;
  /** Accept LF where a line of the head should end with CRLF (RFC 9112 section 2.2 lets a server). */
  readonly permitBareLf: boolean;
}

/** What all fields of a head may take beyond one field of the largest size. nginx takes 32 KiB in
 *  all, Node 16 KiB; without it 100 fields of 8 KiB would be 800 KiB for each connection. */
const HEAD_SLACK_BYTES = 65_536;
/** Trailers are checksums and status codes: a few short lines (gRPC sends two or three). */
export const TRAILER_FIELDS_MAX = 32;
export const TRAILER_BYTES_MAX = 8_192;

export type TargetForm = 'origin' | 'absolute' | 'authority' | 'asterisk';

export class HeadDraft {
  readonly limits: ParserLimits;
  readonly isTrailers: boolean;
  readonly isResponse: boolean;
  failure: Failure | null = null;

  method = '';
  target = '';
  version: '1.0' | '1.1' = '1.1';
  form: TargetForm = 'origin';
  /** Host and port of an absolute-form target: takes the place of Host. */
  authority = '';

  fields: Fields = [];
  /** Bytes the next field line may have; it has failed if it has more. One number for a line that
   *  is complete and one still arriving, so that how the bytes were split changes nothing. */
  lineMax: number;
  /** The empty line has been read. */
  complete = false;

  /** Index of Host's value in `fields`. */
  hostAt = -1;
  contentLength = -1;
  transferEncoding: string | null = null;
  hasContentType = false;
  asksClose = false;
  asksKeepAlive = false;
  asksUpgrade = false;
  upgrade: string | null = null;
  expectsContinue = false;

  private bytesLeft: number;

  constructor(limits: ParserLimits, kind: 'request' | 'response' | 'trailers') {
    this.limits = limits;
    this.isTrailers = kind === 'trailers';
    this.isResponse = kind === 'response';
    this.bytesLeft = fieldBytesMax(limits, this.isTrailers);
    this.lineMax = Math.min(limits.fieldSizeBytes, this.bytesLeft);
  }

  /** Notes the failure; -1 is the "no next byte" of the readers. */
  fail(code: FailureCode, detail: string): -1 {
    this.failure = failure(code, detail);
    return -1;
  }

  get fieldsMax(): number {
    return this.isTrailers ? TRAILER_FIELDS_MAX : this.limits.fields;
  }

  takeBytes(lineBytes: number): void {
    this.bytesLeft -= lineBytes;
    if (this.bytesLeft < this.lineMax) this.lineMax = this.bytesLeft;
  }

  failTooLarge(): -1 {
    const kind = this.isTrailers ? 'trailer' : 'head';
    const own = this.limits.fieldSizeBytes;
    return this.bytesLeft >= own
      ? this.fail('FIELD_TOO_LARGE', `a field line of the ${kind} is longer than ${own} bytes`)
      : this.fail(
          'FIELD_TOO_LARGE',
          `the ${kind} is longer than ${fieldBytesMax(this.limits, this.isTrailers)} bytes`,
        );
  }
}

function fieldBytesMax(limits: ParserLimits, isTrailers: boolean): number {
  return isTrailers ? TRAILER_BYTES_MAX : HEAD_SLACK_BYTES + limits.fieldSizeBytes;
}
