// Why a certificate could not be had: a code of the failure table, a line for a person, and how long to wait.

import { catalogue, type FailureCode } from '../../errors/catalogue.ts';

export type AcmeCode = Extract<FailureCode, `ACME_${string}`>;

export class AcmeError extends Error {
  readonly code: AcmeCode;
  /** What to do about it, in plain words. */
  readonly remedy: string;
  /** The CA wants to be left alone so long; 0 = it did not say. */
  readonly retryAfterMs: number;
  /** Type of the CA's problem document without its prefix ("badNonce"), '' for none. */
  readonly problem: string;
  /** Type of the problem that the CA had with the challenge, '' for none. */
  readonly challengeProblem: string;

  constructor(
    code: AcmeCode,
    message: string,
    more: {
      readonly remedy?: string;
      readonly retryAfterMs?: number;
      readonly problem?: string;
      readonly challengeProblem?: string;
      readonly cause?: unknown;
    } = {},
  ) {
    super(message, more.cause === undefined ? {} : { cause: more.cause });
    this.name = 'AcmeError';
    this.code = code;
    this.remedy = more.remedy ?? catalogue[code].remedy;
    this.retryAfterMs = more.retryAfterMs ?? 0;
    this.problem = more.problem ?? '';
    this.challengeProblem = more.challengeProblem ?? '';
  }
}
