// The files of the static scenarios, and the servers that are compared on them.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import {
  apps,
  freePort,
  launch,
  type Peer,
  type Running,
  root,
  running,
  type StartOptions,
} from './peers.ts';
import { nginxTls, porticoTls } from './tls.ts';

export const FILES = 10_000;

/** Text that compresses about as well as scripts do. */
function text(bytes: number): string {
  let seed = 1;
  let made = '';
  while (made.length < bytes) {
    seed = (seed * 48_271) % 2_147_483_647;
    made += `const value${seed % 997} = compute(${seed % 89}, 'name${seed % 61}');\n`;
  }
  return made.slice(0, bytes);
}

/** Written anew for each run: nobody's caches know it. */
function makeSite(): string {
  const dir = mkdtempSync(join(tmpdir(), 'portico-site-'));
  writeFileSync(join(dir, 'index.html'), '<!doctype html><title>bench</title>');
  for (const [name, bytes] of [
    ['1k.html', 1024],
    ['10k.js', 10 * 1024],
    ['100k.js', 100 * 1024],
    // The least that takes a large file's whole way: more than a socket holds.
    ['5m.bin', 5 * 1024 ** 2],
    ['10m.bin', 10 * 1024 ** 2],
    ['packed.js', 100 * 1024],
  ] as const)
    writeFileSync(join(dir, name), text(bytes));
  writeFileSync(join(dir, 'packed.js.gz'), gzipSync(text(100 * 1024)));
  mkdirSync(join(dir, 'f'));
  for (let at = 0; at < FILES; at++) writeFileSync(join(dir, 'f', `${at}.html`), text(1024));
  return dir;
}

export const staticPeers: readonly Peer[] = [
  { name: 'portico', needs: null, tls: true, start: startPortico },
  { name: 'nginx static', needs: 'nginx', tls: true, start: startNginx },
  { name: 'serve-static', needs: null, start: startServeStatic },
];

async function startPortico(_app: string, { tls }: StartOptions): Promise<Running> {
  const site = makeSite();
  const port = await freePort();
  const dir = mkdtempSync(join(tmpdir(), 'portico-bench-'));
  const args = [
    join(root, 'dist', 'main.js'),
    ...['--bind', `${tls ? 'https://' : ''}127.0.0.1:${port}`, '--workers', '1'],
    ...['--keep-alive', '120', ...(tls ? porticoTls(dir) : [])],
    ...['--static', `/=${site}`],
    `${join(apps, 'routes.mjs')}:app`,
  ];
  const child = await launch(process.execPath, args, dir);
  return withSite(site, await running(port, [child], dir, { tls }));
}

async function startNginx(_app: string, { tls }: StartOptions): Promise<Running> {
  const site = makeSite();
  const port = await freePort();
  const dir = mkdtempSync(join(tmpdir(), 'portico-bench-'));
  const file = join(dir, 'nginx.conf');
  writeFileSync(
    file,
    `${process.getuid?.() === 0 ? 'user root;' : ''} daemon off; worker_processes 1; pid ${dir}/nginx.pid; error_log ${dir}/error.log;
     events { worker_connections 20000; }
     http {
       access_log off; default_type application/octet-stream;
       types { text/html html; text/javascript js; }
       client_body_temp_path ${dir}/body; proxy_temp_path ${dir}/proxy;
       fastcgi_temp_path ${dir}/fastcgi; uwsgi_temp_path ${dir}/uwsgi; scgi_temp_path ${dir}/scgi;
       keepalive_timeout 120s; keepalive_requests 100000000;
       sendfile on; tcp_nopush on; gzip_static on; gzip_vary on;
       open_file_cache max=20000 inactive=60s; open_file_cache_valid 60s; open_file_cache_min_uses 1;
       server { listen 127.0.0.1:${port} ${tls ? 'ssl' : ''} backlog=2048; root ${site};
         ${tls ? nginxTls(dir) : ''} } }`,
  );
  const child = await launch('nginx', ['-p', dir, '-c', file], dir);
  return withSite(site, await running(port, [child], dir, { tls }));
}

async function startServeStatic(): Promise<Running> {
  const site = makeSite();
  const port = await freePort();
  const dir = mkdtempSync(join(tmpdir(), 'portico-bench-'));
  const args = [join(apps, 'serve-static.mjs'), site, `${port}`];
  return withSite(site, await running(port, [await launch(process.execPath, args, dir)], dir));
}

function withSite(site: string, server: Running): Running {
  const stop = async () => {
    await server.stop();
    rmSync(site, { recursive: true, force: true });
  };
  return { ...server, stop };
}
