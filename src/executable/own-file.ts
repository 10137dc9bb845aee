// Reads files that Portico brings along: package.json and what is in static/.

import { readFileSync } from 'node:fs';
import { insideText, isInside } from './inside.ts';

/** Null where it did not come along. */
export function readOwnFile(name: string): string | null {
  if (isInside) return insideText(name);
  // From dist/executable/ of a clone or a package, or from build/src/executable/ in tests.
  for (const up of ['../../', '../../../']) {
    try {
      return readFileSync(new URL(up + name, import.meta.url), 'utf8');
    } catch {
      // Not there: try the next.
    }
  }
  return null;
}
