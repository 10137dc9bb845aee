// Says in the log which certificates are about to expire: at once, and each day again.

import { expiryText, isNearExpiry } from '../../certificates/expiry.ts';
import type { CertificateSummary } from '../../ipc/messages.ts';
import type { Log } from '../../telemetry/log.ts';
import type { CertificateStore } from './certificate-store.ts';

const lookMs = 3_600_000;
const againMs = 86_400_000;

/** The function returned looks, and says what it has not said for a day. */
export function createExpiryWatch(
  log: Pick<Log, 'warning'>,
): (certificates: readonly CertificateSummary[], nowMs: number) => void {
  /** When each was told of last; what is gone is forgotten. */
  let told = new Map<string, number>();
  return (certificates, nowMs) => {
    const still = new Map<string, number>();
    for (const certificate of certificates) {
      if (!isNearExpiry(certificate, nowMs)) continue;
      const { names, file, issuer, notAfterMs } = certificate;
      const id = [file, issuer, notAfterMs, ...names].join();
      const toldMs = told.get(id);
      const isNews = toldMs === undefined || nowMs - toldMs >= againMs;
      still.set(id, isNews ? nowMs : toldMs);
      if (!isNews) continue;
      const where = file === null ? '' : ` in ${file}`;
      const what = `${names.join(', ') || 'no name'}, by ${issuer}`;
      log.warning(`The certificate${where} (${what}) ${expiryText(certificate, nowMs)}`);
    }
    told = still;
  };
}

/** Looks whenever the store changes, and every hour. */
export function watchExpiry(log: Pick<Log, 'warning'>, store: CertificateStore): void {
  const watch = createExpiryWatch(log);
  const look = (): void => watch(store.summary(), Date.now());
  store.onChange(look);
  setInterval(look, lookMs).unref();
  look();
}
