// An exchange on its way past the cache: the app's answer gets Cache-Status and loses its tags.

import type { Failure } from '../../errors/failure.ts';
import type {
  ClientFacts,
  Exchange,
  ExchangeHandler,
  Fields,
  RequestHead,
} from '../../http/exchange.ts';
import { splitTags } from './entry.ts';

export class Passing implements Exchange {
  private readonly inner: Exchange;
  private readonly status: string;
  private readonly onAnswer: ((status: number, fields: Fields) => void) | null;

  /** `status`: the value of Cache-Status. `onAnswer` hears of the final response. */
  constructor(inner: Exchange, status: string, onAnswer: Passing['onAnswer'] = null) {
    this.inner = inner;
    this.status = status;
    this.onAnswer = onAnswer;
  }

  get request(): RequestHead {
    return this.inner.request;
  }
  set request(request: RequestHead) {
    this.inner.request = request;
  }
  get client(): ClientFacts {
    return this.inner.client;
  }
  set client(client: ClientFacts) {
    this.inner.client = client;
  }
  get requestId(): string {
    return this.inner.requestId;
  }
  set requestId(id: string) {
    this.inner.requestId = id;
  }
  get bodyLength() {
    return this.inner.bodyLength;
  }
  get expectsContinue() {
    return this.inner.expectsContinue;
  }
  get record() {
    return this.inner.record;
  }

  attach(handler: ExchangeHandler): void {
    this.inner.attach(handler);
  }
  consumed(bytes: number): void {
    this.inner.consumed(bytes);
  }
  inform(status: number, fields: Fields): void {
    this.inner.inform(status, fields);
  }
  respond(status: number, reason: string, fields: Fields): void {
    this.onAnswer?.(status, fields);
    this.inner.respond(status, reason, [...splitTags(fields).fields, 'Cache-Status', this.status]);
  }
  write(chunk: Uint8Array): boolean {
    return this.inner.write(chunk);
  }
  end(trailers: Fields): void {
    this.inner.end(trailers);
  }
  fail(failure: Failure): void {
    this.inner.fail(failure);
  }
}
