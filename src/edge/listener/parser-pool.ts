// Lends request parsers to connections for as long as a request is being read, so that an idle
// keep-alive connection holds none.

import type { Fields, RequestHead } from '../../http/exchange.ts';
import type { ParserEvents } from '../../http/parser-events.ts';
import type { FieldMemory } from '../../http/repeated-fields.ts';
import {
  type ParserLimits,
  type RequestFraming,
  RequestParser,
} from '../../http/request-parser.ts';

/** Parsers kept for reuse: about as many as requests are in work at once on a busy edge. */
const SPARE_PARSERS_MAX = 256;

/** A parser and the connection it reads for. */
export class ParserLoan implements ParserEvents {
  readonly parser: RequestParser;
  readonly limits: ParserLimits;
  reader: ParserEvents | null = null;

  constructor(limits: ParserLimits) {
    this.limits = limits;
    this.parser = new RequestParser(limits, this);
  }

  get memory(): FieldMemory | null {
    return this.reader?.memory ?? null;
  }

  onHead(head: RequestHead, framing: RequestFraming): void {
    this.reader?.onHead(head, framing);
  }

  onData(chunk: Buffer): void {
    this.reader?.onData(chunk);
  }

  onEnd(trailers: Fields): void {
    this.reader?.onEnd(trailers);
  }
}

export class ParserPool {
  private readonly spare: ParserLoan[] = [];

  borrow(limits: ParserLimits, reader: ParserEvents): ParserLoan {
    let loan = this.spare.pop();
    // A reload has changed the limits: parsers of the former ones are not used again.
    if (loan === undefined || loan.limits !== limits) loan = new ParserLoan(limits);
    loan.reader = reader;
    return loan;
  }

  giveBack(loan: ParserLoan): void {
    loan.reader = null;
    if (loan.parser.state !== 'idle' || this.spare.length >= SPARE_PARSERS_MAX) return;
    this.spare.push(loan);
  }
}
