// Shows a chain and what is to be said of it in plain words, on a terminal.

import type { CertificateReport } from '../../certificates/inspect.ts';
import type { ChainFacts } from '../../certificates/judge.ts';
import { printable } from '../printable.ts';
import type { ServerAnswer } from './ask-server.ts';

export interface Inspection {
  /** The file, or HOST:PORT. */
  readonly title: string;
  readonly facts: ChainFacts;
  /** Of facts.chain. */
  readonly reports: readonly CertificateReport[];
  /** Whose roots were looked at. */
  readonly roots: string;
  readonly rootName: string | null;
  readonly nowMs: number;
  readonly server: ServerAnswer | null;
  /** null = there is no key to try. `fits` null = it could not be read, see `problem`. */
  readonly key: {
    readonly place: string;
    readonly fits: boolean | null;
    readonly problem: string | null;
  } | null;
  readonly objections: readonly string[];
}

const dayMs = 86_400_000;
/** A certificate of a CDN can have hundreds. */
const namesMax = 20;

export function inspectionText(inspection: Inspection): string {
  const { title, reports, nowMs, server, objections } = inspection;
  const blocks = [
    [printable(title)],
    ...reports.map((report, at) => certificateLines(report, at, nowMs)),
    chainLines(inspection),
    ...(server === null ? [] : [serverLines(server)]),
    objections.length === 0
      ? ['A browser on this system would be content with it.']
      : ['A browser would object:', ...objections.map((one) => `  - ${printable(one)}`)],
  ];
  return `${blocks.map((lines) => lines.join('\n')).join('\n\n')}\n`;
}

function certificateLines(report: CertificateReport, at: number, nowMs: number): string[] {
  const { isCa, isSelfSigned } = report;
  const kind = at === 0 ? 'Certificate' : isSelfSigned ? 'Root' : isCa ? 'Intermediate' : 'Issuer';
  const rows: [string, string][] = [
    ['subject', report.subject === '' ? '(empty)' : report.subject],
    ...(at === 0 ? [['names', namesText(report.names)] as [string, string]] : []),
    ['issuer', isSelfSigned ? 'itself' : report.issuer],
    ['valid', validityText(report, nowMs)],
    ['key', report.key],
    ['signature', report.signature],
    ...(report.mustStaple ? [['demands', 'a stapled OCSP response'] as [string, string]] : []),
    ['serial', report.serial],
    ['SHA-256', report.fingerprint256],
  ];
  return [`${kind} ${at + 1}`, ...rows.map(([name, value]) => row(name, value))];
}

function row(name: string, value: string): string {
  return `  ${name.padEnd(11)}${printable(value)}`;
}

function namesText(names: readonly string[]): string {
  if (names.length === 0) return 'none';
  const more = names.length - namesMax;
  return names.slice(0, namesMax).join(', ') + (more > 0 ? ` and ${more} more` : '');
}

function validityText({ notBeforeMs, notAfterMs }: CertificateReport, nowMs: number): string {
  const day = (ms: number) => new Date(ms).toISOString().slice(0, 10);
  const span = `${day(notBeforeMs)} to ${day(notAfterMs)}`;
  const days = (ms: number) => {
    const count = Math.floor(ms / dayMs);
    return count === 1 ? '1 day' : `${count} days`;
  };
  if (nowMs > notAfterMs) return `${span}: EXPIRED ${days(nowMs - notAfterMs)} ago`;
  if (nowMs < notBeforeMs) return `${span}: not yet, in ${days(notBeforeMs - nowMs)}`;
  return `${span}: ${days(notAfterMs - nowMs)} left`;
}

function chainLines({ facts, reports, roots, rootName, key }: Inspection): string[] {
  const { strangers, isOrdered, isTrusted } = facts;
  const missing = reports.at(-1)!.issuerName;
  const leads =
    rootName === null
      ? `NO: the issuer ${missing} is neither there nor known to this system`
      : `leads to ${rootName}`;
  return [
    'Chain',
    row('complete', leads),
    row('trusted', `${isTrusted ? 'yes' : 'NO'}, by ${roots}`),
    ...(isOrdered ? [] : [row('order', 'not each one followed by its issuer')]),
    ...(strangers > 0 ? [row('others', `${strangers} that do not belong to it`)] : []),
    ...(key === null ? [] : [row('key', keyText(key))]),
  ];
}

function keyText({ place, fits, problem }: NonNullable<Inspection['key']>): string {
  if (fits === null) return `that in ${place} cannot be read: ${problem}`;
  return fits ? `that in ${place} fits` : `that in ${place} does NOT FIT`;
}

function serverLines({
  protocol,
  cipher,
  keyExchange,
  alpn,
  ocsp,
  address,
}: ServerAnswer): string[] {
  return [
    'Connection',
    row('address', address),
    row('protocol', protocol),
    row('cipher', keyExchange === null ? cipher : `${cipher}, ${keyExchange}`),
    row('ALPN', alpn === null ? 'none chosen' : alpn),
    row('OCSP', ocsp === null ? 'not stapled' : `stapled, ${ocsp.length} bytes`),
  ];
}
