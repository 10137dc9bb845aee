// The servers that are compared, each started in front of the same app.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { get as getHttp } from 'node:http';
import { connect } from 'node:http2';
import { get as getHttps } from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nginxTls, porticoTls } from './tls.ts';

export const root = process.cwd();
export const apps = join(root, 'bench', 'apps');

export interface Running {
  readonly origin: string;
  /** Roots of the process trees whose CPU time and memory count. */
  readonly pids: readonly number[];
  stop(): Promise<void>;
}

export interface Peer {
  readonly name: string;
  /** Program that must be on the machine, if any. */
  readonly needs: string | null;
  /** Compresses on the fly. */
  readonly gzips?: boolean;
  /** Speaks TLS. */
  readonly tls?: boolean;
  /** Has a response cache. */
  readonly caches?: boolean;
  /** Speaks HTTP/2 without TLS. */
  readonly http2?: boolean;
  start(app: string, options: StartOptions): Promise<Running>;
}

export interface StartOptions {
  /** App processes. */
  readonly workers: number;
  readonly accessLog: boolean;
  readonly gzip: boolean;
  readonly cache: boolean;
  readonly http2: boolean;
  readonly tls: boolean;
}

export const peers: readonly Peer[] = [
  {
    name: 'portico',
    needs: null,
    gzips: true,
    caches: true,
    http2: true,
    tls: true,
    start: startPortico,
  },
  {
    name: 'nginx → node',
    needs: 'nginx',
    gzips: true,
    caches: true,
    http2: true,
    tls: true,
    start: (app, options) => startNginx(app, options, sameFields),
  },
  {
    // What most tutorials write: cheaper, as it tells the app and the log less.
    name: 'nginx, 4 fields → node',
    needs: 'nginx',
    start: (app, options) => startNginx(app, options, fourFields),
  },
  { name: 'haproxy → node', needs: 'haproxy', start: startHaproxy },
  { name: 'http-proxy → node', needs: null, start: startHttpProxy },
  { name: 'node alone', needs: null, start: startNode },
];

/** Whether the machine has the program. */
export function has(program: string): boolean {
  try {
    execFileSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

async function startPortico(app: string, options: StartOptions): Promise<Running> {
  const port = await freePort();
  const dir = mkdtempSync(join(tmpdir(), 'portico-bench-'));
  const args = [
    join(root, 'dist', 'main.js'),
    ...['--bind', `${options.tls ? 'https://' : ''}127.0.0.1:${port}`],
    ...['--workers', `${options.workers}`, '--keep-alive', '120'],
    ...(options.tls ? porticoTls(dir) : []),
    ...(options.accessLog ? ['--access-logfile', join(dir, 'access.log')] : []),
    ...(options.accessLog ? ['--access-logformat', 'combined'] : []),
    ...(options.cache ? ['--cache', '64m'] : []),
    ...(options.http2 ? ['--h2c'] : []),
    `${join(apps, app)}:app`,
  ];
  const child = await launch(process.execPath, args, dir);
  return running(port, [child], dir, options);
}

const fourFields = `proxy_set_header Host $http_host; proxy_set_header X-Real-IP $remote_addr;
           proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme;`;

/** What Portico sends the app and the client by itself, as in nginx/portico.conf. */
const sameFields = `${fourFields}
           proxy_set_header X-Forwarded-Host $http_host; proxy_set_header X-Forwarded-Port $server_port;
           proxy_set_header X-Request-Id $request_id; add_header X-Request-Id $request_id;`;

async function startNginx(app: string, options: StartOptions, fields: string): Promise<Running> {
  const { dir, sockets, children } = await startBackends(app, options.workers);
  const port = await freePort();
  const file = join(dir, 'nginx.conf');
  const accessLog = options.accessLog ? `${dir}/access.log combined buffer=64k flush=1s` : 'off';
  // The level and the smallest size of Portico.
  const gzip =
    'gzip on; gzip_comp_level 5; gzip_min_length 1024; gzip_types text/plain application/json;';
  const cache = `proxy_cache_path ${dir}/cache keys_zone=pages:10m max_size=64m use_temp_path=off;
       proxy_cache pages; proxy_cache_lock on; add_header X-Cache $upstream_cache_status;`;
  writeFileSync(
    file,
    `${process.getuid?.() === 0 ? 'user root;' : ''} daemon off; worker_processes 1; pid ${dir}/nginx.pid; error_log ${dir}/error.log;
     events { worker_connections 20000; }
     http {
       access_log ${accessLog};
       client_body_temp_path ${dir}/body; proxy_temp_path ${dir}/proxy;
       fastcgi_temp_path ${dir}/fastcgi; uwsgi_temp_path ${dir}/uwsgi; scgi_temp_path ${dir}/scgi;
       ${options.gzip ? gzip : ''}
       ${options.cache ? cache : ''}
       keepalive_timeout 120s; keepalive_requests 100000000; client_max_body_size 10m;
       upstream app { least_conn; keepalive 64; keepalive_requests 100000000;
         ${sockets.map((path) => `server unix:${path} fail_timeout=0;`).join(' ')} }
       server { listen 127.0.0.1:${port} ${options.http2 ? 'http2' : ''} ${options.tls ? 'ssl' : ''} backlog=2048;
         ${options.tls ? nginxTls(dir) : ''}
         location / { proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection "";
           ${fields} } } }`,
  );
  children.push(await launch('nginx', ['-p', dir, '-c', file], dir));
  return running(port, children, dir, options);
}

async function startHaproxy(app: string, options: StartOptions): Promise<Running> {
  const { dir, sockets, children } = await startBackends(app, options.workers);
  const port = await freePort();
  const file = join(dir, 'haproxy.cfg');
  const servers = sockets.map((path, at) => `  server app${at} unix@${path}`);
  writeFileSync(
    file,
    `global\n  nbthread 1\n  maxconn 4000\n` +
      `defaults\n  mode http\n  timeout connect 5s\n  timeout client 120s\n  timeout server 60s\n` +
      `  http-reuse always\n  option forwardfor\n` +
      `frontend front\n  bind 127.0.0.1:${port}\n  default_backend app\n` +
      `backend app\n  balance leastconn\n${servers.join('\n')}\n`,
  );
  children.push(await launch('haproxy', ['-db', '-f', file], dir));
  return running(port, children, dir);
}

async function startHttpProxy(app: string, options: StartOptions): Promise<Running> {
  const { dir, sockets, children } = await startBackends(app, options.workers);
  const port = await freePort();
  const args = [join(apps, 'http-proxy.mjs'), `${port}`, ...sockets];
  children.push(await launch(process.execPath, ['--no-deprecation', ...args], dir));
  return running(port, children, dir);
}

async function startNode(app: string): Promise<Running> {
  const dir = mkdtempSync(join(tmpdir(), 'portico-bench-'));
  const port = await freePort();
  const args = [join(apps, 'serve.mjs'), join(apps, app), `${port}`];
  return running(port, [await launch(process.execPath, args, dir)], dir);
}

async function startBackends(app: string, workers: number) {
  const dir = mkdtempSync(join(tmpdir(), 'portico-bench-'));
  const sockets = Array.from({ length: workers }, (_, at) => join(dir, `${at}.sock`));
  const children: ChildProcess[] = [];
  for (const path of sockets) {
    const args = [join(apps, 'serve.mjs'), join(apps, app), path];
    children.push(await launch(process.execPath, args, dir));
  }
  return { dir, sockets, children };
}

export async function launch(
  command: string,
  args: readonly string[],
  cwd: string,
  more: Readonly<Record<string, string>> = {},
) {
  const env = { ...process.env, NODE_ENV: 'production', ...more };
  const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'ignore', 'inherit'] });
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', reject);
  });
  return child;
}

export async function running(
  port: number,
  children: ChildProcess[],
  dir: string,
  { http2 = false, tls = false } = {},
): Promise<Running> {
  const origin = `${tls ? 'https' : 'http'}://127.0.0.1:${port}`;
  const stop = async () => {
    const gone = children.map((child) =>
      child.exitCode !== null || child.signalCode !== null
        ? Promise.resolve()
        : new Promise<void>((resolve) => child.once('exit', () => resolve())),
    );
    for (const child of [...children].reverse()) child.kill('SIGTERM');
    await Promise.all(gone);
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    await answers(`${origin}/`, http2 && !tls ? statusByHttp2 : statusByHttp1);
  } catch (error) {
    await stop();
    throw error;
  }
  return { origin, pids: children.map((child) => child.pid as number), stop };
}

/** Waits until the server answers, for at most 15 s. */
async function answers(url: string, ask: (url: string) => Promise<number>): Promise<void> {
  const deadline = performance.now() + 15_000;
  for (;;) {
    try {
      if ((await ask(url)) === 200) return;
    } catch {
      // Not listening yet.
    }
    if (performance.now() > deadline) throw new Error(`${url} did not answer in 15 s`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function statusByHttp1(url: string): Promise<number> {
  const get = url.startsWith('https:') ? getHttps : getHttp;
  const request = get(url, { agent: false, rejectUnauthorized: false, timeout: 1000 });
  request.once('timeout', () => request.destroy(new Error('no answer in 1 s')));
  const [response] = await once(request, 'response');
  response.resume();
  return response.statusCode;
}

/** nginx before 1.25 speaks nothing else where it speaks HTTP/2 without TLS. */
async function statusByHttp2(url: string): Promise<number> {
  const session = connect(url);
  try {
    const stream = session.request({ ':path': new URL(url).pathname }).resume();
    session.on('error', (error) => stream.destroy(error));
    const [fields] = await once(stream, 'response', { signal: AbortSignal.timeout(1000) });
    return Number(fields[':status']);
  } finally {
    session.destroy();
  }
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}
