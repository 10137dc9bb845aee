// Whether a request whose worker failed it may be sent to another. Pure.

import type { Failure } from '../../errors/failure.ts';

/** Tries after the first, for a request that never reached a worker. */
export const retriesMax = 3;
/** Tries after the first where a worker had the request and ended. A second end under the same
 *  request is hardly an accident: the request may be what ends or hangs them, and it must not go
 *  through the whole pool. */
export const reachedRetriesMax = 1;

export interface Attempt {
  readonly method: string;
  readonly failure: Failure;
  /** Some byte of the request may have got to the worker. */
  readonly reached: boolean;
  /** The content sent so far can be sent again. */
  readonly replayable: boolean;
  /** A final response head has been passed on. */
  readonly answered: boolean;
  /** Retries made so far. */
  readonly retries: number;
}

/** 'retry', or why not, in words for the log. */
export function decideRetry(attempt: Attempt): string {
  if (attempt.answered) return 'the answer had begun';
  if (!attempt.failure.retry) return 'another try would not help';
  if (attempt.retries >= retriesMax) return `${retriesMax} retries were made`;
  if (attempt.reached && attempt.retries >= reachedRetriesMax)
    return 'another worker had ended under it already';
  if (attempt.reached && !isIdempotent(attempt.method))
    return `${methodName(attempt.method)} is not idempotent`;
  if (!attempt.replayable) return 'the content was not kept';
  return 'retry';
}

/** RFC 9110 section 9.2.2: doing it twice intends the same as doing it once. */
export function isIdempotent(method: string): boolean {
  switch (method) {
    case 'GET':
    case 'HEAD':
    case 'OPTIONS':
    case 'TRACE':
    case 'PUT':
    case 'DELETE':
      return true;
    default:
      return false;
  }
}

/** RFC 9110 section 9.2.1: it asks for nothing but to read. */
export function isSafe(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS';
}

/** A method is a token of any length: what the log shows of it is short. */
function methodName(method: string): string {
  return method.length <= 20 ? method : `${method.slice(0, 20)}…`;
}
