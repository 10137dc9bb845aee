// The first bytes each end sends: who it is, which version it speaks, what the peer may send ahead.

import * as wire from './protocol.ts';

export interface Preface {
  readonly version: number;
  /** DATA bytes the sender of the preface takes on each stream before it gives credit. */
  readonly windowBytes: number;
  /** Streams the sender of the preface takes at a time: 0 from the edge, where none are opened to it. */
  readonly streamsMax: number;
}

export type PrefaceResult =
  | { readonly kind: 'partial' }
  | { readonly kind: 'ok'; readonly preface: Preface }
  | { readonly kind: 'broken'; readonly detail: string };

/** Whether the first byte of a connection says that it is a link, not HTTP. */
export function isLinkPreface(bytes: Uint8Array): boolean {
  return bytes[0] === wire.MAGIC_BYTE;
}

export function encodePreface(preface: Preface): Buffer {
  const buffer = Buffer.alloc(wire.PREFACE_BYTES);
  buffer.write(wire.MAGIC, 0, 'latin1');
  buffer.writeUInt16LE(preface.version, 8);
  buffer.writeUInt32LE(preface.windowBytes, 12);
  buffer.writeUInt32LE(preface.streamsMax, 16);
  return buffer;
}

/** Reads the preface from what has arrived so far. A version that is not ours is told apart from
 *  garbage by the magic, and its other fields are not looked at: they may mean something else. */
export function decodePreface(bytes: Buffer, who: 'edge' | 'worker'): PrefaceResult {
  const other = who === 'edge' ? 'worker' : 'edge';
  const magic = bytes.toString('latin1', 0, Math.min(bytes.length, wire.MAGIC.length));
  if (!wire.MAGIC.startsWith(magic)) {
    const hex = Buffer.from(magic, 'latin1').toString('hex');
    return broken(`the ${other} does not speak the link: its first bytes are ${hex}`);
  }
  if (bytes.length < wire.PREFACE_BYTES) return { kind: 'partial' };
  const version = bytes.readUInt16LE(8);
  if (version !== wire.LINK_VERSION)
    return broken(`this ${who} speaks link version ${wire.LINK_VERSION}, the ${other} ${version}`);
  const windowBytes = bytes.readUInt32LE(12);
  const streamsMax = bytes.readUInt32LE(16);
  if (bytes.readUInt16LE(10) !== 0) return broken(`the ${other}'s preface has unknown bits`);
  if (windowBytes < wire.WINDOW_BYTES_MIN || windowBytes > wire.WINDOW_BYTES_MAX)
    return broken(`the ${other} offers a window of ${windowBytes} bytes`);
  if (who === 'edge' ? streamsMax < 1 || streamsMax > wire.STREAMS_MAX : streamsMax !== 0)
    return broken(`the ${other} offers ${streamsMax} streams`);
  return { kind: 'ok', preface: { version, windowBytes, streamsMax } };
}

function broken(detail: string): PrefaceResult {
  return { kind: 'broken', detail };
}
