// A failure says what happened, whose fault it is and whether another try may help.

import type { FailureCode } from './catalogue.ts';
import { catalogue } from './catalogue.ts';

export type Blame = 'client' | 'upstream' | 'edge';

export interface Failure {
  readonly code: FailureCode;
  readonly blame: Blame;
  /** Status the client gets if no head was sent yet; 0 = the connection is just closed. */
  readonly status: number;
  /** Whether the same request may succeed elsewhere or later. */
  readonly retry: boolean;
  /** One line for the log and, where the catalogue says so, for the client. Never holds raw client bytes. */
  readonly detail: string;
  readonly cause: unknown;
}

/** Makes a failure from its row in the catalogue. */
export function failure(code: FailureCode, detail = '', cause: unknown = null): Failure {
  const { blame, status, retry } = catalogue[code];
  return { code, blame, status, retry, detail, cause };
}
