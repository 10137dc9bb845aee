// Answers the CA's challenges: those of this edge from memory, those of others from the shared directory.

import { createHash } from 'node:crypto';
import { createSecureContext, type SecureContext } from 'node:tls';
import { acmeIdentifier } from '../../certificates/extensions.ts';
import { keyToPem, makeKeyPair } from '../../certificates/keys.ts';
import { makeSelfSigned } from '../../certificates/make.ts';
import { type Answers, isToken, type Proof } from './order.ts';
import type { ChallengeType } from './problem.ts';
import type { AcmeStorage } from './storage.ts';

/** Anybody may ask for tokens: looks at the disk at a time, beyond which there is no answer. */
const looksMax = 32;
/** Whoever offers "acme-tls/1" causes one look at the disk for each name in this time, at most. */
const shownMs = 100;
/** No validation takes so long. */
const lifetimeMs = 3_600_000;

export interface ChallengesOptions {
  readonly storage: () => AcmeStorage;
  /** Whether a certificate is to be had for the name. */
  readonly serves: (host: string) => boolean;
  readonly now: () => number;
}

export class Challenges implements Answers {
  private readonly options: ChallengesOptions;
  private readonly own = new Map<string, string>();
  private looks = 0;
  private readonly shown = new Map<
    string,
    {
      readonly pem: string | null;
      readonly context: SecureContext | null;
      readonly untilMs: number;
    }
  >();

  constructor(options: ChallengesOptions) {
    this.options = options;
  }

  async publish(type: ChallengeType, proof: Proof): Promise<void> {
    const name = nameOf(type, proof);
    const text = type === 'http-01' ? proof.keyAuthorization : await this.tlsAnswer(proof);
    // Both before the CA hears of it: it may ask any edge at once.
    this.own.set(`${type} ${name}`, text);
    await this.options.storage().keepChallenge(type, name, text);
  }

  async withdraw(type: ChallengeType, proof: Proof): Promise<void> {
    const name = nameOf(type, proof);
    this.own.delete(`${type} ${name}`);
    await this.options.storage().dropChallenge(type, name);
  }

  /** What to answer to GET /.well-known/acme-challenge/TOKEN; null = the token is not ours. Never throws. */
  async http01(token: string): Promise<string | null> {
    return isToken(token) ? this.find('http-01', token) : null;
  }

  /** What to show a client that offers "acme-tls/1"; null = no proof of that name is wanted. Never throws.
   *  A handshake has no time for the disk's answer, so this one waits for it: a small file, seldom. */
  tlsAlpn(serverName: string): SecureContext | null {
    const host = serverName.toLowerCase();
    if (!this.options.serves(host)) return null;
    const now = performance.now();
    const known = this.shown.get(host);
    const own = this.own.get(`tls-alpn-01 ${host}`) ?? null;
    if (known !== undefined && known.pem === (own ?? known.pem) && now < known.untilMs)
      return known.context;
    try {
      const pem = own ?? this.options.storage().challengeNow('tls-alpn-01', host);
      const context = pem === null ? null : createSecureContext({ key: pem, cert: pem });
      this.shown.set(host, { pem, context, untilMs: now + shownMs });
      return context;
    } catch {
      return null;
    }
  }

  private async find(type: ChallengeType, name: string): Promise<string | null> {
    const own = this.own.get(`${type} ${name}`);
    if (own !== undefined) return own;
    if (this.looks >= looksMax) return null;
    this.looks++;
    try {
      return await this.options.storage().challenge(type, name);
    } catch {
      // The disk fails: the CA says that nobody answered.
      return null;
    } finally {
      this.looks--;
    }
  }

  /** Key and certificate of RFC 8737 section 3 in one text. */
  private async tlsAnswer({ host, keyAuthorization }: Proof): Promise<string> {
    const key = await makeKeyPair();
    const digest = createHash('sha256').update(keyAuthorization).digest();
    const { pem } = await makeSelfSigned({
      key,
      hosts: [host],
      nowMs: this.options.now(),
      lifetimeMs,
      extensions: [acmeIdentifier(digest)],
    });
    return `${keyToPem(key.privateKey)}${pem}`;
  }
}

function nameOf(type: ChallengeType, { host, token }: Proof): string {
  return type === 'http-01' ? token : host;
}
