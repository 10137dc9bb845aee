// Where a user's own things are kept that are neither settings nor caches, as each system has it.

import { userInfo } from 'node:os';
import { isAbsolute, join } from 'node:path';
import type { Environment } from './environment.ts';

/** XDG_DATA_HOME/portico, on macOS ~/Library/Application Support/portico; null = the user has no home. */
export function dataDirectory(env: Environment, platform: NodeJS.Platform): string | null {
  const { XDG_DATA_HOME: xdg } = env;
  if (xdg !== undefined && isAbsolute(xdg)) return join(xdg, 'portico');
  const home = homeOf(env);
  if (!isAbsolute(home) || home === '/' || home === '/nonexistent') return null;
  return platform === 'darwin'
    ? join(home, 'Library', 'Application Support', 'portico')
    : join(home, '.local', 'share', 'portico');
}

function homeOf(env: Environment): string {
  const isRoot = process.getuid?.() === 0;
  // sudo may leave HOME that of the user, who then could not read what root has put there.
  if (env.HOME && !isRoot) return env.HOME;
  try {
    return userInfo().homedir;
  } catch {
    // A user id without a line in /etc/passwd, as containers have it.
    return env.HOME ?? '';
  }
}
