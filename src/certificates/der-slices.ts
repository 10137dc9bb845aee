// Reads and writes the few bytes of DER that OCSP takes, as slices of the original and without node-forge.

/** `content` and `whole` are slices of what was read. */
export interface Der {
  /** The first byte: class, constructed or not, and number. */
  readonly tag: number;
  readonly content: Buffer;
  /** With tag and length. */
  readonly whole: Buffer;
}

export const der = {
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  enumerated: 0x0a,
  generalizedTime: 0x18,
  sequence: 0x30,
} as const;

/** [number] around others; without `constructed`, in place of a primitive's own tag. */
export function tagOf(number: number, constructed = true): number {
  return 0x80 | (constructed ? 0x20 : 0) | number;
}

/** The values that stand one behind the other in `bytes`; throws where they are not DER to the last byte. */
export function readAll(bytes: Buffer): Der[] {
  const values: Der[] = [];
  for (let at = 0; at < bytes.length; ) {
    const value = readAt(bytes, at);
    values.push(value);
    at += value.whole.length;
  }
  return values;
}

/** The one value that `bytes` are; throws where they are another thing. */
export function readOne(bytes: Buffer, tag: number): Der {
  const value = readAt(bytes, 0);
  if (value.whole.length !== bytes.length) throw new Error('bytes behind the end');
  return expect(value, tag);
}

/** What is inside a constructed value. */
export function inside(value: Der | undefined, tag: number = der.sequence): Der[] {
  return readAll(expect(value, tag).content);
}

export function expect(value: Der | undefined, tag: number): Der {
  if (value?.tag !== tag) throw new Error(`expected tag ${tag}, found ${value?.tag ?? 'the end'}`);
  return value;
}

/** Whole bytes only, as all keys and signatures are. */
export function bits(value: Der | undefined): Buffer {
  const { content } = expect(value, der.bitString);
  if (content[0] !== 0) throw new Error('a bit string that ends within a byte');
  return content.subarray(1);
}

/** Milliseconds since 1970. RFC 5280 section 4.1.2.5.2: to the second, and in UTC. */
export function time(value: Der | undefined): number {
  const text = expect(value, der.generalizedTime).content.toString('latin1');
  const match = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(text);
  const iso =
    match === null ? '' : text.replace(/^(....)(..)(..)(..)(..)(..)Z$/, '$1-$2-$3T$4:$5:$6Z');
  const ms = Date.parse(iso);
  if (Number.isNaN(ms)) throw new Error('a time that is none');
  return ms;
}

export function write(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  const head = length < 0x80 ? [tag, length] : [tag, 0x80 | bytes.length, ...bytes];
  return Buffer.concat([Buffer.from(head), content]);
}

function readAt(bytes: Buffer, at: number): Der {
  const tag = bytes[at];
  const first = bytes[at + 1];
  if (tag === undefined || first === undefined) throw new Error('cut off');
  // Numbers above 30 take more bytes, and nothing here has such.
  if ((tag & 0x1f) === 0x1f) throw new Error('a tag of more than one byte');
  let from = at + 2;
  let length = first;
  if (first >= 0x80) {
    const size = first & 0x7f;
    // 16 MB are more than anybody may send; size 0 is BER's open end.
    if (size === 0 || size > 3 || from + size > bytes.length)
      throw new Error('a length that is none');
    length = bytes.readUIntBE(from, size);
    from += size;
    if (length < 0x80 || length < 256 ** (size - 1)) throw new Error('a length that is too long');
  }
  if (from + length > bytes.length) throw new Error('cut off');
  return {
    tag,
    content: bytes.subarray(from, from + length),
    whole: bytes.subarray(at, from + length),
  };
}
