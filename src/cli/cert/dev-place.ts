// Where this user's development CA is, and what it is called after.

import { hostname, userInfo } from 'node:os';
import { join } from 'node:path';
import { dataDirectory } from '../../config/data-directory.ts';

export interface DevPlace {
  readonly dir: string;
  readonly machine: string;
  readonly user: string;
}

/** null = the user has no directory for it. */
export function devPlace(): DevPlace | null {
  const data = dataDirectory(process.env, process.platform);
  if (data === null) return null;
  return { dir: join(data, 'dev-ca'), machine: hostname(), user: userName() };
}

export const noPlace =
  'There is no home directory to keep the development CA in: set XDG_DATA_HOME to a directory';

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // A user id without a line in /etc/passwd, as containers have it.
    return `uid ${process.getuid?.() ?? ''}`;
  }
}
