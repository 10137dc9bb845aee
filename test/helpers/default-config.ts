// The settings' defaults as a Config, for tests that start parts of the program by themselves.

import type { Config } from '../../src/config/config.ts';
import { resolveConfig } from '../../src/config/resolve.ts';

const defaults = resolveConfig([], { cwd: process.cwd(), file: null, cpus: 2 }).config;

/** What `portico app.js` would work by, with the changes that a test needs. */
export function defaultConfig(changes: Partial<Config> = {}): Config {
  return { ...defaults, ...changes };
}
