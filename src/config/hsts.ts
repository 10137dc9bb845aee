// Reads the `hsts` setting: a time, or the field value of Strict-Transport-Security (RFC 6797 section 6.1).

import { duration, type Kind, Unfit } from './kinds.ts';

const time = duration({ minMs: 0, maxMs: 100 * 365 * 86_400_000 });
/** What hstspreload.org asks for. */
const PRELOAD_SECONDS = 31_536_000;

/** The field value; null = none is sent. */
export const hstsPolicy: Kind<string | null> = {
  expected: 'a time such as 365d, or "max-age=31536000; includeSubDomains; preload"',
  placeholder: 'POLICY',
  inputType: 'number | string | null',
  flag: 'value',
  read(raw) {
    if (raw === null || raw === 'none') return null;
    if (typeof raw !== 'string' && typeof raw !== 'number') return new Unfit();
    const [first = '', ...rest] = String(raw)
      .split(';')
      .map((part) => part.trim());
    const ms = time.read(/^max-age=(\d+)$/i.exec(first)?.[1] ?? first);
    if (ms instanceof Unfit) return new Unfit();
    const seconds = Math.round(ms / 1000);
    const directives = rest.map((part) => known.get(part.toLowerCase()));
    if (directives.some((one) => one === undefined)) return new Unfit();
    const policy = [`max-age=${seconds}`, ...new Set(directives)];
    if (!policy.includes('preload')) return policy.join('; ');
    if (!policy.includes('includeSubDomains')) return new Unfit('preload needs includeSubDomains');
    if (seconds < PRELOAD_SECONDS) return new Unfit('preload needs a max-age of a year');
    return policy.join('; ');
  },
  show: (value) => value ?? 'none',
};

const known = new Map([
  ['includesubdomains', 'includeSubDomains'],
  ['preload', 'preload'],
]);
