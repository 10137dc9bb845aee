// What a client reads when its request failed: a page, a JSON object or a line of text, as it prefers.

import { catalogue, type FailureCode } from '../../errors/catalogue.ts';
import { type Failure, failure } from '../../errors/failure.ts';
import type { Exchange, Fields, RequestHead } from '../../http/exchange.ts';
import { fieldValues } from '../../http/fields.ts';
import { preferredText } from '../../http/prefers.ts';
import { standardReason } from '../../http/status.ts';
import { ignoreContent } from '../own-answer.ts';
import type { ErrorPages } from './error-pages.ts';

/** A full queue empties in about this time once workers answer again. */
const RETRY_AFTER_SECONDS = '1';

/** Methods a resource may have here; RFC 9110 section 15.5.6 wants them named in a 405. */
const ALLOW = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS';

export interface ErrorAnswer {
  readonly fields: Fields;
  readonly content: Uint8Array;
}

/** Whom to tell. A request that could not be read has no fields and is told in text. */
interface Asked {
  readonly request: RequestHead;
  readonly requestId: string;
}

/** A fault of the client's is explained in detail; one of ours by a code and the request's name,
 *  which lead to the log line. Nothing a client sent is in it but what the failure's detail quotes. */
export function errorAnswer(reason: Failure, asked: Asked, pages: ErrorPages): ErrorAnswer {
  const { status } = reason;
  const { type, content, isOwn } = told(reason, asked, pages);
  const fields = [
    'Content-Type',
    type,
    'Content-Length',
    String(content.length),
    'Cache-Control',
    'no-store',
    'X-Content-Type-Options',
    'nosniff',
  ];
  if (isOwn) fields.push('Content-Security-Policy', POLICY);
  if (status === 503) fields.push('Retry-After', RETRY_AFTER_SECONDS);
  if (status === 405) fields.push('Allow', ALLOW);
  return { fields, content };
}

/** Own pages have a style in them and nothing else; those of others may load what they like. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'";

interface Told {
  readonly type: string;
  readonly content: Uint8Array;
  /** It is one of Portico's own pages. */
  readonly isOwn: boolean;
}

function told(reason: Failure, { request, requestId }: Asked, pages: ErrorPages): Told {
  const { code, blame, status, detail } = reason;
  const form = preferredText(fieldValues(request.fields, 'accept'));
  if (form === 'html') {
    const page = pages.render(status, requestId);
    if (page !== null) return { type: 'text/html; charset=utf-8', ...page };
  }
  const { what } = catalogue[code];
  const explained = blame === 'client' && detail !== '' ? `${what} (${detail})` : what;
  if (form === 'json') {
    // Problem Details (RFC 9457); without a type of its own the title is the status's phrase.
    const problem = { title: titleOf(status), status, detail: explained, code, requestId };
    const content = Buffer.from(`${JSON.stringify(problem)}\n`);
    return { type: 'application/problem+json', content, isOwn: false };
  }
  const named = blame === 'client' ? '' : ` Request ${requestId}.`;
  const content = Buffer.from(`${status} ${code}: ${explained}${named}\n`);
  return { type: 'text/plain; charset=utf-8', content, isOwn: false };
}

function titleOf(status: number): string {
  return standardReason(status) ?? (status < 500 ? 'Client Error' : 'Server Error');
}

/** Answers an exchange that nobody has taken on with the error page of `code`, and goes on: unlike
 *  a fail(), it is no event of the log, since what is not found may be asked for in any number.
 *  `fields` come before those of the answer and win over them. */
export function respondWithError(
  exchange: Exchange,
  code: FailureCode,
  pages: ErrorPages,
  fields: Fields = [],
): void {
  const reason = failure(code);
  const answer = errorAnswer(reason, exchange, pages);
  exchange.attach(ignoreContent);
  const given = new Set(fields.filter((_, index) => index % 2 === 0).map(lower));
  const all = [...fields];
  for (let index = 0; index < answer.fields.length; index += 2) {
    const name = answer.fields[index]!;
    if (!given.has(lower(name))) all.push(name, answer.fields[index + 1]!);
  }
  all.push('X-Request-Id', exchange.requestId);
  exchange.respond(reason.status, '', all);
  exchange.write(answer.content);
  exchange.end([]);
}

function lower(name: string): string {
  return name.toLowerCase();
}
