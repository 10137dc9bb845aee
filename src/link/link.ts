// The link's two faces: what the edge calls to send a request to a worker, and what it hears back.
// The wire between them is in protocol.ts and docs/link-protocol.md.

import type { Failure } from '../errors/failure.ts';
import type { BodyLength, ClientFacts, Fields, RequestHead } from '../http/exchange.ts';

/** A request as the edge sends it: fields already rewritten, hop-by-hop ones removed. */
export interface LinkRequest {
  readonly request: RequestHead;
  readonly client: ClientFacts;
  readonly requestId: string;
  readonly bodyLength: BodyLength;
  readonly expectsContinue: boolean;
}

/** What the edge hears about one request. Ends with exactly one of onEnd and onFailed. */
export interface LinkObserver {
  onInform(status: number, fields: Fields): void;
  onResponse(status: number, reason: string, fields: Fields): void;
  /** Response content; the observer says consumed() when it has dealt with it. */
  onData(chunk: Uint8Array): void;
  onEnd(trailers: Fields): void;
  /** The worker has taken so many bytes of request content; as many more may be written. */
  onConsumed(bytes: number): void;
  /** Over without a whole answer. `reached`: some byte of the request may have got to the worker;
   *  when false the request can go elsewhere whatever its method. */
  onFailed(failure: Failure, reached: boolean): void;
}

/** One request on its way. After onEnd, onFailed or cancel() every call does nothing. */
export interface LinkStream {
  /** Sends request content; kept here while the worker's window is full. */
  write(chunk: Uint8Array): void;
  end(trailers: Fields): void;
  /** Response content dealt with: the worker may send as much more. */
  consumed(bytes: number): void;
  /** The client left, or the edge gave up: the app sees its request aborted. No onFailed follows. */
  cancel(): void;
}

/** One connection to a worker. */
export interface Link {
  readonly inFlight: number;
  /** Up: preface exchanged. Requests opened before are sent when it is. */
  readonly isUp: boolean;
  open(request: LinkRequest, observer: LinkObserver): LinkStream;
  /** Ends when nothing is in flight. */
  drain(): void;
  /** Ends now; what is in flight hears onFailed. */
  destroy(reason: Failure): void;
}
