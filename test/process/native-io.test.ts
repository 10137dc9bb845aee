// With native/ and without, one program: the same answers, and the log says which way they went.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { directoryOf } from '../helpers/cli.ts';
import { needs } from '../helpers/need.ts';
import { startPortico } from '../helpers/portico.ts';

const app = `module.exports = (req, res) => {
  if (req.method === 'POST') req.pipe(res);
  else res.end('hello ' + '\u00e9'.repeat(5000));
};`;
const large = randomBytes(20 * 1024 * 1024);
const sha = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

for (const [args, said] of [
  [[], /edge 1: writes past Node’s streams/],
  [['--no-native-io'], /edge 1: writes through Node’s streams/],
] as const)
  test(
    `${args.join(' ') || 'by default'}: small, large, echoed and static answers are whole`,
    needs('cc'),
    async (t) => {
      const cwd = directoryOf(t, { 'app.js': app });
      writeFileSync(join(cwd, 'large.bin'), large);
      const flags = [
        '--workers',
        '1',
        '--keep-alive',
        '60',
        '--log-level',
        'debug',
        '--static',
        `/files=${cwd}`,
      ];
      const portico = await startPortico(t, [...flags, ...args, 'app.js'], { cwd });
      await portico.logged(said);
      const get = async (path: string, init: RequestInit = {}) =>
        Buffer.from(await (await fetch(`${portico.origin}${path}`, init)).arrayBuffer());
      assert.equal((await get('/')).toString(), `hello ${'\u00e9'.repeat(5000)}`);
      assert.equal(sha(await get('/', { method: 'POST', body: large })), sha(large));
      const all = Array.from({ length: 4 }, () => get('/files/large.bin'));
      for (const content of await Promise.all(all)) assert.equal(sha(content), sha(large));
      const range = { headers: { range: 'bytes=1000000-18000000' } };
      assert.equal(sha(await get('/files/large.bin', range)), sha(large.subarray(1e6, 18e6 + 1)));
    },
  );
