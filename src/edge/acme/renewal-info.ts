// When the CA wants a certificate replaced (ARI, RFC 9773), and the name it knows the certificate by.

import { X509Certificate } from 'node:crypto';
import { AcmeError } from './acme-error.ts';
import type { AcmeClient } from './client.ts';
import { objectOf, plain } from './problem.ts';
import type { Window } from './schedule.ts';

/** RFC 9773 section 4.3.2: the CA says by Retry-After when to look again, within reason. */
const lookUsualMs = 6 * 3_600_000;
const lookLeastMs = 60_000;
const lookMostMs = 24 * 3_600_000;

export interface RenewalAdvice {
  readonly window: Window | null;
  /** Look again after so long. */
  readonly againMs: number;
  /** Where the CA explains an unusual window; '' = nowhere. */
  readonly explanation: string;
}

/** Null where the CA offers no renewal information, or the certificate has no identifier. */
export async function askRenewal(
  client: AcmeClient,
  certPem: string,
): Promise<RenewalAdvice | null> {
  const { renewalInfo } = await client.directory();
  const id = certificateId(certPem);
  if (renewalInfo === null || id === null) return null;
  const { body, retryAfterMs } = await client.get(`${renewalInfo.replace(/\/$/, '')}/${id}`);
  const { start, end } = objectOf(body.suggestedWindow);
  const startMs = Date.parse(String(start));
  const endMs = Date.parse(String(end));
  // A window that can't be is as none (RFC 9773 section 4.2).
  if (!(startMs < endMs)) throw new AcmeError('ACME_NONSENSE', "the CA's renewal window is none");
  const saidMs = retryAfterMs === 0 ? lookUsualMs : retryAfterMs;
  return {
    window: { startMs, endMs },
    againMs: Math.min(Math.max(saidMs, lookLeastMs), lookMostMs),
    explanation: typeof body.explanationURL === 'string' ? plain(body.explanationURL) : '',
  };
}

/** base64url(authority key identifier) "." base64url(serial), RFC 9773 section 4.1; null where the
 *  certificate has no such extension. */
export function certificateId(certPem: string): string | null {
  const { raw } = new X509Certificate(certPem);
  const [tbs] = valuesIn(contentOf(raw));
  if (tbs === undefined) return null;
  const fields = valuesIn(tbs.content);
  // [0] version leads in every version 3 certificate; [3] holds the extensions (RFC 5280 section 4.1).
  const serial = fields[1];
  const extensions = fields.find(({ tag }) => tag === 0xa3);
  if (serial?.tag !== 0x02 || extensions === undefined) return null;
  for (const { content } of valuesIn(contentOf(extensions.content))) {
    const parts = valuesIn(content);
    if (parts[0]?.content.toString('hex') !== authorityKeyIdentifier) continue;
    const inner = valuesIn(contentOf(parts.at(-1)!.content));
    const key = inner.find(({ tag }) => tag === 0x80);
    if (key === undefined) return null;
    return `${key.content.toString('base64url')}.${serial.content.toString('base64url')}`;
  }
  return null;
}

/** OID 2.5.29.35. */
const authorityKeyIdentifier = '551d23';

interface Value {
  readonly tag: number;
  readonly content: Buffer;
}

/** DER values side by side. Node has parsed the certificate already, so all lengths are right. */
function valuesIn(bytes: Buffer): Value[] {
  const values: Value[] = [];
  for (let at = 0; at + 2 <= bytes.length; ) {
    const tag = bytes[at]!;
    let length = bytes[at + 1]!;
    let start = at + 2;
    if (length > 0x80) {
      const more = length - 0x80;
      if (more > 4 || start + more > bytes.length) return values;
      length = bytes.readUIntBE(start, more);
      start += more;
    }
    values.push({ tag, content: bytes.subarray(start, start + length) });
    at = start + length;
  }
  return values;
}

function contentOf(bytes: Buffer): Buffer {
  return valuesIn(bytes)[0]?.content ?? Buffer.alloc(0);
}
