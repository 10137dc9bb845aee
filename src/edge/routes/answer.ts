// Answers of the edge's own to requests whose route says what to answer.

import type { Exchange, ExchangeHandler, Fields } from '../../http/exchange.ts';

const noContent = new Uint8Array(0);

/** Answers an exchange that nobody has taken on. */
export function answerWith(
  exchange: Exchange,
  status: number,
  fields: Fields,
  content: Uint8Array = noContent,
): void {
  // A 204 or 304 has no content, and no length either (RFC 9110 section 8.6).
  const length = status === 204 || status === 304 ? [] : ['Content-Length', `${content.length}`];
  exchange.attach(new Ignored(exchange));
  exchange.respond(status, '', [...fields, ...length, 'X-Request-Id', exchange.requestId]);
  if (content.length > 0) exchange.write(content);
  exchange.end([]);
}

/** The content of a request that is answered without it. */
class Ignored implements ExchangeHandler {
  private readonly exchange: Exchange;

  constructor(exchange: Exchange) {
    this.exchange = exchange;
  }

  onRequestData(chunk: Uint8Array): void {
    this.exchange.consumed(chunk.length);
  }

  onRequestEnd(): void {}
  onDrain(): void {}
  onClose(): void {}
}
