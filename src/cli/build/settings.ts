// The settings of a build: which app it is, its static directories, and what goes into the executable as its defaults.

import { dirname } from 'node:path';
import { type Assignment, isSecretName } from '../../config/assignment.ts';
import { type BuiltApp, keysBuiltIn } from '../../config/built-app.ts';
import type { Config } from '../../config/config.ts';
import { isCode } from '../../config/config-file.ts';
import { resolveConfig } from '../../config/resolve.ts';
import { readSources } from '../../config/sources.ts';
import { parseInvocation } from '../invocation.ts';
import { BuildFault } from './fault.ts';
import type { Bundler } from './tools.ts';

export interface BuildSettings {
  readonly config: Config;
  /** MODULE as it was given. */
  readonly module: string | null;
  readonly kept: BuiltApp['settings'];
  /** A config file that is code; null where what it says is in `kept`, or there is none. */
  readonly code: string | null;
  readonly notes: readonly string[];
}

/** Throws a BuildFault. The environment has no say: it is that of the machine that builds. */
export async function buildSettings(rest: readonly string[], cwd: string): Promise<BuildSettings> {
  const invocation = parseInvocation(rest);
  if (invocation.command !== 'run')
    throw new BuildFault(
      `portico build takes an app: one that is named like a command is written ./${invocation.command}`,
    );
  const { flags, app } = invocation;
  if (flags.actions.size > 0)
    throw new BuildFault(`Cannot use --${[...flags.actions][0]} with portico build`);
  const { assignments, file, problems, fileProblems } = await readSources({
    flags,
    app,
    env: {},
    cwd,
  });
  const resolved = resolveConfig(assignments, { cwd, file, cpus: 1 });
  const all = [...problems, ...fileProblems, ...resolved.problems];
  if (all.length > 0) throw new BuildFault(all.join('\nportico: '));
  const { config } = resolved;
  const code = file !== null && isCode(file) ? file : null;
  const kept = assignments.filter(
    ({ key, origin }) => !keysBuiltIn.includes(key) && !(code !== null && origin.from === 'file'),
  );
  for (const { key, origin } of kept) refuseSecret(key, origin);
  return {
    config,
    module: config.module,
    kept: kept.map(({ key, raw }) => ({ key, raw })),
    code,
    notes: Object.keys(config.env)
      .filter(isSecretName)
      .map((name) => `the value of ${name} can be read out of the executable by whoever has it`),
  };
}

function refuseSecret(key: string, origin: Assignment['origin']): void {
  if (isSecretName(key))
    throw new BuildFault(
      `Cannot build ${key} (from ${origin.label}) into the executable: whoever has that could read it. Give it when it is started`,
    );
}

/** A config file of code with all it imports. */
export async function bundleConfig(bundler: Bundler, file: string): Promise<Buffer> {
  const { outputFiles } = await bundler.build({
    absWorkingDir: dirname(file),
    entryPoints: [file],
    outfile: 'config.js',
    write: false,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    charset: 'utf8',
    logLevel: 'silent',
    plugins: [
      {
        name: 'portico-itself',
        setup(build) {
          build.onResolve({ filter: /^portico$/ }, () => ({ path: 'portico', namespace: 'own' }));
          build.onLoad({ filter: /.*/, namespace: 'own' }, () => ({
            contents: 'export const defineConfig = (config) => config;',
          }));
        },
      },
    ],
  });
  return Buffer.from(outputFiles[0]!.contents);
}
