// Portico itself as one executable: for machines that have an app and its node_modules, and no Node.

import { statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { assemble } from './assemble.ts';
import { findBaseNode } from './base-node.ts';
import { BuildFault } from './fault.ts';
import { ownParts } from './own-parts.ts';
import { loadBundler } from './tools.ts';

/** `npm run build:binary`. Returns the exit code. */
export async function buildOwnExecutable(
  argv: readonly string[],
  projectDir: string,
): Promise<number> {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        output: { type: 'string', short: 'o' },
        node: { type: 'string' },
        target: { type: 'string' },
      },
    });
    const base = findBaseNode(values.node ?? null, values.target ?? null);
    const output = resolve(values.output ?? join(projectDir, 'build', 'portico'));
    const parts = await ownParts(loadBundler(projectDir), base.target);
    assemble(parts, { base, output, projectDir });
    process.stdout.write(`${builtText(output, base)}\n`);
    return 0;
  } catch (error) {
    if (!(error instanceof BuildFault) && !isUsage(error)) throw error;
    process.stderr.write(`portico: ${(error as Error).message}\n`);
    return 1;
  }
}

function isUsage(error: unknown): boolean {
  return String((error as NodeJS.ErrnoException).code).startsWith('ERR_PARSE_ARGS');
}

/** What was made of what. */
export function builtText(
  output: string,
  { file, version, target }: ReturnType<typeof findBaseNode>,
): string {
  const [made, node] = [output, file].map((path) => statSync(path).size / 1e6) as [number, number];
  return `${output}: ${made.toFixed(1)} MB, of which ${node.toFixed(1)} MB are Node ${version} for ${target}`;
}
