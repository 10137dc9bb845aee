// Which pages of other origins may ask (CORS, in the Fetch standard): preflights are answered here, and answers marked.

import type { CorsConfig } from '../../config/routes/route-config.ts';
import type { Exchange, Fields } from '../../http/exchange.ts';
import { fieldValue, fieldValues } from '../../http/fields.ts';
import { applyRules, type CompiledRules } from '../../http/header-rules.ts';
import { isToken } from '../../http/tokens.ts';
import { answerWith } from '../own-answer.ts';

/** What an app says of this itself does not count: two answers to one question are none. */
export const corsFields = [
  'access-control-allow-origin',
  'access-control-allow-credentials',
  'access-control-allow-methods',
  'access-control-allow-headers',
  'access-control-expose-headers',
  'access-control-max-age',
];

/** More names than a page has use for. */
const REQUESTED_CHARS_MAX = 4_096;

/** `rules` with what a page is to be told of the answer to this request. */
export function corsRules(cors: CorsConfig, rules: CompiledRules, fields: Fields): CompiledRules {
  const allowed = allowedOrigin(cors, fieldValue(fields, 'origin'));
  const more = [...rules.more];
  if (allowed !== null) {
    more.push('Access-Control-Allow-Origin', allowed);
    if (cors.credentials) more.push('Access-Control-Allow-Credentials', 'true');
    if (cors.expose.length > 0) more.push('Access-Control-Expose-Headers', cors.expose.join(', '));
  }
  // Also where it says nothing: no cache may give the answer to one origin to another.
  if (allowed !== '*') more.push('Vary', 'Origin');
  return { ...rules, more };
}

/** Null: a preflight from an origin that may not ask. False: it is no preflight. */
export function answerPreflight(cors: CorsConfig, exchange: Exchange): boolean | null {
  const { method, fields } = exchange.request;
  const wanted = fieldValue(fields, 'access-control-request-method');
  const origin = fieldValue(fields, 'origin');
  if (method !== 'OPTIONS' || wanted === undefined || origin === undefined) return false;
  if (allowedOrigin(cors, origin) === null) return null;
  const said: Fields = ['Access-Control-Allow-Methods', cors.methods.join(', ')];
  const headers = cors.headers.includes('*') ? requestedHeaders(fields) : cors.headers.join(', ');
  if (headers !== '') said.push('Access-Control-Allow-Headers', headers);
  said.push('Access-Control-Max-Age', String(cors.maxAgeSeconds));
  // Its origin is added as to each answer; what it says of methods and headers is not the app's.
  const rules = exchange.responseRules!;
  exchange.responseRules = null;
  answerWith(exchange, 204, applyRules(rules, []).concat(said));
  return true;
}

/** Any that is asked for. With credentials "*" would be a name like others (Fetch, section 3.2.4). */
function requestedHeaders(fields: Fields): string {
  const given = fieldValues(fields, 'access-control-request-headers') ?? '';
  const names = given
    .slice(0, REQUESTED_CHARS_MAX)
    .split(',')
    .map((name) => name.trim());
  return names.filter(isToken).join(', ');
}

/** What Access-Control-Allow-Origin is to say; null where the origin may not ask. */
function allowedOrigin({ origins }: CorsConfig, origin: string | undefined): string | null {
  if (origins.includes('*')) return '*';
  if (origin === undefined) return null;
  const lower = origin.toLowerCase();
  return origins.some((one) => isOrigin(one, lower)) ? origin : null;
}

function isOrigin(wanted: string, origin: string): boolean {
  const star = wanted.indexOf('*');
  if (star === -1) return wanted === origin;
  const before = wanted.slice(0, star);
  const after = wanted.slice(star + 1);
  if (!origin.startsWith(before) || !origin.endsWith(after)) return false;
  const label = origin.slice(before.length, origin.length - after.length);
  // "https://evil.test/.example.com" is no origin, but nothing says that one is sent.
  return /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/.test(label);
}
