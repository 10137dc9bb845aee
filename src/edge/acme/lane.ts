// ACME's place in the edge: loaded where names are configured, nothing of it in memory otherwise; answers http-01.

import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SecureContext } from 'node:tls';
import type { Config } from '../../config/config.ts';
import type { Exchange, Handle } from '../../http/exchange.ts';
import type { AcmeNameStatus } from '../../ipc/messages.ts';
import type { Log } from '../../telemetry/log.ts';
import { ownVersion } from '../../telemetry/version.ts';
import { answerWith } from '../own-answer.ts';
import type { CertificateStore } from '../tls/certificate-store.ts';
import type { Acme } from './acme.ts';
import type { AcmeSettings } from './settings.ts';

/** Where a CA asks for a token (RFC 8555 section 8.3). */
export const challengePath = '/.well-known/acme-challenge/';
/** A shared directory that hangs must not keep the edge from serving. */
const firstMs = 5_000;

export class AcmeLane {
  private readonly log: Log;
  private readonly store: CertificateStore;
  private acme: Acme | null = null;
  /** What is asked for is done in turn. */
  private last: Promise<void> = Promise.resolve();
  private isWanted = false;

  constructor(log: Log, store: CertificateStore) {
    this.log = log;
    this.store = store;
  }

  /** Reads what the settings name. The function returned puts it to use and does not throw. Throws
   *  where a file can't be read. */
  prepare(config: Config): () => void {
    const { acme, acmeCaFile } = config;
    this.isWanted ||= acme.length > 0;
    if (!this.isWanted) return () => {};
    const extraCa = acmeCaFile === null ? '' : readFileSync(acmeCaFile, 'utf8');
    return () => {
      this.last = this.last
        .then(() => this.use({ ...config, extraCa }))
        .catch((error: unknown) => this.log.error('ACME cannot be used', { error }));
    };
  }

  /** Resolves when there is a certificate for each name, be it a stand-in; or after a few seconds. */
  async ready(): Promise<void> {
    if (this.isWanted) await Promise.race([this.last, sleep(firstMs, undefined, { ref: false })]);
  }

  /** The step before all others: a CA's question for a token is answered by whichever edge it comes
   *  to. What is not known here goes its usual way: an app may do ACME on its own. */
  before(handle: Handle): Handle {
    return (exchange) => {
      const { target, method } = exchange.request;
      if (this.acme === null || method !== 'GET' || !target.startsWith(challengePath))
        handle(exchange);
      else
        void this.acme.challenges.http01(target.slice(challengePath.length)).then((text) => {
          if (text === null) handle(exchange);
          else answer(exchange, text);
        });
    };
  }

  /** What to show a CA; null = nothing is to be proven. */
  tlsAlpn(serverName: string): SecureContext | null {
    return this.acme?.challenges.tlsAlpn(serverName) ?? null;
  }

  status(): AcmeNameStatus[] | null {
    return this.acme?.status() ?? null;
  }

  /** Breaks off what is under way, so that another instance may go on with it. */
  async close(): Promise<void> {
    this.isWanted = false;
    await this.acme?.close();
  }

  private async use(settings: AcmeSettings): Promise<void> {
    if (this.acme !== null) {
      await this.acme.configure(settings);
      return;
    }
    if (settings.acme.length === 0 || !this.isWanted) return;
    const { Acme } = await import('./acme.ts');
    const acme = new Acme(settings, {
      log: this.log,
      version: ownVersion(),
      onPairs: (pairs) => this.store.set('acme', pairs),
    });
    this.acme = acme;
    await acme.start();
    if (!this.isWanted) await acme.close();
  }
}

function answer(exchange: Exchange, text: string): void {
  exchange.record.upstream = 'acme';
  const fields = ['Content-Type', 'application/octet-stream', 'Cache-Control', 'no-store'];
  answerWith(exchange, 200, fields, Buffer.from(text));
}
