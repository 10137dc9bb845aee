// One request to a CA, whose answers are hostile: https only, verified, limited in time and size, redirects not followed.

import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { rootCertificates } from 'node:tls';
import { AcmeError } from './acme-error.ts';

/** A chain of certificates is 4 to 10 KB, the largest thing a CA has to say. */
const answerBytesMax = 256 * 1024;
const urlCharsMax = 2048;
const idleMs = 10_000;

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

export interface Asking {
  readonly method: 'GET' | 'HEAD' | 'POST';
  readonly body?: string;
  readonly accept?: string;
}

export interface Wire {
  ask(url: string, asking: Asking): Promise<Answer>;
  close(): void;
}

export interface WireOptions {
  /** PEM of roots to trust beside the usual ones; '' = none. */
  readonly extraCa: string;
  readonly userAgent: string;
  readonly timeoutMs: number;
  /** Ends what is under way. */
  readonly signal: AbortSignal;
}

export function openWire({ extraCa, userAgent, timeoutMs, signal }: WireOptions): Wire {
  const agent = new Agent({
    keepAlive: true,
    maxSockets: 4,
    // A connection that the CA has closed meanwhile must not be used for the next renewal.
    timeout: idleMs,
    // Given at all, `ca` replaces the usual roots.
    ...(extraCa === '' ? {} : { ca: [...rootCertificates, extraCa] }),
  });
  return {
    ask: (url, asking) =>
      new Promise((done, fail) => {
        const target = checkedUrl(url);
        const { method, body, accept } = asking;
        const limits = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
        const sent = request(target, {
          method,
          agent,
          signal: limits,
          headers: {
            'User-Agent': userAgent,
            ...(accept === undefined ? {} : { Accept: accept }),
            ...(body === undefined ? {} : bodyFields(body)),
          },
        });
        const onError = (cause: NodeJS.ErrnoException): void => {
          const why = signal.aborted
            ? 'was not waited for: Portico is stopping'
            : limits.aborted
              ? `did not answer within ${timeoutMs / 1000} s`
              : `cannot be asked: ${reasonOf(cause)}`;
          fail(new AcmeError('ACME_UNREACHABLE', `${target.host} ${why}`, { cause }));
        };
        sent.on('error', onError);
        sent.on('response', (response) => {
          response.on('error', onError);
          collect(response, (answer) => {
            if (typeof answer !== 'string') done(answer);
            else fail(new AcmeError('ACME_NONSENSE', `${target.host} ${answer}`));
          });
        });
        sent.end(body);
      }),
    close: () => agent.destroy(),
  };
}

function bodyFields(body: string) {
  return { 'Content-Type': 'application/jose+json', 'Content-Length': Buffer.byteLength(body) };
}

/** Calls back with the answer, or with what is wrong with it. */
function collect(response: IncomingMessage, done: (answer: Answer | string) => void): void {
  const chunks: Buffer[] = [];
  let bytes = 0;
  response.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    chunks.push(chunk);
    if (bytes <= answerBytesMax) return;
    done(`sent more than ${answerBytesMax} bytes`);
    response.destroy();
  });
  response.on('end', () => {
    const { statusCode: status = 0, headers } = response;
    if (status >= 300 && status < 400) done(`redirects (${status}), which is not followed`);
    else done({ status, headers, text: Buffer.concat(chunks).toString('utf8') });
  });
}

/** CAs name most of their own addresses; none leads to where no certificate is checked. */
function checkedUrl(url: string): URL {
  const target = url.length <= urlCharsMax && URL.canParse(url) ? new URL(url) : null;
  if (target === null) throw new AcmeError('ACME_NONSENSE', 'the CA gave an address that is none');
  if (target.protocol !== 'https:')
    throw new AcmeError('ACME_NONSENSE', `the address ${target.host} is not https`);
  return target;
}

const reasons: Readonly<Record<string, string>> = {
  ENOTFOUND: 'its name has no address',
  EAI_AGAIN: 'its name cannot be looked up now',
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'it cut the connection',
  ETIMEDOUT: 'it cannot be reached',
  ENETUNREACH: 'there is no way to its network',
  EHOSTUNREACH: 'there is no way to it',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'no trusted CA has signed its certificate (acmeCaFile?)',
  SELF_SIGNED_CERT_IN_CHAIN: 'no trusted CA has signed its certificate (acmeCaFile?)',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'no trusted CA has signed its certificate (acmeCaFile?)',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name',
  CERT_HAS_EXPIRED: 'its certificate has expired (is the clock right?)',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet (is the clock right?)',
};

function reasonOf(error: NodeJS.ErrnoException): string {
  // Of several addresses tried, each failed for its own reason.
  const first =
    error instanceof AggregateError ? (error.errors[0] as NodeJS.ErrnoException) : error;
  return reasons[first.code ?? ''] ?? first.message;
}
