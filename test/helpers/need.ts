// Skips a test by name where the machine lacks a program; in CI a missing program is a failure.

import { execFileSync } from 'node:child_process';
import { resolve } from 'node:path';

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

/** For tests with a Python app: Debian's Python, which sees Debian's packages, and these modules in it. */
export const debianPython = '/usr/bin/python3';
export function needsPython(...modules: string[]): { skip: string | false } {
  const missing = modules.filter((module) => {
    try {
      execFileSync(debianPython, ['-c', `import ${module}`], { stdio: 'ignore' });
      return false;
    } catch {
      return true;
    }
  });
  if (missing.length === 0) return { skip: false };
  if (process.env.CI) throw new Error(`CI lacks ${missing.join(', ')}: add the package to .ci/run`);
  return { skip: `no ${missing.join(', ')} in ${debianPython}` };
}

/** For tests that start processes as "nobody": takes root, and a program that other users may read; a
 *  clone in a home directory is often closed. */
export function needsNobody(): { skip: string | false } {
  if (process.getuid?.() !== 0) return { skip: 'only root can start processes as somebody else' };
  const nobody = { uid: 65534, gid: 65534 };
  try {
    const args = ['-e', 'require("fs").readFileSync(process.argv[1])', resolve('package.json')];
    execFileSync(process.execPath, args, { ...nobody, stdio: 'ignore' });
    return { skip: false };
  } catch {
    return { skip: 'other users may not read this directory' };
  }
}
