// What `portico status` says of certificates: names, issuer, key, and how long they last.

import type { Status } from '../arbiter/control/protocol.ts';
import { expiryText } from '../certificates/expiry.ts';

type Certificate = NonNullable<Status['edges'][number]['status']>['certificates'][number];

/** More are counted: somebody's whole list would push the workers off the screen. */
const shownMax = 20;
const namesMax = 3;

/** One line each, worst first where not all are shown. All edges have the same: one that answered speaks. */
export function certificateLines({ edges }: Status, nowMs: number): string[] {
  const certificates = edges.find(({ status }) => status !== null)?.status?.certificates ?? [];
  const byEnd = [...certificates].sort((a, b) => a.notAfterMs - b.notAfterMs);
  const shown = byEnd.slice(0, shownMax).map((certificate) => line(certificate, nowMs));
  const more = byEnd.length - shown.length;
  return more === 0 ? shown : [...shown, `and ${more} that last longer`];
}

function line(certificate: Certificate, nowMs: number): string {
  const { source, names, issuer, key, staple } = certificate;
  const named = names.slice(0, namesMax).join(', ') || 'no name';
  const more = names.length > namesMax ? ` and ${names.length - namesMax} more` : '';
  const from = source === 'files' ? '' : `, ${source}`;
  return `${named}${more}: ${key} by ${issuer}${from}, ${expiryText(certificate, nowMs)}${stapleText(staple)}`;
}

function stapleText(staple: Certificate['staple']): string {
  if (staple === null) return '';
  const { untilMs, problem } = staple;
  if (untilMs !== null)
    return `, OCSP stapled${problem === null ? '' : `, but not renewed: ${problem}`}`;
  return `, no OCSP response${problem === null ? ' yet' : `: ${problem}`}`;
}
