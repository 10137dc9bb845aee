// The bundle of `portico build` behaves as the app does in Node, where it uses packages that are carried along or not there.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';
import * as bundler from 'esbuild';
import { bundleApp, withPlaces } from '../../src/cli/build/app-bundle.ts';
import { baseToken } from '../../src/executable/run-part.ts';
import { directoryOf } from '../helpers/cli.ts';

const [nodeMajor = ''] = process.versions.node.split('.');

test('an ES module that is carried along has its default export, a CommonJS one is its own', async (t) => {
  const root = directoryOf(t, {
    'app.mjs': `import made, { name } from 'es-module';
import common from 'common';
export default [made(), name, common.plain];`,
    'node_modules/es-module/package.json': '{ "type": "module", "exports": "./index.js" }',
    'node_modules/es-module/index.js':
      'export default () => "made"; export const name = new URL("x", import.meta.url).pathname.slice(-1);',
    'node_modules/common/index.js':
      'Object.assign(exports, { __esModule: true, plain: "plain", place: __dirname, default: 1 });',
  });
  const { made, carried } = await bundled(root, 'app.mjs');
  assert.deepEqual(made, ['made', 'x', 'plain']);
  assert.deepEqual(carried, ['common', 'es-module']);
});

test('a package that is not there is missed when it is asked for, and named where nobody said that it is optional', async (t) => {
  const root = directoryOf(t, {
    'app.cjs': 'module.exports = require("asks")();',
    'node_modules/asks/package.json':
      '{ "peerDependenciesMeta": { "@may/lack": { "optional": true } } }',
    'node_modules/asks/index.js': `const load = (by) => { try { return by(); } catch (error) { return error.code; } };
module.exports = () => [load(() => require("@may/lack/sub.js")), load(() => require("forgotten"))];`,
    'imports.mjs': 'import nothing from "nothing";',
  });
  const { made, notes } = await bundled(root, 'app.cjs');
  assert.deepEqual(made, ['MODULE_NOT_FOUND', 'MODULE_NOT_FOUND']);
  assert.deepEqual(notes, ['not installed, so what asks for them will fail: forgotten (by asks)']);
  await assert.rejects(
    bundled(root, 'imports.mjs'),
    /imports\.mjs:1:21: Could not resolve "nothing"/,
  );
});

test('who relies on types that esbuild drops is told', async (t) => {
  const root = directoryOf(t, {
    'app.ts': 'export default 1;',
    'tsconfig.json': '{ "compilerOptions": { /* for NestJS */ "emitDecoratorMetadata": true } }',
  });
  assert.match(
    (await bundled(root, 'app.ts')).notes.join(),
    /emitDecoratorMetadata.*compile with tsc/,
  );
});

/** What the app exports by default, once it is bundled and carried packages are where they were. */
async function bundled(root: string, entry: string) {
  const options = { bundler, entry: join(root, entry), root, nodeMajor, external: [] };
  const { code, carried, notes } = await bundleApp(options);
  const placed = withPlaces(code, (dir) => dir.slice(root.length + 1)).replaceAll(baseToken, root);
  const module = { exports: {} as { default?: unknown } };
  new Function('module', 'exports', 'require', placed)(
    module,
    module.exports,
    createRequire(join(root, 'app.cjs')),
  );
  const made = module.exports.default ?? module.exports;
  return { made, notes, carried: [...carried.values()].map(({ name }) => name).sort() };
}
