// The tools that only `portico build` needs: esbuild and postject, from the project, or from beside Portico.

import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type * as Esbuild from 'esbuild';
import { BuildFault } from './fault.ts';

export type Bundler = typeof Esbuild;

/** They are no dependencies of Portico: whoever only serves does not need their 20 MB. */
export function loadBundler(projectDir: string): Bundler {
  return load('esbuild', projectDir, (require) => require('esbuild') as Bundler);
}

/** The program of postject, which is to run in a process of its own: it says much that matters to nobody. */
export function findInjector(projectDir: string): string {
  return load('postject', projectDir, (require) => {
    const manifest = require.resolve('postject/package.json');
    return join(dirname(manifest), 'dist/cli.js');
  });
}

function load<T>(name: string, projectDir: string, by: (require: NodeJS.Require) => T): T {
  for (const from of [join(projectDir, 'package.json'), import.meta.url]) {
    try {
      return by(createRequire(from));
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code !== 'MODULE_NOT_FOUND') throw new BuildFault(`Cannot load ${name}: ${message}`);
    }
  }
  throw new BuildFault(
    `${name} is needed to build an executable: npm install --save-dev esbuild postject`,
  );
}
