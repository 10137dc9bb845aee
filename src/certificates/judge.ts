// Judges a chain as clients would: where it leads, and what they would object to.

import type { X509Certificate } from 'node:crypto';
import { type CertificateReport, chainOf, hasIssued } from './inspect.ts';

export interface ChainFacts {
  /** The leaf, and its issuers as far as they were given. */
  readonly chain: readonly X509Certificate[];
  /** Given, but of another chain. */
  readonly strangers: number;
  /** In the order in which they were given. */
  readonly isOrdered: boolean;
  /** The root that it leads to: given along, or one that the system trusts. */
  readonly root: X509Certificate | null;
  readonly isTrusted: boolean;
}

/** `given`: the leaf first, the others in any order. */
export function judgeChain(
  given: readonly X509Certificate[],
  roots: readonly X509Certificate[],
): ChainFacts {
  const [leaf, ...others] = given;
  const chain = chainOf(leaf!, others);
  const last = chain.at(-1)!;
  const byPrint = new Map(roots.map((root) => [root.fingerprint256, root]));
  const trusted =
    chain.find((certificate) => byPrint.has(certificate.fingerprint256)) ??
    // A root that is sent along may be an older one of the same name and key.
    [...chain].reverse().flatMap((one) => roots.find((root) => hasIssued(root, one)) ?? [])[0];
  const isRoot = hasIssued(last, last);
  return {
    chain,
    strangers: new Set(given.map((one) => one.fingerprint256)).size - chain.length,
    isOrdered: chain.every((one, at) => given[at]?.fingerprint256 === one.fingerprint256),
    root: trusted ?? (isRoot ? last : null),
    isTrusted: trusted !== undefined,
  };
}

export interface Seen {
  readonly facts: ChainFacts;
  /** Of the chain, the leaf first. */
  readonly reports: readonly CertificateReport[];
  readonly nowMs: number;
  /** What the client asked for; null = nobody asked. */
  readonly host: { readonly name: string; readonly isCovered: boolean } | null;
  /** null = not known: it is a file. */
  readonly isStapled: boolean | null;
}

const dayMs = 86_400_000;
const serverAuth = ['1.3.6.1.5.5.7.3.1', '2.5.29.37.0'];

/** Sentences; none = a browser would be content. */
export function objections(seen: Seen): string[] {
  const { facts, reports, host } = seen;
  const leaf = reports[0]!;
  return [
    ...reports.flatMap((report, at) => timeObjections(report, at, seen.nowMs)),
    ...(host === null || host.isCovered ? [] : [`It is not for ${host.name}.`]),
    ...trustObjections(facts, leaf),
    ...reports.flatMap((report) => strengthObjections(report, facts)),
    ...leafObjections(leaf),
    ...(leaf.mustStaple && seen.isStapled === false
      ? ['It demands a stapled OCSP response, and the server sends none.']
      : []),
  ];
}

function timeObjections(report: CertificateReport, at: number, nowMs: number): string[] {
  const which = at === 0 ? 'It' : `The issuer ${report.subjectName}`;
  const day = (ms: number) => new Date(ms).toISOString().slice(0, 10);
  if (nowMs > report.notAfterMs) return [`${which} expired on ${day(report.notAfterMs)}.`];
  if (nowMs < report.notBeforeMs)
    return [`${which} is not valid before ${day(report.notBeforeMs)}.`];
  return [];
}

function trustObjections(
  { chain, root, isTrusted }: ChainFacts,
  leaf: CertificateReport,
): string[] {
  if (isTrusted) return [];
  if (chain.length === 1 && leaf.isSelfSigned)
    return ['It is signed by itself: nobody vouches for it.'];
  if (leaf.issuerName.startsWith('Portico development CA'))
    return [
      'It is by the CA of --tls dev, which this system does not trust: portico cert dev says how it would.',
    ];
  if (root !== null) return ['It leads to a root that this system does not trust.'];
  return [
    'Its issuer is not there: an intermediate certificate is missing, or this system does not know the root.',
  ];
}

function strengthObjections(report: CertificateReport, { root }: ChainFacts): string[] {
  const { subjectName, key, keyBits, signature, fingerprint256 } = report;
  const found: string[] = [];
  if (keyBits !== null && keyBits < 2048)
    found.push(`The key of ${subjectName} is too short: ${key}.`);
  // What a root says of itself is not checked: it is trusted as it is.
  const isRoot = fingerprint256 === root?.fingerprint256;
  if (!isRoot && /MD5|SHA-1$/.test(signature))
    found.push(`${subjectName} is signed with ${signature}, which can be forged.`);
  return found;
}

function leafObjections(leaf: CertificateReport): string[] {
  const found: string[] = [];
  const days = Math.round((leaf.notAfterMs - leaf.notBeforeMs) / dayMs);
  if (leaf.names.length === 0) found.push('It is for no host name or IP address.');
  else if (!leaf.hasAlternativeNames)
    found.push('Its name stands in the subject alone (CN), where browsers do not look.');
  if (leaf.isCa) found.push('It is a CA, not the certificate of a server.');
  if (leaf.purposes !== null && !leaf.purposes.some((purpose) => serverAuth.includes(purpose)))
    found.push('It is not meant for servers: its extended key usage lacks serverAuth.');
  // Apple's rule since 2019, for every CA, also one's own.
  if (days > 825) found.push(`It is valid for ${days} days: Apple's systems take 825 at most.`);
  if (!/^(RSA|ECDSA)/.test(leaf.key))
    found.push(`Browsers know RSA and ECDSA keys only; this one is ${leaf.key}.`);
  return found;
}
