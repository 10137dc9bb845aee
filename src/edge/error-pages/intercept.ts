// interceptErrors: a page of errorPages in place of what the app answered with an error status.

import type { Exchange, Fields } from '../../http/exchange.ts';
import { fieldValues } from '../../http/fields.ts';
import { preferredText } from '../../http/prefers.ts';
import { keepOut } from '../cache/fetch.ts';
import { addVary } from '../compression/decide.ts';
import type { ResponseSink, ResponseStep } from '../response-step.ts';
import type { ErrorPages } from './error-pages.ts';

/** Clients that prefer JSON or text keep what the app says: errorPages has only pages. */
export function createIntercept(pages: ErrorPages): ResponseStep {
  return (exchange, status, fields, source) => {
    if (status < 400 || !pages.replaces(status)) return null;
    // Also where it stays as it is: no cache may give the one for the other.
    addVary(fields, 'Accept');
    if (preferredText(fieldValues(exchange.request.fields, 'accept')) !== 'html') return null;
    const page = pages.render(status, exchange.requestId);
    if (page === null) return null;
    // It names the request that it is for.
    keepOut(exchange);
    source.dismiss();
    return new Replacement(exchange, page.content);
  };
}

/** Answers with the page at once. */
class Replacement implements ResponseSink {
  private readonly exchange: Exchange;
  private readonly content: Uint8Array;

  constructor(exchange: Exchange, content: Uint8Array) {
    this.exchange = exchange;
    this.content = content;
  }

  respond(status: number, reason: string, fields: Fields): void {
    const { exchange, content } = this;
    exchange.respond(status, reason, [
      ...withoutContentFields(fields),
      'Content-Type',
      'text/html; charset=utf-8',
      'Content-Length',
      String(content.length),
    ]);
    exchange.write(content);
    exchange.end([]);
  }

  write(): boolean {
    return true;
  }

  end(): void {}
  onDrain(): void {}
  close(): void {}
}

/** Without those that speak of the content that is thrown away. */
function withoutContentFields(fields: Fields): Fields {
  const rest: Fields = [];
  for (let index = 0; index < fields.length; index += 2) {
    const isOfContent = /^(content-|etag$|last-modified$|accept-ranges$|trailer$|digest$)/i;
    if (!isOfContent.test(fields[index]!)) rest.push(fields[index]!, fields[index + 1]!);
  }
  return rest;
}
