// Where Portico keeps what is to survive a restart.

import { homedir, tmpdir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import type { Environment } from './environment.ts';

/** systemd's StateDirectory=, /var/lib for root, else as the XDG base directories have it. A user
 *  without a home (in a container) gets a directory that lives as long as the temporary files do. */
export function stateDirectory(env: Environment, uid: number): string {
  const ofUnit = env.STATE_DIRECTORY?.split(':')[0];
  if (ofUnit !== undefined && isAbsolute(ofUnit)) return ofUnit;
  if (uid === 0) return '/var/lib/portico';
  const { XDG_STATE_HOME: xdg } = env;
  if (xdg !== undefined && isAbsolute(xdg)) return join(xdg, 'portico');
  const home = env.HOME || homeOfUser();
  if (isAbsolute(home) && home !== '/') return join(home, '.local', 'state', 'portico');
  return join(tmpdir(), `portico-state-${uid}`);
}

function homeOfUser(): string {
  try {
    return homedir();
  } catch {
    // A user id without a line in /etc/passwd, as containers have it.
    return '';
  }
}
