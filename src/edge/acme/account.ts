// The account at the CA: found by its key or made, tied to one the CA gave (EAB), told of a changed address.

import { AcmeError } from './acme-error.ts';
import type { AcmeClient } from './client.ts';
import { urlOf } from './client.ts';
import { jwkOf, signBinding } from './jws.ts';

/** What is kept beside the key. */
export interface AccountRecord {
  readonly url: string;
  readonly email: string;
}

export interface Applicant {
  readonly email: string | null;
  readonly eab: { readonly kid: string; readonly hmacKey: string } | null;
}

/** Agrees to the terms of service, as using acme does (docs/acme.md). An account that exists with the
 *  key already is returned as it is (RFC 8555 section 7.3.1). */
export async function openAccount(
  client: AcmeClient,
  { email, eab }: Applicant,
): Promise<AccountRecord> {
  const { newAccount } = await client.directory();
  const binding =
    eab === null
      ? {}
      : { externalAccountBinding: signBinding(jwkOf(client.key), { ...eab, url: newAccount }) };
  const payload = { termsOfServiceAgreed: true, ...contact(email), ...binding };
  const reply = await client.post(newAccount, payload, null);
  return { url: urlOf(reply.location, 'account address'), email: email ?? '' };
}

/** The CA's word on the account's e-mail address is made ours. */
export async function updateContact(
  client: AcmeClient,
  record: AccountRecord,
  email: string | null,
): Promise<AccountRecord> {
  const mailto = email === null ? { contact: [] } : contact(email);
  await client.post(record.url, mailto, record.url);
  return { url: record.url, email: email ?? '' };
}

function contact(email: string | null): { readonly contact?: readonly string[] } {
  return email === null ? {} : { contact: [`mailto:${email}`] };
}

/** The CA has forgotten the account: a test server was started anew, a staging service was cleared. */
export function isForgotten(error: unknown): boolean {
  return error instanceof AcmeError && error.problem === 'accountDoesNotExist';
}
