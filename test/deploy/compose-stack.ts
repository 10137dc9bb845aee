// A program for compose.test.ts: runs the processes that docker-compose.yml describes, in the namespaces of mounts, network
// and processes that it was started in. Commands, environment, secrets, order and health checks are read from that file and
// the Dockerfiles; each container has an address of 127.0.0.0/8, and its name a line in /etc/hosts.
//
// What differs from containers: no file system of their own, one network for all, Debian's Postgres and FastAPI.

import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { parse } from 'yaml';
import { commandOf, environmentOf, readDockerfile } from '../helpers/dockerfile.ts';

interface Service {
  readonly build?:
    | string
    | { readonly context: string; readonly args: Readonly<Record<string, string>> };
  readonly environment?: Readonly<Record<string, string>>;
  readonly depends_on?: Readonly<Record<string, unknown>>;
  readonly healthcheck: { readonly test: readonly string[] };
  readonly scale?: number;
}

const [root = '', dir = ''] = process.argv.slice(2);
const { services } = parse(readFileSync(join(root, 'docker-compose.yml'), 'utf8')) as {
  services: Readonly<Record<string, Service>>;
};
const secret = 'a secret of the test';
const hosts = join(dir, 'hosts');
const addresses: [string, string][] = [['127.0.0.1', 'localhost']];
const running = new Map<string, ChildProcess>();
const environments = new Map<string, Record<string, string>>();

function run(file: string, ...args: string[]): string {
  return execFileSync(file, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
}

function nameAddress(address: string, name: string): void {
  addresses.push([address, name]);
  // In place: the file is mounted.
  writeFileSync(hosts, addresses.map((pair) => `${pair.join(' ')}\n`).join(''));
}

function makePlace(): void {
  run('ip', 'link', 'set', 'lo', 'up');
  for (const path of ['/run', '/dev/shm']) run('mount', '-t', 'tmpfs', 'tmpfs', path);
  mkdirSync('/run/secrets');
  writeFileSync('/run/secrets/db-password', `${secret}\n`);
  nameAddress('127.0.0.1', 'localhost');
  run('mount', '--bind', hosts, '/etc/hosts');
}

/** Services in the order in which Compose starts them. */
function inOrder(): string[] {
  const order: string[] = [];
  const visit = (name: string) => {
    for (const needed of Object.keys(services[name]?.depends_on ?? {})) visit(needed);
    if (!order.includes(name)) order.push(name);
  };
  for (const name of Object.keys(services)) visit(name);
  return order;
}

interface Container {
  readonly service: string;
  readonly name: string;
  readonly address: string;
}

async function up(container: Container): Promise<void> {
  const service = services[container.service] as Service;
  nameAddress(container.address, container.service);
  const child =
    container.service === 'db' ? startPostgres(container, service) : startBuilt(container, service);
  running.set(container.name, child);
  const check = service.healthcheck.test
    .slice(1)
    .map((word) => word.replaceAll('127.0.0.1', container.address));
  const end = performance.now() + 60_000;
  const env = environments.get(container.name) ?? process.env;
  // Not spawnSync: with the event loop blocked, nobody sees that the server has closed an idle connection by then,
  // and the next request would go out on it.
  while ((await exitCode(...programOf(check), env)) !== 0) {
    if (performance.now() > end)
      throw new Error(`${container.name} is not healthy: ${check.join(' ')}`);
    await wait(200);
  }
  if (container.service === 'db') createDatabase(container, service);
  say({ healthy: container.name });
}

async function exitCode(file: string, args: string[], env: NodeJS.ProcessEnv): Promise<unknown> {
  const [code] = await once(spawn(file, args, { stdio: 'ignore', env }), 'close');
  return code;
}

/** The image has `portico` where we have a build of it. */
function programOf([file = '', ...args]: readonly string[]): [string, string[]] {
  return file === 'portico'
    ? [process.execPath, [join(root, 'dist/main.js'), ...args]]
    : [file, args];
}

function startBuilt({ name, address }: Container, service: Service): ChildProcess {
  const { context, args } =
    typeof service.build === 'object'
      ? service.build
      : { context: service.build as string, args: {} };
  const image = readDockerfile(join(root, context, 'Dockerfile'), args).at(-1)!;
  const command = [...commandOf(image, 'ENTRYPOINT'), ...commandOf(image, 'CMD')].map((word) =>
    word === '0.0.0.0' ? address : word,
  );
  const env = { ...environmentOf(image), ...service.environment };
  // All containers share one network here.
  const bind = env.PORTICO_BIND?.replace('0.0.0.0', address);
  const all = {
    PATH: '/usr/bin:/bin',
    ...env,
    ...(bind === undefined ? {} : { PORTICO_BIND: bind }),
  };
  environments.set(name, all);
  const cwd = join(dir, 'images', args.APP ?? context);
  const [file, words] = programOf(command);
  // A host name of its own, as a container has it.
  const script = 'echo "$0" > /proc/sys/kernel/hostname; exec "$@"';
  return spawn('unshare', ['--uts', 'sh', '-ec', script, name, file, ...words], {
    cwd,
    env: all,
    stdio: ['ignore', 2, 2],
  });
}

const postgres = run('sh', '-c', 'ls -d /usr/lib/postgresql/*/bin | tail -1').trim();
const asPostgres = ['--reuid=postgres', '--regid=postgres', '--clear-groups'];

function startPostgres({ address }: Container, { environment = {} }: Service): ChildProcess {
  const data = join(dir, 'db');
  mkdirSync(data);
  const [uid, gid] = [run('id', '-u', 'postgres'), run('id', '-g', 'postgres')].map(Number);
  chownSync(data, uid as number, gid as number);
  const flags = [
    '--username',
    environment.POSTGRES_USER!,
    '--pwfile',
    environment.POSTGRES_PASSWORD_FILE!,
  ];
  const quick = ['--no-sync', '--auth=scram-sha-256', '--encoding=UTF8', '--locale=C'];
  run('setpriv', ...asPostgres, join(postgres, 'initdb'), '--pgdata', data, ...flags, ...quick);
  const server = ['-D', data, '-h', address, '-k', data, '-F'];
  return spawn('setpriv', [...asPostgres, join(postgres, 'postgres'), ...server], {
    stdio: ['ignore', 2, 2],
  });
}

function createDatabase({ address }: Container, { environment = {} }: Service): void {
  const password = readFileSync(environment.POSTGRES_PASSWORD_FILE!, 'utf8').trim();
  const args = ['-h', address, '-U', environment.POSTGRES_USER!, environment.POSTGRES_DB!];
  spawnSync('createdb', args, { env: { ...process.env, PGPASSWORD: password }, stdio: 'inherit' });
}

/** Which of the replicas answer, asked until `isDone`. */
async function replicas(isDone: (seen: ReadonlySet<string>) => boolean): Promise<string[]> {
  const seen = new Set<string>();
  const end = performance.now() + 60_000;
  while (!isDone(seen) && performance.now() < end) {
    const answer = await fetch(`${origin}/api/whoami`);
    if (answer.status !== 200) throw new Error(`${answer.status}: ${await answer.text()}`);
    seen.add(((await answer.json()) as { replica: string }).replica);
    await wait(10);
  }
  return [...seen].sort();
}

function say(what: object): void {
  process.stdout.write(`${JSON.stringify(what)}\n`);
}

async function json(path: string, init?: RequestInit): Promise<unknown> {
  const answer = await fetch(origin + path, init);
  return { status: answer.status, body: await answer.json() };
}

const origin = 'http://127.0.0.20:8000';

makePlace();
for (const service of inOrder()) {
  const count = services[service]?.scale ?? 1;
  const first = { db: 10, portico: 20 }[service] ?? 30;
  const containers = Array.from({ length: count }, (_, index) => ({
    service,
    name: `${service}-${index + 1}`,
    address: `127.0.0.${first + index}`,
  }));
  await Promise.all(containers.map(up));
}
say({ page: await (await fetch(origin)).text() });
say({ style: (await fetch(`${origin}/assets/style.css`)).headers.get('content-type') });
say({ added: await json('/notes', { method: 'POST', body: '{"text":"kept"}' }) });
say({ notes: await json('/notes') });
say({ health: await json('/health') });
say({ whoami: await json('/api/whoami') });
say({ replicas: await replicas((seen) => seen.size === 3) });
running.get('api-2')!.kill('SIGKILL');
const lossEnd = performance.now() + 1_000;
say({ afterLoss: await replicas(() => performance.now() > lossEnd) });
await up({ service: 'api', name: 'api-4', address: '127.0.0.33' });
say({ afterScale: await replicas((seen) => seen.has('api-4')) });
const portico = running.get('portico-1')!;
portico.kill('SIGTERM');
say({ exit: await new Promise((resolve) => portico.once('exit', resolve)) });
process.exit(0);
