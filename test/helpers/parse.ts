// Feeds bytes to the request parser, whole or in pieces, and writes down what it says.

import type { Fields, RequestHead } from '../../src/http/exchange.ts';
import type { ParserState } from '../../src/http/parser-events.ts';
import {
  type ParserLimits,
  type RequestFraming,
  RequestParser,
} from '../../src/http/request-parser.ts';

export const limits: ParserLimits = {
  requestLineBytes: 4094,
  fields: 100,
  fieldSizeBytes: 8190,
  bodyBytes: 0,
  permitBareLf: false,
};

export interface ParsedMessage {
  readonly head: RequestHead;
  readonly framing: RequestFraming;
  content: string;
  trailers: Fields | null;
}

export interface Parsed {
  readonly messages: readonly ParsedMessage[];
  /** "CODE: detail", or null. */
  readonly failure: string | null;
  readonly state: ParserState;
  /** Bytes not taken: behind the failure. */
  readonly left: number;
}

/** Feeds `input` (Latin-1) cut at `cuts`, message after message as a connection does. */
export function parse(
  input: string,
  options: { cuts?: readonly number[]; limits?: Partial<ParserLimits> } = {},
): Parsed {
  const messages: ParsedMessage[] = [];
  const parser = new RequestParser(
    { ...limits, ...options.limits },
    {
      onHead: (head, framing) => messages.push({ head, framing, content: '', trailers: null }),
      onData: (chunk) => {
        messages.at(-1)!.content += chunk.toString('latin1');
      },
      onEnd: (trailers) => {
        messages.at(-1)!.trailers = trailers;
      },
    },
  );
  const bytes = Buffer.from(input, 'latin1');
  const cuts = [...new Set([0, ...(options.cuts ?? []), bytes.length])].sort((a, b) => a - b);
  let left = 0;
  for (let index = 0; index + 1 < cuts.length; index++) {
    // A copy each: the parser may not lean on what lies before or behind its piece.
    const piece = Buffer.from(bytes.subarray(cuts[index], cuts[index + 1]));
    let at = 0;
    while (at < piece.length && parser.failure === null) {
      at = parser.push(piece, at);
      if (parser.state === 'done' && at < piece.length) parser.next();
    }
    if (parser.state === 'done' && index + 2 < cuts.length) parser.next();
    if (parser.failure !== null) {
      left = bytes.length - cuts[index]! - at;
      break;
    }
  }
  const { failure } = parser;
  return {
    messages,
    failure: failure === null ? null : `${failure.code}: ${failure.detail}`,
    state: parser.state,
    left,
  };
}

/** Cuts after every byte. */
export function everyByte(input: string): number[] {
  return Array.from(input, (_, index) => index);
}
