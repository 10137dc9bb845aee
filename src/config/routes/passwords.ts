// Reads who may come in with which password: hashes in the settings, or in a file as htpasswd makes it.

import { fieldValueValid } from '../../http/fields.ts';
import type { Complaints } from './complaints.ts';
import type { AuthConfig } from './route-config.ts';

/** bcrypt with its cost from 4 to 31, and Argon2 in the form that all its tools write. */
const hashForm =
  /^(\$2[aby]\$(0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}|\$argon2(id|i|d)\$v=19\$m=\d{1,8},t=\d{1,4},p=\d{1,3}\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{16,171})$/;

const hashExpected =
  'a hash of bcrypt ($2y$…, made by htpasswd -B) or Argon2 ($argon2id$…); those of MD5, SHA and crypt() are too easily guessed';

const USERS_MAX = 10_000;

export function readAuth(at: string, raw: unknown, complaints: Complaints): AuthConfig | null {
  if (raw === undefined || raw === null) return null;
  const given = complaints.object(at, raw, ['users', 'file', 'realm']);
  const { users, file = null, realm = 'Restricted' } = given;
  const isRealm = typeof realm === 'string' && /^[ !#-[\]-~]{1,100}$/.test(realm);
  if (!isRealm) complaints.add(`${at}.realm`, realm, 'text in ASCII without quotation marks');
  const isFile = file === null || (typeof file === 'string' && file !== '' && !file.includes('\0'));
  if (!isFile) complaints.add(`${at}.file`, file, 'the path of a file, one name:hash a line');
  if (users === undefined && file === null)
    complaints.add(at, '{}', "it has users, such as { alice: '$2y$…' }, or a file");
  return {
    passwords: readUsers(`${at}.users`, users, complaints),
    file: isFile ? (file as string | null) : null,
    realm: String(realm),
  };
}

function readUsers(at: string, raw: unknown, complaints: Complaints): [string, string][] {
  if (raw === undefined) return [];
  if (raw === null || typeof raw !== 'object' || Array.isArray(raw)) {
    complaints.add(at, '(hidden)', "names and hashes such as { alice: '$2y$…' }");
    return [];
  }
  const users: [string, string][] = [];
  for (const [name, hash] of Object.entries(raw).slice(0, USERS_MAX)) {
    const fault = userFault(name, hash);
    if (fault === null) users.push([name, hash as string]);
    else complaints.add(`${at}.${name.slice(0, 40)}`, '(hidden)', fault);
  }
  return users;
}

/** A name with a colon could not be told from its password (RFC 7617 section 2). */
function userFault(name: string, hash: unknown): string | null {
  if (name === '' || name.includes(':') || !fieldValueValid(name))
    return 'no user can have this name';
  return typeof hash === 'string' && hashForm.test(hash) ? null : `it is ${hashExpected}`;
}

/** What a password file says; `faults` name their lines, and never what is in them. */
export function parseHtpasswd(text: string): {
  readonly users: readonly (readonly [string, string])[];
  readonly faults: readonly string[];
} {
  const users: [string, string][] = [];
  const faults: string[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const colon = line.indexOf(':');
    const fault =
      colon === -1
        ? 'there is no colon in it'
        : userFault(line.slice(0, colon), line.slice(colon + 1).trim());
    if (fault === null) users.push([line.slice(0, colon), line.slice(colon + 1).trim()]);
    else faults.push(`line ${index + 1}: ${fault}`);
  }
  if (users.length === 0 && faults.length === 0) faults.push('there is nobody in it');
  return { users, faults: faults.slice(0, 5) };
}
