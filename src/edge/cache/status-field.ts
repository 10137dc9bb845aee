// The value of Cache-Status (RFC 9211): how the cache dealt with a request. Pure.

/** Why a request went to the app. */
export type Forwarded = 'uri-miss' | 'vary-miss' | 'stale' | 'request' | 'bypass' | 'method';

export interface CacheStatus {
  readonly fwd: Forwarded;
  /** Of the app's answer, where the client gets another one. */
  readonly fwdStatus?: number;
  readonly stored?: boolean;
  /** The request waited for another one's answer; false: and could not use it. */
  readonly collapsed?: boolean;
  readonly ttlMs?: number;
  readonly detail?: string;
}

export function hitStatus(ttlMs: number, detail = ''): string {
  return `portico; hit; ttl=${ttl(ttlMs)}${detail === '' ? '' : `; detail=${detail}`}`;
}

export function forwardedStatus(status: CacheStatus): string {
  let text = `portico; fwd=${status.fwd}`;
  if (status.fwdStatus !== undefined) text += `; fwd-status=${status.fwdStatus}`;
  if (status.stored === true) text += '; stored';
  if (status.collapsed !== undefined) text += status.collapsed ? '; collapsed' : '; collapsed=?0';
  if (status.ttlMs !== undefined) text += `; ttl=${ttl(status.ttlMs)}`;
  if (status.detail !== undefined) text += `; detail=${status.detail}`;
  return text;
}

/** Whole seconds; negative once stale. */
function ttl(ms: number): number {
  return Math.ceil(ms / 1000) || 0;
}
