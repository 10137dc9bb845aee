// The arbiter as a program for tests: `node arbiter-main.js CONFIG.json PROGRAM`, settings from a file
// that is read anew at each reload, children from PROGRAM.

import { readFile } from 'node:fs/promises';
import { runArbiter } from '../../src/arbiter/arbiter.ts';
import type { LoadResult } from '../../src/arbiter/decide/events.ts';
import type { Config } from '../../src/config/config.ts';

const [file, program] = process.argv.slice(2) as [string, string];

async function loadConfig(): Promise<LoadResult> {
  try {
    return { ok: true, config: JSON.parse(await readFile(file, 'utf8')) as Config };
  } catch {
    return { ok: false, problems: ['Cannot read the settings'] };
  }
}

const first = await loadConfig();
if (!first.ok) process.exit(1);
process.exitCode = await runArbiter({ config: first.config, loadConfig, version: 'test', program });
