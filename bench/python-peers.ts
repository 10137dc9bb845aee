// Python apps under the servers that Portico would start, in its pool and behind nginx. All processes count.

import type { ChildProcess } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { apps, freePort, launch, type Peer, type Running, root, running } from './peers.ts';
import { startNginx } from './upstream-peers.ts';

export type PythonKind = 'wsgi' | 'asgi';

/** It sees Debian's packages. */
export const debianPython = '/usr/bin/python3';

export function pythonPeers(kind: PythonKind): readonly Peer[] {
  const needs = kind === 'wsgi' ? 'gunicorn' : 'uvicorn';
  return [
    { name: 'portico', needs, start: (app, { workers }) => startPortico(app, workers, kind) },
    { name: 'nginx → Python', needs, start: (app, { workers }) => startBehind(app, workers, kind) },
  ];
}

async function startPortico(app: string, workers: number, kind: PythonKind): Promise<Running> {
  const dir = mkdtempSync(join(tmpdir(), 'portico-bench-'));
  const port = await freePort();
  const args = ['-k', kind, '-w', String(workers), '--python', debianPython, '--chdir', apps];
  const more = ['--bind', `127.0.0.1:${port}`, '--keep-alive', '120', '--log-level', 'warning'];
  const program = join(root, 'dist', 'main.js');
  const child = await launch(process.execPath, [program, ...args, ...more, `${app}:app`], dir);
  return running(port, [child], dir);
}

async function startBehind(app: string, workers: number, kind: PythonKind): Promise<Running> {
  const dir = mkdtempSync(join(tmpdir(), 'portico-bench-'));
  const sockets = Array.from({ length: workers }, (_, at) => join(dir, `${at}.sock`));
  const servers: ChildProcess[] = [];
  for (const socket of sockets) {
    const args =
      kind === 'wsgi'
        ? ['-m', 'gunicorn', '--bind', `unix:${socket}`, '--workers', '1', '--threads', '1']
        : ['-m', 'uvicorn', '--uds', socket, '--no-access-log', '--timeout-keep-alive', '300'];
    const quiet = ['--log-level', 'warning', '--forwarded-allow-ips', '*', `${app}:app`];
    servers.push(await launch(debianPython, [...args, ...quiet], apps));
  }
  const port = await freePort();
  const front = await startNginx(dir, port, sockets);
  return running(port, [...servers, front], dir);
}
