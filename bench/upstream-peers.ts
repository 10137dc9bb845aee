// Portico and nginx in front of the same HTTP upstreams, which are no part of what is measured: the CPU time and the
// memory are those of the front alone.

import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { apps, freePort, launch, type Peer, type Running, root, running } from './peers.ts';

/** How the front reaches the upstreams. */
export type UpstreamKind = 'unix' | 'tcp';

export function upstreamPeers(kind: UpstreamKind): readonly Peer[] {
  return [
    {
      name: 'portico',
      needs: null,
      start: (app, { workers }) => start(app, workers, kind, startPortico),
    },
    {
      name: 'nginx',
      needs: 'nginx',
      start: (app, { workers }) => start(app, workers, kind, startNginx),
    },
  ];
}

/** Where an upstream listens: a port or a path. */
type Place = number | string;
type StartFront = (dir: string, port: number, places: readonly Place[]) => Promise<ChildProcess>;

async function start(
  app: string,
  count: number,
  kind: UpstreamKind,
  startFront: StartFront,
): Promise<Running> {
  const dir = mkdtempSync(join(tmpdir(), 'portico-bench-'));
  const behind: ChildProcess[] = [];
  const places: Place[] = [];
  for (let at = 0; at < count; at++) {
    const place = kind === 'tcp' ? await freePort() : join(dir, `${at}.sock`);
    places.push(place);
    const program =
      app === 'sockets.mjs' ? [join(apps, app)] : [join(apps, 'serve.mjs'), join(apps, app)];
    behind.push(await launch(process.execPath, [...program, String(place)], dir));
  }
  const port = await freePort();
  const front = await startFront(dir, port, places);
  const all = await running(port, [front], dir);
  return {
    ...all,
    async stop() {
      for (const child of behind) child.kill('SIGTERM');
      await all.stop();
    },
  };
}

async function startPortico(dir: string, port: number, places: readonly Place[]) {
  const targets = places.map((place) =>
    typeof place === 'number' ? `http://127.0.0.1:${place}` : `unix:${place}`,
  );
  const to = { targets, maxConnections: 4096, keepAlive: 120 };
  const file = join(dir, 'portico.config.json');
  const settings = { routes: [{ to }], bind: `127.0.0.1:${port}`, keepAlive: 120 };
  writeFileSync(file, JSON.stringify({ ...settings, upgradeConnections: 20_000 }));
  return await launch(process.execPath, [join(root, 'dist', 'main.js'), '-c', file], dir);
}

export async function startNginx(dir: string, port: number, places: readonly Place[]) {
  const servers = places.map((place) =>
    typeof place === 'number' ? `127.0.0.1:${place}` : `unix:${place}`,
  );
  const file = join(dir, 'nginx.conf');
  // The fields are those that Portico sends by itself.
  writeFileSync(
    file,
    `${process.getuid?.() === 0 ? 'user root;' : ''} daemon off; worker_processes 1; pid ${dir}/nginx.pid; error_log ${dir}/error.log;
     worker_rlimit_nofile 65536;
     events { worker_connections 20000; }
     http {
       access_log off; keepalive_timeout 120s; keepalive_requests 100000000; client_max_body_size 10m;
       client_body_temp_path ${dir}/body; proxy_temp_path ${dir}/proxy;
       fastcgi_temp_path ${dir}/fastcgi; uwsgi_temp_path ${dir}/uwsgi; scgi_temp_path ${dir}/scgi;
       map $http_upgrade $upgraded { default "upgrade"; "" ""; }
       upstream app { least_conn; keepalive 64; keepalive_requests 100000000;
         ${servers.map((server) => `server ${server} fail_timeout=0;`).join(' ')} }
       server { listen 127.0.0.1:${port} backlog=4096;
         location / { proxy_pass http://app; proxy_http_version 1.1;
           proxy_set_header Connection $upgraded; proxy_set_header Upgrade $http_upgrade;
           proxy_set_header Host $http_host; proxy_set_header X-Real-IP $remote_addr;
           proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme;
           proxy_set_header X-Forwarded-Host $http_host; proxy_set_header X-Forwarded-Port $server_port;
           proxy_set_header X-Request-Id $request_id; add_header X-Request-Id $request_id;
           proxy_read_timeout 1h; proxy_buffering on; } } }`,
  );
  return await launch('nginx', ['-p', dir, '-c', file], dir);
}
