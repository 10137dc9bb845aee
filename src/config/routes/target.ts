// Reads where a route leads: the app, an HTTP upstream, a redirect, an answer.

import { standardReason } from '../../http/status.ts';
import { Unfit } from '../kinds.ts';
import { upstream } from '../upstream-config.ts';
import type { Complaints } from './complaints.ts';
import { readResponseFields } from './header-rules.ts';
import type { RouteTarget } from './route-config.ts';
import { placeFault } from './template.ts';

const redirectStatuses = [301, 302, 303, 307, 308];
/** The settings travel to each process: an answer that is a page is better a static file. */
const BODY_CHARS_MAX = 65_536;

const expected =
  "'app', the name of one of several apps, a URL such as 'http://api:8000' or several, { targets: [URL, …], … }, { redirect, status } or { respond, body, headers }";

/** `params`: the names that the route's pattern gives to parts of the path. Null with a complaint. */
export function readTarget(
  at: string,
  raw: unknown,
  params: readonly string[],
  complaints: Complaints,
): RouteTarget | null {
  if (raw === undefined) complaints.add(at, raw, `it is missing: it is ${expected}`);
  else if (raw === 'app') return { kind: 'app' };
  else if (typeof raw === 'string' && /^(app:)?[\w-]+$/.test(raw))
    return { kind: 'named-app', name: raw.replace('app:', '') };
  else if (raw !== null && typeof raw === 'object' && 'redirect' in raw)
    return readRedirect(at, raw, params, complaints);
  else if (raw !== null && typeof raw === 'object' && 'respond' in raw)
    return readRespond(at, raw, complaints);
  else if (looksLikeUpstream(raw)) return readUpstream(at, raw, complaints);
  else complaints.add(at, raw, `it is ${expected}`);
  return null;
}

function looksLikeUpstream(raw: unknown): boolean {
  if (typeof raw === 'string') return /^(https?|unix):/i.test(raw);
  return Array.isArray(raw) || (raw !== null && typeof raw === 'object' && 'targets' in raw);
}

function readUpstream(at: string, raw: unknown, complaints: Complaints): RouteTarget | null {
  const read = upstream.read(raw);
  if (!(read instanceof Unfit)) return { kind: 'upstream', upstream: read };
  const hint = (text: string) => `it is ${upstream.expected}${text === '' ? '' : `; ${text}`}`;
  if (read.parts.length === 0) complaints.add(at, raw, read.hint || hint(''));
  for (const part of read.parts) complaints.add(at, part.raw, hint(part.hint));
  return null;
}

function readRedirect(
  at: string,
  raw: object,
  params: readonly string[],
  complaints: Complaints,
): RouteTarget | null {
  const { redirect, status = 302 } = complaints.object(at, raw, ['redirect', 'status']);
  const fault = typeof redirect === 'string' ? placeFault(redirect, params) : 'it is a URL';
  if (fault !== null) complaints.add(`${at}.redirect`, redirect, fault);
  const isStatus = redirectStatuses.includes(status as number);
  if (!isStatus) complaints.add(`${at}.status`, status, `one of ${redirectStatuses.join(', ')}`);
  if (fault !== null || !isStatus) return null;
  return { kind: 'redirect', location: redirect as string, status: status as number };
}

function readRespond(at: string, raw: object, complaints: Complaints): RouteTarget | null {
  const given = complaints.object(at, raw, ['respond', 'body', 'headers']);
  const { respond: status, body = '' } = given;
  const isStatus =
    Number.isInteger(status) && (status as number) >= 200 && (status as number) <= 599;
  if (!isStatus) complaints.add(`${at}.respond`, status, 'a status from 200 to 599');
  const isJson = body !== null && typeof body === 'object';
  const text = isJson ? JSON.stringify(body) : body;
  const fits = typeof text === 'string' && text.length <= BODY_CHARS_MAX;
  if (!fits)
    complaints.add(
      `${at}.body`,
      '…',
      `text, or what JSON can hold, of at most ${BODY_CHARS_MAX} characters`,
    );
  else if (text !== '' && (status === 204 || status === 205 || status === 304))
    complaints.add(`${at}.body`, body, `${standardReason(status)} has no content`);
  const headers = readResponseFields(`${at}.headers`, given.headers, complaints);
  if (!isStatus || !fits) return null;
  const hasType = headers.some((name, index) => index % 2 === 0 && /^content-type$/i.test(name));
  const type = isJson ? 'application/json' : 'text/plain; charset=utf-8';
  if (!hasType && text !== '') headers.push('Content-Type', type);
  return { kind: 'respond', status: status as number, body: text, headers };
}
