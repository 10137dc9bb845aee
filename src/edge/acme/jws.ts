// JSON Web Signatures as ACME wants them (RFC 8555 section 6.2): flattened, ES256, with nonce and URL. Pure.

import { createHash, createHmac, createPublicKey, type KeyObject, sign } from 'node:crypto';

/** Public part of a P-256 account key. */
export interface Jwk {
  readonly crv: string;
  readonly kty: string;
  readonly x: string;
  readonly y: string;
}

interface Jws {
  readonly protected: string;
  readonly payload: string;
  readonly signature: string;
}

export function base64url(data: string | Uint8Array): string {
  return Buffer.from(data as Uint8Array).toString('base64url');
}

/** Members in the order in which RFC 7638 section 3 hashes them. */
export function jwkOf(key: KeyObject): Jwk {
  const { crv, kty, x, y } = createPublicKey(key).export({ format: 'jwk' }) as unknown as Jwk;
  return { crv, kty, x, y };
}

/** What an answer to a challenge begins with the token of and ends with (RFC 8555 section 8.1). */
export function thumbprint(jwk: Jwk): string {
  return createHash('sha256').update(JSON.stringify(jwk)).digest('base64url');
}

export interface Signing {
  readonly key: KeyObject;
  /** The account's URL; null where there is none yet, then the key itself goes along. */
  readonly kid: string | null;
  readonly nonce: string;
  readonly url: string;
}

/** `payload` undefined is POST-as-GET (RFC 8555 section 6.3). */
export function signJws(payload: object | undefined, { key, kid, nonce, url }: Signing): Jws {
  const who = kid === null ? { jwk: jwkOf(key) } : { kid };
  const head = base64url(JSON.stringify({ alg: 'ES256', ...who, nonce, url }));
  const body = payload === undefined ? '' : base64url(JSON.stringify(payload));
  // RFC 7518 section 3.4: r and s side by side, not DER.
  const signature = sign('sha256', Buffer.from(`${head}.${body}`), {
    key,
    dsaEncoding: 'ieee-p1363',
  });
  return { protected: head, payload: body, signature: base64url(signature) };
}

/** Ties the account key to an account that the CA gave by other means (RFC 8555 section 7.3.4). */
export function signBinding(
  jwk: Jwk,
  { kid, hmacKey, url }: { readonly kid: string; readonly hmacKey: string; readonly url: string },
): Jws {
  const head = base64url(JSON.stringify({ alg: 'HS256', kid, url }));
  const body = base64url(JSON.stringify(jwk));
  const signature = createHmac('sha256', Buffer.from(hmacKey, 'base64url'))
    .update(`${head}.${body}`)
    .digest('base64url');
  return { protected: head, payload: body, signature };
}
