// Writes ASN.1 as DER, and takes it apart, with node-forge's codec. Bytes are Buffers here; forge has Latin-1 strings.

import type { asn1 as Asn1Module } from 'node-forge';
import type { Forge } from './forge.ts';

export type Node = Asn1Module.Asn1;

/** Universal tags (X.680) that certificates use, as forge numbers them. */
export const tags = {
  boolean: 1,
  integer: 2,
  bitString: 3,
  octetString: 4,
  null: 5,
  oid: 6,
  utf8: 12,
  sequence: 16,
  set: 17,
  printable: 19,
  ia5: 22,
  utcTime: 23,
  generalizedTime: 24,
} as const;

const universal = 0;
const contextSpecific = 0x80;
/** Deeper than any certificate (9) or PKCS#12 file (7 a layer) goes. */
const depthMax = 32;

export interface DerWriter {
  sequence(...parts: readonly Node[]): Node;
  set(...parts: readonly Node[]): Node;
  /** Two's complement, big-endian, as short as it goes. */
  integer(bytes: Buffer): Node;
  boolean(value: boolean): Node;
  null(): Node;
  oid(dotted: string): Node;
  utf8(text: string): Node;
  octets(bytes: Buffer): Node;
  /** `unusedBits` of the last byte do not count. */
  bits(bytes: Buffer, unusedBits?: number): Node;
  /** UTCTime until 2049, then GeneralizedTime (RFC 5280, 4.1.2.5). */
  time(date: Date): Node;
  /** [number] around others, or as another name of a primitive's content. */
  tagged(number: number, content: readonly Node[] | Buffer): Node;
  /** What is DER already. */
  raw(der: Buffer): Node;
  encode(node: Node): Buffer;
}

export function derWriter({ asn1 }: Forge): DerWriter {
  const make = (type: number, constructed: boolean, value: string | readonly Node[]): Node =>
    asn1.create(universal, type, constructed, value as string | Node[]);
  return {
    sequence: (...parts) => make(tags.sequence, true, parts),
    set: (...parts) => make(tags.set, true, parts),
    integer: (bytes) => make(tags.integer, false, bytes.toString('latin1')),
    boolean: (value) => make(tags.boolean, false, value ? '\xff' : '\0'),
    null: () => make(tags.null, false, ''),
    oid: (dotted) => make(tags.oid, false, asn1.oidToDer(dotted).getBytes()),
    utf8: (text) => make(tags.utf8, false, Buffer.from(text).toString('latin1')),
    octets: (bytes) => make(tags.octetString, false, bytes.toString('latin1')),
    bits: (bytes, unusedBits = 0) =>
      make(tags.bitString, false, String.fromCharCode(unusedBits).concat(bytes.toString('latin1'))),
    time: (date) =>
      date.getUTCFullYear() < 2050
        ? make(tags.utcTime, false, asn1.dateToUtcTime(date))
        : make(tags.generalizedTime, false, asn1.dateToGeneralizedTime(date)),
    tagged: (number, content) =>
      Buffer.isBuffer(content)
        ? asn1.create(contextSpecific, number, false, content.toString('latin1'))
        : asn1.create(contextSpecific, number, true, content as Node[]),
    raw: (der) => parseDer(asn1, der),
    encode: (node) => Buffer.from(asn1.toDer(node).getBytes(), 'latin1'),
  };
}

export interface DerReader {
  /** Throws where the bytes are not one whole value. BER's indefinite lengths are read too. */
  parse(der: Buffer): Node;
  encode(node: Node): Buffer;
  /** Dotted; throws where it is none. */
  oid(node: Node | undefined): string;
}

export function derReader({ asn1 }: Forge): DerReader {
  return {
    parse: (der) => parseDer(asn1, der),
    encode: (node) => Buffer.from(asn1.toDer(node).getBytes(), 'latin1'),
    oid: (node) => asn1.derToOid(content(node, tags.oid).toString('latin1')),
  };
}

function parseDer(asn1: Forge['asn1'], der: Buffer): Node {
  // Bit strings stay as they are: forge would else take apart those that happen to look like DER.
  const options = { strict: true, decodeBitStrings: false, maxDepth: depthMax };
  return asn1.fromDer(der.toString('latin1'), options as unknown as boolean);
}

/** The parts of a constructed value; throws where it is another thing. */
export function parts(node: Node | undefined, tag: number = tags.sequence): readonly Node[] {
  if (!is(node, tag) || !Array.isArray(node.value)) throw new Error(`expected ASN.1 type ${tag}`);
  return node.value;
}

/** The bytes of a primitive value. BER's octet strings made of octet strings are put together. */
export function content(node: Node | undefined, tag: number): Buffer {
  if (!is(node, tag)) throw new Error(`expected ASN.1 type ${tag}`);
  if (!Array.isArray(node.value)) return Buffer.from(node.value, 'latin1');
  if (tag !== tags.octetString) throw new Error(`expected primitive ASN.1 type ${tag}`);
  return Buffer.concat(node.value.map((part) => content(part, tag)));
}

export function is(node: Node | undefined, tag: number): node is Node {
  return node !== undefined && node.tagClass === universal && node.type === tag;
}

/** Small numbers: versions, iterations. Throws from 2^31 on, and where it is negative. */
export function smallInteger(node: Node | undefined): number {
  const bytes = content(node, tags.integer);
  if (bytes.length === 0 || bytes.length > 4 || bytes[0]! > 0x7f)
    throw new Error('expected a number below 2^31');
  return bytes.readUIntBE(0, bytes.length);
}

/** The parts of a constructed [number]. */
export function taggedParts(node: Node | undefined, number: number): readonly Node[] {
  if (!isTagged(node, number) || !Array.isArray(node.value))
    throw new Error(`expected ASN.1 [${number}]`);
  return node.value;
}
/** Whether it is [number]. */
export function isTagged(node: Node | undefined, number: number): node is Node {
  return node !== undefined && node.tagClass === contextSpecific && node.type === number;
}
