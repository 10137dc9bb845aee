// Byte ranges (RFC 9110 section 14): what a Range field asks of so many bytes, and the parts it is answered with.

/** Both ends are included. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** whole: the field is ignored, as section 14.2 allows for what is malformed, of another unit, or
 *  would be dearer than the whole. none: 416. */
export type Ranges = 'whole' | 'none' | readonly ByteRange[];

/** Real clients (PDF viewers, download managers) ask for a handful. Apache answers up to 200, and
 *  the whole to what asks for more; "Apache killer" asked for thousands. */
const RANGES_MAX = 50;
/** A gap smaller than what the head of another part would take is sent along (section 15.3.7.2). */
const GAP_BYTES = 80;

/** What to send of `size` bytes. Ranges that touch, overlap or nearly touch are one. */
export function parseRanges(field: string, size: number): Ranges {
  const match = /^bytes[ \t]*=(.*)$/i.exec(field);
  // Of nothing no part can be named: Content-Range has no way to.
  if (match === null || size === 0) return 'whole';
  const specs = match[1]!.split(',', RANGES_MAX + 1);
  if (specs.length > RANGES_MAX) return 'whole';
  const ranges: ByteRange[] = [];
  let asked = 0;
  for (const spec of specs) {
    const text = spec.trim();
    if (text === '') continue;
    const range = parseSpec(text, size);
    if (range === null) return 'whole';
    asked++;
    if (range.start <= range.end) ranges.push(range);
  }
  if (asked === 0) return 'whole';
  if (ranges.length === 0) return 'none';
  return ranges.length === 1 ? ranges : coalesce(ranges);
}

/** Null: malformed. start > end: well formed and beyond the end. */
function parseSpec(text: string, size: number): ByteRange | null {
  const match = /^(\d*)-(\d*)$/.exec(text);
  if (match === null) return null;
  const [, first, last] = match;
  if (first === '') {
    if (last === '') return null;
    // The last so many bytes; "-0" asks for none, which nothing satisfies.
    const suffix = Math.min(Number(last), size);
    return { start: size - suffix, end: size - 1 };
  }
  const start = Number(first);
  const end = last === '' ? size - 1 : Number(last);
  if (last !== '' && end < start) return null;
  return start >= size ? { start: size, end: size - 1 } : { start, end: Math.min(end, size - 1) };
}

/** In the order asked for where nothing overlaps, else in that of the bytes. */
function coalesce(ranges: readonly ByteRange[]): readonly ByteRange[] {
  const sorted = [...ranges].sort((a, b) => a.start - b.start);
  const joined: { start: number; end: number }[] = [];
  for (const { start, end } of sorted) {
    const last = joined.at(-1);
    if (last !== undefined && start - last.end <= GAP_BYTES) last.end = Math.max(last.end, end);
    else joined.push({ start, end });
  }
  return joined.length === ranges.length ? ranges : joined;
}

export function contentRange(range: ByteRange, size: number): string {
  return `bytes ${range.start}-${range.end}/${size}`;
}

/** What is sent for several ranges: text and ranges in turn, as multipart/byteranges (section 14.6). */
export interface Multipart {
  readonly contentType: string;
  readonly contentLength: number;
  /** Latin-1 text, or bytes of the representation. */
  readonly pieces: readonly (string | ByteRange)[];
}

/** `boundary` must not occur in the content: 128 random bits don't. */
export function multipart(
  ranges: readonly ByteRange[],
  of: { readonly size: number; readonly contentType: string; readonly boundary: string },
): Multipart {
  const pieces: (string | ByteRange)[] = [];
  let contentLength = 0;
  for (const [index, range] of ranges.entries()) {
    const head =
      `${index === 0 ? '' : '\r\n'}--${of.boundary}\r\n` +
      `Content-Type: ${of.contentType}\r\n` +
      `Content-Range: ${contentRange(range, of.size)}\r\n\r\n`;
    pieces.push(head, range);
    contentLength += head.length + range.end - range.start + 1;
  }
  const tail = `\r\n--${of.boundary}--\r\n`;
  pieces.push(tail);
  return {
    contentType: `multipart/byteranges; boundary=${of.boundary}`,
    contentLength: contentLength + tail.length,
    pieces,
  };
}
