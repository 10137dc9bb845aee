// What there is of an answer before its stream gets it: mostly, at the end of the turn, all of it.

import type { ServerHttp2Stream } from 'node:http2';
import {
  type Http2Fields,
  type Http2ResponseHead,
  joinRepeated,
} from '../../../http/http2-response.ts';

/** Pieces are put together up to here: one frame, and one write. */
const COMBINE_BYTES = 16 * 1024;

export class Unsent {
  readonly head: Http2ResponseHead;
  bytes = 0;
  private readonly pieces: Uint8Array[] = [];

  constructor(head: Http2ResponseHead) {
    this.head = head;
  }

  add(chunk: Uint8Array): void {
    this.pieces.push(chunk);
    this.bytes += chunk.length;
  }

  /** The last piece of the content, after those before it were written; null if there is none. */
  writeAllButLast(stream: ServerHttp2Stream): Uint8Array | null {
    const { pieces } = this;
    if (pieces.length === 0) return null;
    if (pieces.length === 1) return pieces[0]!;
    if (this.bytes <= COMBINE_BYTES) return Buffer.concat(pieces);
    const last = pieces.pop()!;
    for (const piece of pieces) stream.write(piece);
    return last;
  }
}

export interface SendOptions {
  readonly waitForTrailers: boolean;
  readonly endStream: boolean;
}

/** Sends a head; returns what node:http2 has against it, or null. */
export function sendHead(
  stream: ServerHttp2Stream,
  fields: Http2Fields,
  options: SendOptions,
): Error | null {
  try {
    respondWith(stream, fields, options);
    return null;
  } catch (error) {
    return error as Error;
  }
}

function respondWith(stream: ServerHttp2Stream, fields: Http2Fields, options: SendOptions): void {
  try {
    stream.respond(fields as never, options);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_HTTP2_HEADER_SINGLE_VALUE') throw error;
    stream.respond(joinRepeated(fields) as never, options);
  }
}

interface Flushed {
  flush(): void;
}

let waiting: Flushed[] = [];

/** Calls exchange.flush() when all that the link brought in this turn has been handed out. */
export function flushSoon(exchange: Flushed): void {
  if (waiting.length === 0) setImmediate(flushAll);
  waiting.push(exchange);
}

function flushAll(): void {
  const exchanges = waiting;
  waiting = [];
  for (const exchange of exchanges) exchange.flush();
}
