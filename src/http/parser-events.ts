// What the request parser tells, and what it asks of who reads with it.

import type { Fields, RequestHead } from './exchange.ts';
import type { RequestFraming } from './head-facts.ts';
import type { FieldMemory } from './repeated-fields.ts';

/** Called from within push() of a parser; they must call neither push() nor next(). */
export interface ContentEvents {
  /** A piece of content: a view into the pushed bytes; of small chunks a copy, gathered. */
  onData(chunk: Buffer): void;
  onEnd(trailers: Fields): void;
}

export interface ParserEvents extends ContentEvents {
  onHead(head: RequestHead, framing: RequestFraming): void;
  /** What came before on the connection; without it nothing is remembered. */
  readonly memory?: FieldMemory | null;
}

/** idle: no byte of a message seen; head and body: in the midst of one; done: next() is due. */
export type ParserState = 'idle' | 'head' | 'body' | 'done' | 'failed';

/** What is known of the message when it fails, for the log; '' = not read yet. */
export interface StartedRequest {
  readonly method: string;
  readonly target: string;
}
