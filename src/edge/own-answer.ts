// Answers of the edge's own, short and whole, to exchanges that nobody has taken on.

import type { Exchange, ExchangeHandler, Fields } from '../http/exchange.ts';

const noContent = new Uint8Array(0);

/** For an exchange whose answer does not hang on the content of its request. */
export const ignoreContent: ExchangeHandler = {
  onRequestData() {},
  onRequestEnd() {},
  onDrain() {},
  onClose() {},
};

/** Answers with the fields, and those that go with the content. */
export function answerWith(
  exchange: Exchange,
  status: number,
  fields: Fields,
  content: Uint8Array = noContent,
): void {
  // A 204 or 304 has no content, and no length either (RFC 9110 section 8.6).
  const length = status === 204 || status === 304 ? [] : ['Content-Length', `${content.length}`];
  exchange.attach(ignoreContent);
  exchange.respond(status, '', [...fields, ...length, 'X-Request-Id', exchange.requestId]);
  if (content.length > 0) exchange.write(content);
  exchange.end([]);
}
