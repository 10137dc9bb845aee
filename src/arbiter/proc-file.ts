// Reads files of /proc about processes that may end at any moment.

import { readFileSync } from 'node:fs';

/** '' where the process has ended, or there is no /proc. */
export function readProcFile(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
