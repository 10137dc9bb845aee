// The guides do what they say: files of a guide are written, its commands run, in a network of their own so that port 8000
// is free. ```js file=NAME is a file, ```sh start begins a server, ```sh run has to succeed.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { needs } from '../helpers/need.ts';
import { repositoryRoot } from '../helpers/portico.ts';

const guides = join(repositoryRoot, 'docs/guides');
const programs = needs('unshare', 'curl', 'ip', 'uvicorn', 'gunicorn');
const skip = programs.skip || (process.getuid?.() === 0 ? false : 'only root can make a network');

/** A shell script of the marked blocks, in their order. */
function scriptOf(guide: string, dir: string): string {
  const steps: string[] = [];
  for (const [, info = '', text = ''] of readFileSync(guide, 'utf8').matchAll(
    /^```(.*)\n([\s\S]*?)^```$/gm,
  )) {
    const file = / file=(\S+)$/.exec(info)?.[1];
    if (file !== undefined) {
      const source = join(dir, 'blocks', String(steps.length));
      mkdirSync(dirname(source), { recursive: true });
      writeFileSync(source, text);
      steps.push(`mkdir -p "$(dirname ${file})"; cp ${source} ${file}`);
    } else if (/^sh start$/.test(info)) {
      steps.push(
        `${text.trim()} &\nuntil curl -sf http://127.0.0.1:8000/-/readyz; do kill -0 $!; sleep 0.1; done`,
      );
    } else if (/^sh run$/.test(info)) steps.push(text);
  }
  // Each line of a block has to succeed, and ends what was started if it does not.
  return `set -ex\nip link set lo up\n${steps.join('\n')}`;
}

for (const name of readdirSync(guides)) {
  const script = readFileSync(join(guides, name), 'utf8');
  if (!/^```sh (run|start)$/m.test(script)) continue;
  test(`docs/guides/${name}: its commands work`, { skip }, async (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'portico-guide-'));
    t.after(() => rmSync(dir, { recursive: true, force: true }));
    const work = join(dir, 'work');
    mkdirSync(join(dir, 'bin'));
    mkdirSync(work);
    writeFileSync(
      join(dir, 'bin/portico'),
      `#!/bin/sh\nexec '${process.execPath}' '${join(repositoryRoot, 'dist/main.js')}' "$@"\n`,
      { mode: 0o755 },
    );
    symlinkSync(process.execPath, join(dir, 'bin/node'));
    // The guides' apps find express, socket.io and the like.
    symlinkSync(join(repositoryRoot, 'node_modules'), join(dir, 'node_modules'));
    const namespaces = ['--net', '--pid', '--fork', '--kill-child', '--mount-proc'];
    const child = spawn(
      'unshare',
      [...namespaces, 'bash', '-c', scriptOf(join(guides, name), dir)],
      {
        cwd: work,
        env: {
          PATH: `${join(dir, 'bin')}:/usr/bin:/bin:/usr/sbin:/sbin`,
          HOME: dir,
          // Other instances of this machine are none of the guide's.
          PORTICO_RUNTIME_DIR: join(dir, 'run'),
        },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    let printed = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        printed += text;
      });
    const hard = setTimeout(() => child.kill('SIGKILL'), 90_000);
    const code = await new Promise((resolve) => child.once('close', resolve));
    clearTimeout(hard);
    assert.equal(code, 0, printed.slice(-5000));
  });
}
