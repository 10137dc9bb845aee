// The process that removes what a worker's user has made, as that user.

import { rmSync } from 'node:fs';

export function removeTrees(paths: readonly string[]): void {
  for (const path of paths) rmSync(path, { recursive: true });
}
