// The version in package.json.

import { readFileSync } from 'node:fs';

export function ownVersion(): string {
  // dist/telemetry/version.js, or build/src/cli/version.js in tests.
  for (const up of ['../../package.json', '../../../package.json']) {
    try {
      const { name, version } = JSON.parse(readFileSync(new URL(up, import.meta.url), 'utf8'));
      if (name === 'portico') return String(version);
    } catch {
      // Not there: try the next.
    }
  }
  return 'unknown';
}
