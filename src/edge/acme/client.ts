// Speaks ACME (RFC 8555) with one CA: directory, nonces, signed requests. What is asked for is in account.ts and order.ts.

import type { KeyObject } from 'node:crypto';
import { AcmeError } from './acme-error.ts';
import { signJws } from './jws.ts';
import { objectOf, readProblem, refusal, retryAfterMs } from './problem.ts';
import type { Answer, Wire } from './request.ts';

/** Pebble refuses nonces at random, by default 5 of 100; behind balancers of large CAs it happens too. */
const nonceTriesMax = 10;
const noncesMax = 8;
/** A directory is fetched anew after this time: CAs move their addresses, but seldom. */
const directoryMs = 3_600_000;
const nonceCharsMax = 1024;

interface Directory {
  readonly newNonce: string;
  readonly newAccount: string;
  readonly newOrder: string;
  /** null = the CA offers none (RFC 9773). */
  readonly renewalInfo: string | null;
  /** URL of the terms of service; null = none are named. */
  readonly terms: string | null;
  readonly profiles: readonly string[];
}

export interface Reply {
  readonly status: number;
  readonly location: string | null;
  /** 0 = not said. */
  readonly retryAfterMs: number;
  readonly text: string;
  /** The answer as JSON; an empty object where it is none. */
  readonly body: Readonly<Record<string, unknown>>;
}

export interface ClientOptions {
  readonly wire: Wire;
  readonly directoryUrl: string;
  readonly key: KeyObject;
  readonly now: () => number;
}

export class AcmeClient {
  readonly key: KeyObject;
  readonly directoryUrl: string;
  private readonly wire: Wire;
  private readonly now: () => number;
  private known: { readonly directory: Directory; readonly atMs: number } | null = null;
  private readonly nonces: string[] = [];

  constructor({ wire, directoryUrl, key, now }: ClientOptions) {
    this.wire = wire;
    this.directoryUrl = directoryUrl;
    this.key = key;
    this.now = now;
  }

  async directory(): Promise<Directory> {
    const age = this.known === null ? Number.POSITIVE_INFINITY : this.now() - this.known.atMs;
    if (this.known !== null && age >= 0 && age < directoryMs) return this.known.directory;
    const body = objectOf((await this.get(this.directoryUrl)).body);
    const meta = objectOf(body.meta);
    const directory = {
      newNonce: urlOf(body.newNonce, 'newNonce'),
      newAccount: urlOf(body.newAccount, 'newAccount'),
      newOrder: urlOf(body.newOrder, 'newOrder'),
      renewalInfo: typeof body.renewalInfo === 'string' ? body.renewalInfo : null,
      terms: typeof meta.termsOfService === 'string' ? meta.termsOfService : null,
      profiles: Object.keys(objectOf(meta.profiles)),
    };
    this.known = { directory, atMs: this.now() };
    return directory;
  }

  /** For what needs no signature: the directory and renewal information. */
  async get(url: string): Promise<Reply> {
    return this.checked(await this.wire.ask(url, { method: 'GET', accept: 'application/json' }));
  }

  /** `payload` undefined reads a resource (POST-as-GET). `kid` null: the account is not known yet. */
  async post(url: string, payload: object | undefined, kid: string | null): Promise<Reply> {
    for (let tries = 1; ; tries++) {
      const nonce = this.nonces.pop() ?? (await this.freshNonce());
      const body = JSON.stringify(signJws(payload, { key: this.key, kid, nonce, url }));
      const answer = await this.wire.ask(url, { method: 'POST', body });
      this.keepNonce(answer);
      try {
        return this.checked(answer);
      } catch (error) {
        // RFC 8555 section 6.5: a new nonce came along, and the same request is sent with it.
        const isNonce = error instanceof AcmeError && error.problem === 'badNonce';
        if (!isNonce || tries >= nonceTriesMax) throw error;
      }
    }
  }

  private async freshNonce(): Promise<string> {
    const { newNonce } = await this.directory();
    this.keepNonce(await this.wire.ask(newNonce, { method: 'HEAD' }));
    const nonce = this.nonces.pop();
    if (nonce === undefined) throw new AcmeError('ACME_NONSENSE', 'the CA gave no nonce');
    return nonce;
  }

  private keepNonce({ headers }: Answer): void {
    const nonce = headers['replay-nonce'];
    // RFC 8555 section 6.5.1: base64url, anything else is to be ignored.
    if (typeof nonce !== 'string' || nonce.length > nonceCharsMax) return;
    if (!/^[A-Za-z0-9_-]+$/.test(nonce)) return;
    this.nonces.push(nonce);
    // The newest are good the longest.
    if (this.nonces.length > noncesMax) this.nonces.shift();
  }

  private checked({ status, headers, text }: Answer): Reply {
    const waitMs = retryAfterMs(headers['retry-after'], this.now());
    const json = parsed(text);
    if (status < 200 || status > 299) throw refusal(readProblem(json), status, waitMs);
    return {
      status,
      location: typeof headers.location === 'string' ? headers.location : null,
      retryAfterMs: waitMs,
      text,
      body: objectOf(json),
    };
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // A chain of certificates, or nonsense, which the reader of its members says.
    return null;
  }
}

/** A member that must be an address. request.ts checks what kind of address it is. */
export function urlOf(value: unknown, name: string): string {
  if (typeof value === 'string' && value !== '') return value;
  throw new AcmeError('ACME_NONSENSE', `the CA's answer has no ${name}: is it an ACME directory?`);
}
