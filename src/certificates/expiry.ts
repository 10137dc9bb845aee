// How long a certificate still lasts, and whether that is worth a warning. Pure: the time is given.

interface Dates {
  /** Milliseconds since 1970. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

const dayMs = 86_400_000;
/** Whoever renews by hand has three weeks; whoever renews by itself has done so by then, at 30 days. */
const warnDays = 21;
/** Short-lived ones renew themselves when a third of their life is left: a quarter is late. */
const warnShare = 1 / 4;

/** Says "expires in 12 days (2026-12-04)". */
export function expiryText({ notBeforeMs, notAfterMs }: Dates, nowMs: number): string {
  const leftMs = notAfterMs - nowMs;
  if (leftMs <= 0) return `EXPIRED on ${day(notAfterMs)}`;
  if (notBeforeMs > nowMs) return `NOT VALID before ${day(notBeforeMs)}`;
  const days = Math.floor(leftMs / dayMs);
  const left =
    days > 0 ? `${days} ${days === 1 ? 'day' : 'days'}` : `${Math.ceil(leftMs / 3_600_000)} hours`;
  const verb = isNearExpiry({ notBeforeMs, notAfterMs }, nowMs) ? 'EXPIRES' : 'expires';
  return `${verb} in ${left} (${day(notAfterMs)})`;
}

/** Expired or about to, or not yet valid: worth a warning. From 21 days on, of short-lived ones from the last quarter of their life on. */
export function isNearExpiry({ notBeforeMs, notAfterMs }: Dates, nowMs: number): boolean {
  if (nowMs < notBeforeMs) return true;
  const lifetimeMs = notAfterMs - notBeforeMs;
  return notAfterMs - nowMs < Math.min(warnDays * dayMs, lifetimeMs * warnShare);
}

/** "2026-12-04". */
export function day(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
