// What a response may meet between who makes it and the exchange: steps, each asked once with the head.

import type { Exchange, Fields } from '../http/exchange.ts';

/** Takes the parts of a response and gives the exchange what it makes of them. */
export interface ResponseSink {
  respond(status: number, reason: string, fields: Fields): void;
  /** The callee owns the bytes. False: wait for the source's onRoom (what was given is kept). */
  write(chunk: Uint8Array): boolean;
  end(trailers: Fields): void;
  /** The exchange has room again after its write() returned false. */
  onDrain(): void;
  /** The exchange is over, with this response or without: the last call. May be called twice. */
  close(): void;
}

/** Who makes the response, as far as a sink has something to tell it. */
export interface ResponseSource {
  /** There is room again after the sink's write() returned false. */
  onRoom(): void;
  /** The sink answers by itself: what comes of the response is not handed to it, and no failure of
   *  it ends the exchange. The worker is left to end in peace, unless it sends on and on. */
  dismiss(): void;
}

/** A sink takes the response in the exchange's place, from its head on; null leaves it to the next
 *  step. A step may change `fields`, and is called for each response: it looks, and mostly leaves. */
export type ResponseStep = (
  exchange: Exchange,
  status: number,
  fields: Fields,
  source: ResponseSource,
) => ResponseSink | null;
