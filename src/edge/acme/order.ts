// One certificate for one name: order, proof, finalization, download (RFC 8555 section 7.4).

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { AcmeError } from './acme-error.ts';
import { type AcmeClient, type Reply, urlOf } from './client.ts';
import { jwkOf, thumbprint } from './jws.ts';
import { type ChallengeType, invalidChallenge, objectOf, readProblem, refusal } from './problem.ts';

/** The answers to challenges, where every edge finds them. */
export interface Answers {
  publish(type: ChallengeType, proof: Proof): Promise<void>;
  withdraw(type: ChallengeType, proof: Proof): Promise<void>;
}

export interface Proof {
  readonly host: string;
  readonly token: string;
  readonly keyAuthorization: string;
}

export interface Signed {
  /** The leaf first. */
  readonly certPem: string;
  readonly keyPem: string;
}

export interface OrderOptions {
  readonly client: AcmeClient;
  /** URL of the account. */
  readonly account: string;
  readonly host: string;
  /** The wanted one first; the next is taken where the CA does not offer it. */
  readonly challenges: readonly ChallengeType[];
  readonly profile: string | null;
  /** Identifier of the certificate that this one is to replace (RFC 9773 section 5); null = none. */
  readonly replaces: string | null;
  readonly answers: Answers;
  /** A new key and a request (DER) for it. */
  readonly makeRequest: () => Promise<{ readonly keyPem: string; readonly csrDer: Uint8Array }>;
  /** Throws where somebody else has taken over. */
  readonly stillOurs: () => Promise<void>;
  readonly now: () => number;
  readonly signal: AbortSignal;
}

/** A poll waits so long at first, 1.5 times longer each time, and as long as the CA says. */
const pollFirstMs = 250;
const pollMostMs = 5_000;
const pollSaidMostMs = 60_000;
/** No CA needs longer for one step. */
const stepMostMs = 180_000;

export async function orderCertificate(options: OrderOptions): Promise<Signed> {
  const order = await placeOrder(options);
  const { authorizations } = order.body;
  if (!Array.isArray(authorizations) || authorizations.length !== 1)
    throw new AcmeError('ACME_NONSENSE', 'the CA wants other than one authorization for one name');
  await authorize(options, urlOf(authorizations[0], 'authorization'));
  return await finalize(options, order);
}

interface Order {
  readonly url: string;
  readonly body: Reply['body'];
}

async function placeOrder(options: OrderOptions): Promise<Order> {
  const { client, account, host, profile, replaces } = options;
  const { newOrder } = await client.directory();
  const payload = {
    identifiers: [{ type: 'dns', value: host }],
    ...(profile === null ? {} : { profile }),
  };
  let reply: Reply;
  try {
    reply = await client.post(newOrder, { ...payload, ...withReplaced(replaces) }, account);
  } catch (error) {
    // "replaces" is a courtesy to the CA, and no reason to go without a certificate: it was replaced
    // already, or is another account's.
    if (replaces === null || !isRefusal(error)) throw error;
    reply = await client.post(newOrder, payload, account);
  }
  return { url: urlOf(reply.location, 'order address'), body: reply.body };
}

function withReplaced(replaces: string | null): { readonly replaces?: string } {
  return replaces === null ? {} : { replaces };
}

function isRefusal(error: unknown): boolean {
  const unrelated = ['rateLimited', 'accountDoesNotExist', 'rejectedIdentifier', 'caa'];
  return (
    error instanceof AcmeError &&
    error.code === 'ACME_REFUSED' &&
    !unrelated.includes(error.problem)
  );
}

async function authorize(options: OrderOptions, url: string): Promise<void> {
  const { client, account, host, answers } = options;
  const { body } = await client.post(url, undefined, account);
  // Proven not long ago: the CA remembers it for hours or days.
  if (body.status === 'valid') return;
  const { value } = objectOf(body.identifier);
  if (value !== host) throw new AcmeError('ACME_NONSENSE', 'the CA asks for proof of another name');
  const { type, challengeUrl, token } = chooseChallenge(body.challenges, options.challenges);
  const proof = { host, token, keyAuthorization: `${token}.${thumbprint(jwkOf(client.key))}` };
  await answers.publish(type, proof);
  try {
    await options.stillOurs();
    await client.post(challengeUrl, {}, account);
    const done = await poll(options, url, [
      'valid',
      'invalid',
      'deactivated',
      'expired',
      'revoked',
    ]);
    if (done.status !== 'valid') throw invalidChallenge(challengeFault(done, challengeUrl), type);
  } finally {
    await answers.withdraw(type, proof);
  }
}

interface Challenge {
  readonly type: ChallengeType;
  readonly challengeUrl: string;
  readonly token: string;
}

function chooseChallenge(offered: unknown, wanted: readonly ChallengeType[]): Challenge {
  const list = Array.isArray(offered) ? offered.map(objectOf) : [];
  for (const type of wanted) {
    const found = list.find((challenge) => challenge.type === type);
    if (found === undefined) continue;
    const { token } = found;
    // It becomes the name of a file. RFC 8555 section 8.1: base64url, at least 128 bits.
    if (typeof token !== 'string' || !isToken(token))
      throw new AcmeError('ACME_NONSENSE', "the CA's token is none");
    return { type, token, challengeUrl: urlOf(found.url, 'challenge address') };
  }
  throw new AcmeError('ACME_REFUSED', `the CA does not offer ${wanted.join(' or ')}`, {
    remedy: 'Allow another kind in acmeChallenges, or add the bind that it needs.',
  });
}

export function isToken(text: string): boolean {
  return /^[A-Za-z0-9_-]{22,200}$/.test(text);
}

function challengeFault(authorization: Reply['body'], url: string) {
  const { challenges, status } = authorization;
  const list = Array.isArray(challenges) ? challenges.map(objectOf) : [];
  const tried = list.find((challenge) => challenge.url === url) ?? {};
  const problem = readProblem(tried.error);
  if (problem.detail !== '') return problem;
  return { ...problem, detail: `the authorization is ${String(status).slice(0, 20)}` };
}

async function finalize(options: OrderOptions, order: Order): Promise<Signed> {
  const { client, account, host, now } = options;
  const finalizeUrl = urlOf(order.body.finalize, 'finalize address');
  await settled(options, order.url, 'ready');
  const { keyPem, csrDer } = await options.makeRequest();
  await options.stillOurs();
  await client.post(finalizeUrl, { csr: Buffer.from(csrDer).toString('base64url') }, account);
  const done = await settled(options, order.url, 'valid');
  const { text } = await client.post(urlOf(done.certificate, 'certificate'), undefined, account);
  return { certPem: checkedChain(text, { host, keyPem, nowMs: now() }), keyPem };
}

/** Polls an order until it is in the state. */
async function settled(options: OrderOptions, url: string, state: 'ready' | 'valid') {
  const order = await poll(options, url, [state, 'invalid']);
  if (order.status !== 'invalid') return order;
  throw refusal(readProblem(order.error), 0, 0);
}

async function poll(
  options: OrderOptions,
  url: string,
  states: readonly string[],
): Promise<Reply['body']> {
  const { client, account, signal } = options;
  const deadline = performance.now() + stepMostMs;
  for (let waitMs = pollFirstMs; ; waitMs = Math.min(pollMostMs, waitMs * 1.5)) {
    const { body, retryAfterMs } = await client.post(url, undefined, account);
    if (states.includes(String(body.status))) return body;
    if (performance.now() > deadline)
      throw new AcmeError(
        'ACME_UNREACHABLE',
        `the CA has not come to an end in ${stepMostMs / 1000} s`,
      );
    await sleep(Math.max(waitMs, Math.min(retryAfterMs, pollSaidMostMs)), undefined, { signal });
  }
}

const certificatesMax = 10;

/** The chain as it is kept: it fits the key and the name and is in force, or it is not put to use. */
export function checkedChain(
  text: string,
  {
    host,
    keyPem,
    nowMs,
  }: { readonly host: string; readonly keyPem: string; readonly nowMs: number },
): string {
  const nonsense = (why: string) => new AcmeError('ACME_NONSENSE', `the CA's certificate ${why}`);
  const blocks =
    text.match(/-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0 || blocks.length > certificatesMax) throw nonsense('is none');
  let leaf: X509Certificate;
  try {
    leaf = blocks.map((block) => new X509Certificate(block))[0]!;
  } catch (cause) {
    throw new AcmeError('ACME_NONSENSE', "the CA's certificate cannot be read", { cause });
  }
  if (!leaf.checkPrivateKey(createPrivateKey(keyPem))) throw nonsense('is for another key');
  if (leaf.checkHost(host) === undefined) throw nonsense('is for another name');
  // Also where the date is none.
  if (!(Date.parse(leaf.validTo) > nowMs))
    throw nonsense(`has expired on ${leaf.validTo} (is the clock right?)`);
  return `${blocks.join('\n')}\n`;
}
