// Skips a test by name where the machine lacks a program; in CI a missing program is a failure.

import { execFileSync } from 'node:child_process';

/** `test(name, needs('nginx'), …)`: runs, or is skipped with the reason. */
export function needs(...programs: string[]): { skip: string | false } {
  const missing = programs.filter((program) => !has(program));
  if (missing.length === 0) return { skip: false };
  if (process.env.CI) throw new Error(`CI lacks ${missing.join(', ')}: add the package to .ci/run`);
  return { skip: `no ${missing.join(', ')} on this machine` };
}

function has(program: string): boolean {
  try {
    execFileSync('sh', ['-c', `command -v ${program}`], {
      stdio: 'ignore',
      env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` },
    });
    return true;
  } catch {
    return false;
  }
}
