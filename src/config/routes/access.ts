// Reads who may ask: addresses that are let in or kept out, and origins of pages (CORS).

import { isToken } from '../../http/tokens.ts';
import { trustEntryFault } from '../../http/trust.ts';
import { duration, Unfit } from '../kinds.ts';
import type { Complaints } from './complaints.ts';
import type { CorsConfig } from './route-config.ts';

export function readAddresses(at: string, raw: unknown, complaints: Complaints): string[] {
  return complaints.list(
    at,
    raw,
    (entry) => (trustEntryFault(entry.trim()) === null ? entry.trim() : null),
    'an IP address, a CIDR block such as 10.0.0.0/8, "unix" or "*"',
  );
}

const corsKeys = ['origins', 'methods', 'headers', 'expose', 'credentials', 'maxAge'];
const maxAge = duration({ minMs: 0 });
/** Those a fetch may use at all, but CONNECT and TRACE, which browsers refuse. */
const usualMethods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'];

/** true: any page may ask, without credentials. */
export function readCors(
  at: string,
  raw: unknown,
  methods: readonly string[],
  complaints: Complaints,
): CorsConfig | null {
  if (raw === undefined || raw === null || raw === false) return null;
  const given = raw === true ? {} : complaints.object(at, raw, corsKeys);
  const origins = complaints.list(
    `${at}.origins`,
    given.origins ?? '*',
    readOrigin,
    '"*", or origins such as https://example.com and https://*.example.com',
  );
  const tokens = (key: string, value: unknown) =>
    complaints.list(
      `${at}.${key}`,
      value,
      (name) => (isToken(name) ? name : null),
      'names of headers, or methods',
    );
  const { credentials = false } = given;
  if (typeof credentials !== 'boolean')
    complaints.add(`${at}.credentials`, credentials, 'true or false');
  else if (credentials && origins.includes('*'))
    complaints.add(
      `${at}.origins`,
      '*',
      'with credentials, name the origins: "*" is all there are',
    );
  const ageMs = maxAge.read(given.maxAge ?? '10m');
  if (ageMs instanceof Unfit) complaints.add(`${at}.maxAge`, given.maxAge, maxAge.expected);
  const fallback = methods.length > 0 ? methods.filter((one) => one !== 'OPTIONS') : usualMethods;
  return {
    origins,
    methods: tokens('methods', given.methods ?? fallback),
    headers: tokens('headers', given.headers ?? '*'),
    expose: tokens('expose', given.expose),
    credentials: credentials === true,
    maxAgeSeconds: ageMs instanceof Unfit ? 0 : Math.floor(ageMs / 1000),
  };
}

function readOrigin(text: string): string | null {
  const given = text.trim().toLowerCase().replace(/\/$/, '');
  if (given === '*') return given;
  return /^https?:\/\/(\*\.)?([a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:]+\])(:\d{1,5})?$/.test(given)
    ? given
    : null;
}
