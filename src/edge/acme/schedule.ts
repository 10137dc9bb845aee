// When a certificate is to be replaced, and when a failed try is repeated. Pure.

export interface Life {
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** When the CA would have a certificate replaced (RFC 9773 section 4.2). */
export interface Window {
  readonly startMs: number;
  readonly endMs: number;
}

export interface Renewal extends Life {
  /** null = the CA says nothing. */
  readonly window: Window | null;
  /** When it was had; 0 = unknown. */
  readonly obtainedMs: number;
  readonly nowMs: number;
  /** From 0 to 1, the same for all that look at this certificate: no two names are renewed at once,
   *  and all edges agree without a word. */
  readonly fraction: number;
}

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** With a third of its life left; within the CA's window where it names one, but while there still
 *  is a tenth left to try in. */
export function renewAtMs(renewal: Renewal): number {
  const { notBeforeMs, notAfterMs, window, obtainedMs, nowMs, fraction } = renewal;
  const lifeMs = Math.max(0, notAfterMs - notBeforeMs);
  // By a clock that is wrong since, it was had in the future: that says nothing.
  const gotMs = obtainedMs <= nowMs ? obtainedMs : 0;
  // By a clock that is months ahead each new certificate is over, and would be replaced at once.
  if (window === null)
    return Math.max(
      notAfterMs - lifeMs / 3 + (fraction * lifeMs) / 50,
      gotMs + Math.min(dayMs, lifeMs / 3),
    );
  const wanted = window.startMs + fraction * (window.endMs - window.startMs);
  const latest = notAfterMs - lifeMs / 10;
  // A CA whose every window has passed would be asked for one certificate after another.
  return Math.max(gotMs + Math.min(hourMs, lifeMs / 10), Math.min(wanted, latest));
}

/** Let's Encrypt allows five failed validations an hour for a name: these are tries after 0, 1, 4, 13 and 40
 *  minutes, and at last every 6 hours, when someone may have corrected the DNS. */
const firstMs = 60_000;
const factor = 3;
const mostMs = 6 * hourMs;
/** A CA may ask for more patience, up to this. */
const saidMostMs = dayMs;
/** No try is further away than this: what lies beyond it was written by a clock that was wrong. */
const farthestMs = saidMostMs * 1.2;

export interface Setback {
  /** In a row, this one included. */
  readonly failures: number;
  /** 0 = the CA did not say. */
  readonly retryAfterMs: number;
  /** From 0 to 1. */
  readonly random: number;
}

/** How long to wait after a failure, with a fifth more or less so that many don't come back at once. */
export function backoffMs({ failures, retryAfterMs, random }: Setback): number {
  const own = Math.min(mostMs, firstMs * factor ** Math.min(failures - 1, 20));
  // Earlier than the CA said would only be refused again.
  if (retryAfterMs > own) return Math.min(retryAfterMs, saidMostMs) * (1 + random / 5);
  return own * (0.8 + 0.4 * random);
}

/** Whether a try that was put off till then may be made. */
export function mayTry(nextTryMs: number, nowMs: number): boolean {
  return nowMs >= nextTryMs || nextTryMs - nowMs > farthestMs;
}

/** Which kind of challenge a try begins with: after a failure the other one. */
export function inTurn<T>(all: readonly T[], failures: number): readonly T[] {
  const from = all.length === 0 ? 0 : failures % all.length;
  return [...all.slice(from), ...all.slice(0, from)];
}
