// An exchange whose answer the app has handed to the edge: the same one, as the static files' lane sees it.

import type { Failure } from '../../errors/failure.ts';
import type {
  BodyLength,
  ClientFacts,
  Exchange,
  ExchangeHandler,
  ExchangeRecord,
  Fields,
  RequestHead,
} from '../../http/exchange.ts';
import { fieldValue } from '../../http/fields.ts';
import { sameName } from '../../http/tokens.ts';

const noFields: Fields = [];

/** The app's handler stays attached to the real exchange and passes on what it hears from there. */
export class HandedOver implements Exchange {
  request: RequestHead;
  client: ClientFacts;
  readonly bodyLength: BodyLength = 0;
  readonly expectsContinue = false;
  requestId: string;
  readonly record: ExchangeRecord;

  private readonly exchange: Exchange;
  /** Of the app's response, those that are kept. */
  private readonly kept: Fields;
  private readonly upstream: string;
  private readonly missing: (exchange: Exchange) => void;
  private handler: ExchangeHandler | null = null;
  private isClosed = false;

  constructor(
    exchange: Exchange,
    request: RequestHead,
    kept: Fields,
    missing: (exchange: Exchange) => void,
  ) {
    this.exchange = exchange;
    this.request = request;
    this.client = exchange.client;
    this.requestId = exchange.requestId;
    this.record = exchange.record;
    this.kept = kept;
    this.missing = missing;
    this.upstream = exchange.record.upstream;
  }

  attach(handler: ExchangeHandler): void {
    this.handler = handler;
    if (this.isClosed) handler.onClose(this.record.failure);
    // The request's content, if any, is the app's.
    else handler.onRequestEnd(noFields);
  }

  drained(): void {
    this.handler?.onDrain();
  }

  closed(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.handler?.onClose(this.record.failure);
  }

  consumed(): void {}

  inform(status: number, fields: Fields): void {
    this.exchange.inform(status, fields);
  }

  respond(status: number, reason: string, fields: Fields): void {
    // A directory: to be sent on to an internal path is of no use to a client.
    if (status === 301) {
      this.missing(this);
      return;
    }
    // The log says which worker said so.
    this.record.upstream = this.upstream;
    this.exchange.respond(status, reason, merged(status, fields, this.kept));
  }

  write(chunk: Uint8Array): boolean {
    return this.exchange.write(chunk);
  }

  end(trailers: Fields): void {
    this.exchange.end(trailers);
  }

  fail(failure: Failure): void {
    this.exchange.fail(failure);
  }
}

/** The file's fields with the app's in their place. A failure to send the file is not the app's
 *  answer: of its fields only cookies stay then. */
function merged(status: number, fields: Fields, kept: Fields): Fields {
  const isParts = /^multipart\/byteranges/i.test(fieldValue(fields, 'content-type') ?? '');
  const stays = (name: string) =>
    sameName(name, 'set-cookie') || (status < 400 && !(isParts && sameName(name, 'content-type')));
  const all: Fields = [];
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index]!;
    const lowerName = name.toLowerCase();
    const isReplaced = stays(name) && fieldValue(kept, lowerName) !== undefined;
    if (!isReplaced) all.push(name, fields[index + 1]!);
  }
  for (let index = 0; index < kept.length; index += 2)
    if (stays(kept[index]!)) all.push(kept[index]!, kept[index + 1]!);
  return all;
}
