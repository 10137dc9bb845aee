// Basic authentication at the edge (RFC 7617): who is asked for a name and a password, and whether they fit.

import { readFileSync } from 'node:fs';
import { parseHtpasswd } from '../../config/routes/passwords.ts';
import type { AuthConfig } from '../../config/routes/route-config.ts';
import type { Exchange, Fields } from '../../http/exchange.ts';
import { fieldValue } from '../../http/fields.ts';
import type { PasswordCheck, Verdict } from './password-check.ts';

export interface Auth {
  /** Null: no credentials came with the request. */
  check(exchange: Exchange): Verdict | Promise<Verdict> | null;
  /** For the 401. */
  readonly challenge: Fields;
}

/** Longer ones nobody types; bcrypt takes 72 bytes. */
const CREDENTIALS_CHARS_MAX = 1_024;

/** Throws where the password file can't be used. */
export function createAuth({ passwords, file, realm }: AuthConfig, checks: PasswordCheck): Auth {
  const users = new Map(passwords);
  if (file !== null) for (const [name, hash] of readUsers(file)) users.set(name, hash);
  const [anyHash = ''] = users.values();
  return {
    challenge: ['WWW-Authenticate', `Basic realm="${realm}", charset="UTF-8"`],
    check({ request }) {
      const given = fieldValue(request.fields, 'authorization');
      if (given === undefined) return null;
      const match = /^basic +([A-Za-z0-9+/]+=*) *$/i.exec(given);
      if (match === null || given.length > CREDENTIALS_CHARS_MAX) return false;
      const credentials = Buffer.from(match[1]!, 'base64');
      const colon = credentials.indexOf(':');
      if (colon === -1) return false;
      const hash = users.get(credentials.toString('utf8', 0, colon));
      const password = credentials.subarray(colon + 1);
      if (hash !== undefined) return checks.check(hash, password);
      // For a name that is not there it takes as long, so that nobody finds out which are.
      const verdict = checks.check(anyHash, password);
      return verdict instanceof Promise ? verdict.then(refused) : refused(verdict);
    },
  };
}

function refused(verdict: Verdict): Verdict {
  return verdict === 'busy' ? verdict : false;
}

function readUsers(file: string) {
  const { users, faults } = parseHtpasswd(readFileSync(file, 'utf8'));
  if (faults.length > 0) throw new Error(`cannot use the password file ${file}: ${faults[0]}`);
  return users;
}
