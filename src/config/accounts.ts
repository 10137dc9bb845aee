// Looks users and groups up by name or number, for --user and --group.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

export interface Account {
  readonly id: number;
  /** The user's first group; a group's own id. */
  readonly groupId: number;
}

/** Also users of directory services (macOS, LDAP), which only `id` knows. */
export function findUser(name: string): Account | null {
  const line = entryOf('/etc/passwd', name);
  if (line !== null) return { id: Number(line[2]), groupId: Number(line[3]) };
  if (/^\d+$/.test(name)) return { id: Number(name), groupId: Number(name) };
  const id = ask('id', ['-u', '--', name]);
  const groupId = ask('id', ['-g', '--', name]);
  return id === null || groupId === null ? null : { id, groupId };
}

export function findGroup(name: string): Account | null {
  const line = entryOf('/etc/group', name);
  const id = line !== null ? Number(line[2]) : /^\d+$/.test(name) ? Number(name) : null;
  if (id !== null) return { id, groupId: id };
  const known = spawnSync('getent', ['group', '--', name], { encoding: 'utf8', timeout: 5000 });
  const asked = known.status === 0 ? Number(known.stdout.split(':')[2]) : Number.NaN;
  return Number.isInteger(asked) ? { id: asked, groupId: asked } : null;
}

/** The fields of the line whose name or number is `name`. */
function entryOf(file: string, name: string): string[] | null {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return null;
  }
  const lines = text.split('\n').map((line) => line.split(':'));
  const numeric = /^\d+$/.test(name);
  return lines.find((fields) => fields[numeric ? 2 : 0] === name && fields.length >= 4) ?? null;
}

function ask(command: string, args: readonly string[]): number | null {
  const { status, stdout } = spawnSync(command, args, { encoding: 'utf8', timeout: 5000 });
  return status === 0 && /^\d+\s*$/.test(stdout) ? Number(stdout) : null;
}
