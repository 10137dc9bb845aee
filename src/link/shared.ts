// What both ends of the link share: failures that travel, and what to do with a thrown error.

import { catalogue, type FailureCode } from '../errors/catalogue.ts';
import { type Failure, failure } from '../errors/failure.ts';

/** The part of the event log that the link writes to. */
export interface LinkLog {
  warning(message: string, facts?: object): void;
}

/** Longest detail that a RESET carries. */
const DETAIL_CHARS_MAX = 256;

/** The failure that a RESET names; null when there is none of that name. What a worker sends is
 *  not trusted: a code that has no answer for the client becomes WORKER_RESET, and the detail is
 *  made fit for a log line. */
export function failureFromReset(code: string, detail: string): Failure | null {
  if (!Object.hasOwn(catalogue, code)) return null;
  const known = code as FailureCode;
  const { status } = catalogue[known];
  const answers = status >= 400 && status !== catalogue.CLIENT_LEFT.status;
  return failure(answers ? known : 'WORKER_RESET', cleanDetail(detail));
}

/** At most DETAIL_CHARS_MAX printable ASCII characters. */
export function cleanDetail(detail: string): string {
  return detail.slice(0, DETAIL_CHARS_MAX).replace(/[^\x20-\x7e]/g, '?');
}

/** What a callee threw becomes an uncaught exception, as from a socket's own event, but the frames
 *  and streams behind it are still dealt with. */
export function throwLater(error: unknown): void {
  process.nextTick(rethrow, error);
}

function rethrow(error: unknown): never {
  throw error;
}
