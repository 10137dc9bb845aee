// Starts the real nginx with nginx/portico.conf in front of two plain Node processes.

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { makePair } from './certificates.ts';
import { type Owner, repositoryRoot } from './portico.ts';
import { accepts, freePort } from './ports.ts';
import { until } from './until.ts';

/** Its ports on 127.0.0.1. */
export interface NginxPorts {
  readonly port: number;
  readonly tlsPort: number;
  /** HTTP/2 with prior knowledge. */
  readonly h2c: number;
}

export async function startNginx(t: Owner, staticDir: string): Promise<NginxPorts> {
  const dir = mkdtempSync(join(tmpdir(), 'portico-nginx-'));
  const children: ChildProcess[] = [];
  t.after(async () => {
    for (const child of children.reverse()) {
      const gone = new Promise((done) => child.once('exit', done));
      if (child.exitCode === null && child.kill('SIGTERM')) await gone;
    }
    rmSync(dir, { recursive: true, force: true });
  });
  for (const slot of [1, 2]) {
    const socket = join(dir, `worker-${slot}.sock`);
    const serve = join(repositoryRoot, 'test/fixtures/parity/serve.mjs');
    children.push(spawn(process.execPath, [serve, socket], { stdio: 'inherit' }));
    await until(`the app on ${socket}`, () => existsSync(socket));
  }
  const port = await freePort();
  const tlsPort = await freePort();
  const { certPem, keyPem } = await makePair(['localhost', '127.0.0.1']);
  writeFileSync(join(dir, 'tls.pem'), certPem + keyPem);
  const h2c = await freePort();
  const conf = join(dir, 'nginx.conf');
  const text = readFileSync(join(repositoryRoot, 'nginx/portico.conf'), 'utf8')
    .replaceAll('@dir@', dir)
    .replaceAll('@listen@', `127.0.0.1:${port}`)
    .replaceAll('@tls@', `127.0.0.1:${tlsPort} ssl http2`)
    .replaceAll('@cert@', join(dir, 'tls.pem'))
    .replaceAll('@h2c@', `127.0.0.1:${h2c}`)
    .replaceAll('@static@', staticDir)
    .replaceAll('@user@', userInfo().username);
  writeFileSync(conf, text);
  const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` };
  children.push(
    spawn('nginx', ['-p', dir, '-c', conf], { stdio: ['ignore', 'ignore', 'inherit'], env }),
  );
  await until(`nginx on port ${port}`, () => accepts(port));
  return { port, tlsPort, h2c };
}
