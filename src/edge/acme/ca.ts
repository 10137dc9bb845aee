// One certificate authority as it is configured: its part of the storage, the way to it, our account there.

import { type AccountRecord, isForgotten, openAccount, updateContact } from './account.ts';
import { type AcmeCode, AcmeError } from './acme-error.ts';
import { AcmeClient } from './client.ts';
import { plain } from './problem.ts';
import { openWire, type Wire } from './request.ts';
import type { AcmeSettings } from './settings.ts';
import { AcmeStorage } from './storage.ts';

const production = 'https://acme-v02.api.letsencrypt.org/directory';
const staging = 'https://acme-staging-v02.api.letsencrypt.org/directory';

export interface CaOptions {
  readonly settings: AcmeSettings;
  readonly userAgent: string;
  readonly now: () => number;
  readonly onNotice: (text: string, facts: object) => void;
  /** Default 30 s. */
  readonly timeoutMs?: number;
}

/** Long enough for a CA that is busy, which answers a finalization only when it has signed. */
const askMs = 30_000;

export class Ca {
  readonly storage: AcmeStorage;
  private readonly options: CaOptions;
  private readonly directoryUrl: string;
  private readonly ending = new AbortController();
  private readonly wire: Wire;
  private opened: Promise<AcmeClient> | null = null;
  private known: Promise<AccountRecord> | null = null;

  constructor(options: CaOptions) {
    const { settings, userAgent, timeoutMs = askMs } = options;
    const { extraCa } = settings;
    this.options = options;
    this.directoryUrl = settings.acmeDirectory ?? (settings.acmeStaging ? staging : production);
    this.storage = new AcmeStorage(settings.acmeStorage, this.directoryUrl);
    this.wire = openWire({ extraCa, userAgent, timeoutMs, signal: this.ending.signal });
  }

  get signal(): AbortSignal {
    return this.ending.signal;
  }

  client(): Promise<AcmeClient> {
    this.opened ??= this.open();
    this.opened.catch(() => {
      this.opened = null;
    });
    return this.opened;
  }

  /** Does something as our account, whose URL it gets; once more with a new one if the CA has
   *  forgotten it. */
  async asAccount<T>(act: (account: string) => Promise<T>): Promise<T> {
    try {
      return await act((await this.account()).url);
    } catch (error) {
      if (!isForgotten(error)) throw error;
      this.known = this.register();
      return await act((await this.account()).url);
    }
  }

  /** Ends what is under way. */
  close(): void {
    this.ending.abort();
    this.wire.close();
  }

  private async open(): Promise<AcmeClient> {
    const { wire, directoryUrl } = this;
    const key = await this.storage.accountKey();
    return new AcmeClient({ wire, directoryUrl, key, now: this.options.now });
  }

  private account(): Promise<AccountRecord> {
    this.known ??= this.findAccount();
    this.known.catch(() => {
      this.known = null;
    });
    return this.known;
  }

  private async findAccount(): Promise<AccountRecord> {
    const { acmeEmail } = this.options.settings;
    const kept = await this.storage.account();
    if (kept === null) return this.register();
    if (kept.email === (acmeEmail ?? '')) return kept;
    const record = await updateContact(await this.client(), kept, acmeEmail);
    await this.storage.keepAccount(record);
    return record;
  }

  private async register(): Promise<AccountRecord> {
    const { settings, onNotice } = this.options;
    const { acmeEmail: email, acmeEabKid: kid, acmeEabHmacKey: hmacKey } = settings;
    const client = await this.client();
    const eab = kid === null || hmacKey === null ? null : { kid, hmacKey };
    const record = await openAccount(client, { email, eab });
    await this.storage.keepAccount(record);
    const { terms } = await client.directory();
    onNotice(`opened an account at ${new URL(this.directoryUrl).host}, which agrees to its terms`, {
      account: plain(record.url),
      terms: plain(terms ?? 'none'),
    });
    return record;
  }
}

/** What is thrown, as one line and what to do; errors of the system are those of the storage. */
export function asAcmeError(error: unknown, otherwise: AcmeCode = 'ACME_NONSENSE'): AcmeError {
  if (error instanceof AcmeError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  if (typeof code === 'string' && /^E[A-Z]+$/.test(code))
    return new AcmeError('ACME_STORAGE', `the directory cannot be used: ${message}`, {
      cause: error,
    });
  return new AcmeError(otherwise, message, { cause: error });
}
