// Who the children are started as: --user and --group as numbers, and whether that can be.

import { findGroup, findUser } from '../config/accounts.ts';
import type { Config } from '../config/config.ts';

/** What children are started as. */
export interface Identity {
  readonly uid: number;
  readonly gid: number;
}

/** null = as the arbiter itself. */
export type Resolved =
  | { readonly ok: true; readonly identity: Identity | null }
  | { readonly ok: false; readonly problem: string };

export function resolveIdentity(config: Pick<Config, 'user' | 'group'>): Resolved {
  const { user, group } = config;
  const own = { id: process.getuid?.() ?? -1, groupId: process.getgid?.() ?? -1 };
  if (user === null && group === null) return { ok: true, identity: null };
  const account = user === null ? own : findUser(user);
  if (account === null) return { ok: false, problem: `There is no user "${user}"` };
  const gid = group === null ? account.groupId : findGroup(group)?.id;
  if (gid === undefined) return { ok: false, problem: `There is no group "${group}"` };
  if (account.id === own.id && gid === own.groupId) return { ok: true, identity: null };
  if (own.id !== 0) {
    return { ok: false, problem: 'Only root can start processes as another user or group' };
  }
  return { ok: true, identity: { uid: account.id, gid } };
}
