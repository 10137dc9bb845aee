// Problem documents of a CA (RFC 8555 section 6.7, RFC 9457) in plain words: what is wrong and what to do. Pure.

import { type AcmeCode, AcmeError } from './acme-error.ts';

/** What a CA says goes into logs: a line of it, with nothing that steers a terminal. */
const detailCharsMax = 400;
const subproblemsMax = 5;

const prefix = 'urn:ietf:params:acme:error:';

export interface Problem {
  /** Without the prefix; '' for none. */
  readonly type: string;
  readonly detail: string;
}

/** Never throws; what is no problem document has neither type nor detail. */
export function readProblem(value: unknown): Problem {
  const { type, detail, subproblems } = objectOf(value);
  const parts = [typeof detail === 'string' ? detail : ''];
  if (Array.isArray(subproblems)) {
    for (const sub of subproblems.slice(0, subproblemsMax)) {
      const inner = objectOf(sub);
      const name = objectOf(inner.identifier).value;
      if (typeof inner.detail === 'string')
        parts.push(typeof name === 'string' ? `${name}: ${inner.detail}` : inner.detail);
    }
  }
  return {
    type: typeof type === 'string' && type.startsWith(prefix) ? type.slice(prefix.length) : '',
    detail: plain(parts.filter((part) => part !== '').join('; ')),
  };
}

export function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

export function plain(text: string): string {
  const line = text.replaceAll(/[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]+/g, ' ').trim();
  return line.length > detailCharsMax ? `${line.slice(0, detailCharsMax)}…` : line;
}

interface Row {
  readonly code?: AcmeCode;
  readonly what: string;
  readonly remedy: string;
}

/** Types of RFC 8555 section 6.7 that a person can do something about. */
const rows: Readonly<Record<string, Row>> = {
  rateLimited: {
    code: 'ACME_RATE_LIMITED',
    what: 'The CA has had too many requests',
    remedy: 'Wait, and test with --acme-staging, which has higher limits.',
  },
  rejectedIdentifier: {
    what: 'The CA does not issue certificates for this name',
    remedy: 'Use a public name that the CA serves; private names need a CA of your own.',
  },
  unsupportedIdentifier: {
    what: 'The CA does not issue certificates for names of this kind',
    remedy: 'Use a host name.',
  },
  caa: {
    what: "The domain's CAA record in DNS forbids this CA",
    remedy: 'Add the CA to the CAA record, or choose another CA by --acme-directory.',
  },
  externalAccountRequired: {
    what: 'The CA wants accounts of its own to be named',
    remedy: 'Set acmeEabKid and acmeEabHmacKey to what the CA shows in your account there.',
  },
  userActionRequired: {
    what: 'The CA wants you to do something first',
    remedy: 'Follow what the CA says.',
  },
  invalidContact: {
    what: 'The CA does not take the e-mail address',
    remedy: 'Correct acmeEmail.',
  },
  unsupportedContact: {
    what: 'The CA does not take this kind of contact',
    remedy: 'Correct acmeEmail, or leave it out.',
  },
  serverInternal: {
    code: 'ACME_UNREACHABLE',
    what: 'The CA has a fault',
    remedy: "Nothing: it is tried again. See the CA's status page if it lasts.",
  },
  unauthorized: {
    what: 'The CA does not let this account do that',
    remedy: 'Check acmeEabKid and acmeEabHmacKey if the CA uses them, and what the CA says.',
  },
};

const challengeRows: Readonly<Record<string, Row>> = {
  dns: {
    what: 'The CA finds no address for the name in DNS',
    remedy: "Add an A or AAAA record that leads to this machine, and check the domain's DNSSEC.",
  },
  connection: {
    what: 'The CA cannot connect to this machine',
    remedy: '',
  },
  unauthorized: {
    what: 'Something else answered the CA: DNS does not lead here, or another program answers',
    remedy:
      'Correct the A and AAAA records (an AAAA record is tried first), or the proxy in front.',
  },
  incorrectResponse: {
    what: 'Something else answered the CA: DNS does not lead here, or another program answers',
    remedy:
      'Correct the A and AAAA records (an AAAA record is tried first), or the proxy in front.',
  },
  tls: {
    what: "The CA's TLS handshake failed: something in front of Portico ends TLS",
    remedy: 'Pass port 443 through as it is, or leave only http-01 in acmeChallenges.',
  },
  caa: rows.caa!,
};

/** The CA refused a request. */
export function refusal(problem: Problem, status: number, retryAfterMs: number): AcmeError {
  // RFC 9110: too many requests and overload, also from what stands in front of a CA.
  const type = problem.type === '' && status === 429 ? 'rateLimited' : problem.type;
  const row = Object.hasOwn(rows, type) ? rows[type] : undefined;
  const said = problem.detail === '' ? `status ${status}` : problem.detail;
  const { what, remedy, code } = row ?? {
    what: 'The CA refused',
    remedy: undefined,
    code: undefined,
  };
  return new AcmeError(
    code ?? (row === undefined && status >= 500 ? 'ACME_UNREACHABLE' : 'ACME_REFUSED'),
    `${what} (${type === '' ? said : `${type}: ${said}`})`,
    { ...(remedy === undefined ? {} : { remedy }), retryAfterMs, problem: type },
  );
}

export type ChallengeType = 'http-01' | 'tls-alpn-01';

/** The CA tried a challenge and was not content. */
export function invalidChallenge(problem: Problem, tried: ChallengeType): AcmeError {
  const row = Object.hasOwn(challengeRows, problem.type) ? challengeRows[problem.type] : undefined;
  const port = tried === 'http-01' ? 80 : 443;
  const what = row?.what ?? 'The CA could not check that the name is yours';
  const reach = `Let port ${port} through to Portico from everywhere (firewall, port mapping, A and AAAA records).`;
  const detail = problem.detail === '' ? '' : `: ${problem.detail}`;
  return new AcmeError('ACME_VALIDATION', `${what} (${tried}${detail})`, {
    remedy: row === undefined || row.remedy === '' ? reach : row.remedy,
    challengeProblem: problem.type,
  });
}

/** Retry-After in ms from `nowMs`: seconds or a date (RFC 9110 section 10.2.3); 0 where there is none. */
export function retryAfterMs(value: string | undefined, nowMs: number): number {
  if (value === undefined) return 0;
  if (/^\d{1,9}$/.test(value.trim())) return Number(value) * 1000;
  const at = Date.parse(value);
  return Number.isNaN(at) ? 0 : Math.max(0, at - nowMs);
}
