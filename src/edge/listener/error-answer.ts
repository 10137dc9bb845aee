// What a client reads when its request failed: one line of plain text that says what and why.

import { catalogue } from '../../errors/catalogue.ts';
import type { Failure } from '../../errors/failure.ts';
import type { Fields } from '../../http/exchange.ts';

/** A full queue empties in about this time once workers answer again. */
const RETRY_AFTER_SECONDS = '1';

/** Methods a resource may have here; RFC 9110 section 15.5.6 wants them named in a 405. */
const ALLOW = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS';

export interface ErrorAnswer {
  readonly fields: Fields;
  readonly content: Uint8Array;
}

/** A fault of the client's is explained in detail; one of ours by a code and the request's name,
 *  which lead to the log line. */
export function errorAnswer(failure: Failure, requestId: string): ErrorAnswer {
  const { code, blame, status, detail } = failure;
  let line = `${status} ${code}: ${catalogue[code].what}`;
  if (blame === 'client') line += detail === '' ? '' : ` (${detail})`;
  else line += ` Request ${requestId}.`;
  const content = Buffer.from(`${line}\n`);
  const fields = [
    'Content-Type',
    'text/plain; charset=utf-8',
    'Content-Length',
    String(content.length),
    'Cache-Control',
    'no-store',
  ];
  if (status === 503) fields.push('Retry-After', RETRY_AFTER_SECONDS);
  if (status === 405) fields.push('Allow', ALLOW);
  return { fields, content };
}
