// Field lines that come just so again on their connection: read once, and what was made of them used again.
//
// The clients of one connection say much the same in each request: of a browser's 700 bytes the
// request line changes, and a call of an API repeats all. HTTP/2 sends such fields by number
// (RFC 7541); in HTTP/1.1 the bytes come again, and comparing them costs a tenth of reading them.

import type { Asked } from './conditions.ts';
import type { Fields } from './exchange.ts';
import type { HeadDraft, ParserLimits } from './head-draft.ts';
import type { RequestFraming } from './head-facts.ts';
import { readLatin1 } from './latin1.ts';
import type { WrittenFields } from './request-head.ts';

/** Longer ones are not kept: a connection that waits would hold too much. */
const KEPT_BYTES_MAX = 2_048;

/** What Node's own function takes longer to begin with than to compare. */
const COMPARED_BYTES_MAX = 128;

/** Fields that many requests have in common. Nobody changes the list, so that what is made of it
 *  holds as long as it does. */
export class SharedFields {
  readonly fields: Fields;
  /** As they stand in a frame of the link. */
  encoded: EncodedFields | null = null;
  /** As they stand in a request to an HTTP/1.1 upstream. */
  written: WrittenFields | null = null;

  constructor(fields: Fields) {
    this.fields = fields;
  }
}

export interface EncodedFields {
  readonly lengths: Uint8Array;
  readonly text: Uint8Array;
}

/** Field lines of a request without content, and what they say. */
export class RepeatedFields {
  readonly fields: Fields;
  readonly framing: RequestFraming;
  private readonly bytes: Buffer;
  private readonly limits: ParserLimits;
  /** As askedBy() and maySayWho() have found. */
  asked: Asked | null = null;
  saysWho: boolean | null = null;
  private upstream: SharedFields | null = null;
  private upstreamRules: unknown = null;

  constructor(bytes: Buffer, fields: Fields, framing: RequestFraming, limits: ParserLimits) {
    this.bytes = bytes;
    this.fields = fields;
    this.framing = framing;
    this.limits = limits;
  }

  get length(): number {
    return this.bytes.length;
  }

  /** Whether the bytes from `at` begin with these lines, the empty one included, and would be read
   *  by the same rules. */
  isAt(chunk: Buffer, at: number, limits: ParserLimits): boolean {
    const { bytes } = this;
    const end = at + bytes.length;
    if (end > chunk.length || limits !== this.limits) return false;
    if (bytes.length > COMPARED_BYTES_MAX)
      return chunk.compare(bytes, 0, bytes.length, at, end) === 0;
    // Fewer are compared here sooner than a function of Node's is called.
    for (let index = 0; index < bytes.length; index++)
      if (chunk[at + index] !== bytes[index]) return false;
    return true;
  }

  /** What the app was sent for them by the same rules. */
  upstreamBy(rules: unknown): SharedFields | null {
    return this.upstreamRules === rules ? this.upstream : null;
  }

  keepUpstream(fields: Fields, rules: unknown): SharedFields {
    this.upstreamRules = rules;
    this.upstream = new SharedFields(fields);
    return this.upstream;
  }
}

/** What one connection remembers: the last field lines that came twice. */
export class FieldMemory {
  private known: RepeatedFields | null = null;
  private lastBytes = 0;
  private lastTarget = '';

  find(chunk: Buffer, at: number, limits: ParserLimits): RepeatedFields | null {
    const { known } = this;
    return known?.isAt(chunk, at, limits) ? known : null;
  }

  get isEmpty(): boolean {
    return this.known === null;
  }

  /** These bytes as text: the same string where they come again, of which V8 knows what it is looked up by. */
  targetAt(chunk: Buffer, start: number, end: number): string {
    if (isTextAt(chunk, start, end, this.lastTarget)) return this.lastTarget;
    const target = readLatin1(chunk, start, end);
    if (target.length <= COMPARED_BYTES_MAX) this.lastTarget = target;
    return target;
  }

  /** Lines were read whole. They are kept when the ones before were as long, and so perhaps the
   *  same: a client that never repeats itself costs no copy. */
  note(lines: Uint8Array, fields: Fields, framing: RequestFraming, limits: ParserLimits): void {
    const bytes = lines.length;
    if (bytes === this.lastBytes && bytes <= KEPT_BYTES_MAX)
      this.known = new RepeatedFields(ownCopy(lines), fields, framing, limits);
    this.lastBytes = bytes;
  }
}

function isTextAt(chunk: Buffer, start: number, end: number, text: string): boolean {
  if (text.length !== end - start) return false;
  for (let index = 0; index < text.length; index++)
    if (chunk[start + index] !== text.charCodeAt(index)) return false;
  return true;
}

/** A copy with memory of its own: a slice of Node's pool would hold all of the pool. */
export function ownCopy(bytes: Uint8Array): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  copy.set(bytes);
  return copy;
}

/** Whether the fields mean what they say: the rest of the request line does not change it. */
export function isUsual(draft: HeadDraft): boolean {
  return draft.form === 'origin' && draft.version === '1.1';
}
