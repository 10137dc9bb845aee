// The edge as a process, with the test as its arbiter: what it says, how it leaves, and that the
// sockets outlive it.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Config } from '../../src/config/config.ts';
import { staticMount } from '../../src/config/static-mounts.ts';
import type { FromEdge, ToEdge } from '../../src/ipc/messages.ts';
import { noTlsFiles } from '../helpers/config.ts';
import { defaultConfig } from '../helpers/default-config.ts';
import { type Taken, workerFactory } from '../helpers/link-workers.ts';
import { repositoryRoot } from '../helpers/portico.ts';
import { RawClient } from '../helpers/raw-client.ts';
import { boundHandle } from '../helpers/running-edge.ts';
import { until } from '../helpers/until.ts';

const request = 'GET / HTTP/1.1\r\nHost: test\r\n\r\n';
const echo = (taken: Taken): void => taken.echo();

interface EdgeProcess {
  readonly child: ChildProcess;
  readonly heard: FromEdge[];
  /** Exit code, or the signal's name. */
  readonly exited: Promise<number | string>;
  log(): string;
  send(message: ToEdge, handle?: unknown): void;
  hears<T extends FromEdge['type']>(type: T): Promise<Extract<FromEdge, { type: T }>>;
}

/** Starts an edge that has said 'started'. */
async function startEdge(t: TestContext): Promise<EdgeProcess> {
  const child = spawn(process.execPath, [join(repositoryRoot, 'dist/main.js')], {
    env: { ...process.env, PORTICO_ROLE: 'edge', PORTICO_SLOT: '3' },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  let printed = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
    });
  const heard: FromEdge[] = [];
  child.on('message', (message) => heard.push(message as FromEdge));
  const exited = once(child, 'exit').then(([code, signal]) => (signal ?? code) as number | string);
  t.after(async () => {
    child.kill('SIGKILL');
    await exited;
    t.diagnostic(`the edge printed:\n${printed.slice(-4000)}`);
  });
  const edge: EdgeProcess = {
    child,
    heard,
    exited,
    log: () => printed,
    send: (message, handle) => {
      child.send(message, handle as never, { keepOpen: true }, () => {});
    },
    hears: <T extends FromEdge['type']>(type: T) =>
      until(`'${type}' (printed: ${printed})`, () => {
        const at = heard.findIndex((message) => message.type === type);
        return at === -1 ? null : (heard.splice(at, 1)[0] as Extract<FromEdge, { type: T }>);
      }),
  };
  await edge.hears('started');
  return edge;
}

interface Public {
  readonly handle: unknown;
  readonly port: number;
  readonly config: Config;
}

function publicSocket(changes: Partial<Config> = {}): Public {
  const { handle, port } = boundHandle();
  const bind = [{ kind: 'tcp', host: '127.0.0.1', port, tls: false }] as const;
  return { handle, port, config: defaultConfig({ bind, accessLogfile: null, ...changes }) };
}

/** Tells the edge what the arbiter would, up to 'ready'. */
async function introduce(edge: EdgeProcess, { handle, port, config }: Public): Promise<void> {
  edge.send({ type: 'configure', config, tls: noTlsFiles });
  edge.send({ type: 'listen', key: 'main', address: config.bind[0]! }, handle);
  await edge.hears('ready');
  assert.ok(port > 0);
}

/** An edge that serves with one worker. */
async function serving(t: TestContext, serve: (taken: Taken) => void) {
  const socket = publicSocket();
  const edge = await startEdge(t);
  await introduce(edge, socket);
  const worker = await workerFactory(t)(serve);
  edge.send({ type: 'admit', worker: worker.address });
  return { socket, edge, worker };
}

test('an edge starts, serves, beats, reports and leaves when it has drained', async (t) => {
  const { socket, edge, worker } = await serving(t, () => {});
  await edge.hears('heartbeat');
  if (process.platform === 'linux')
    assert.match(readFileSync(`/proc/${edge.child.pid}/cmdline`, 'utf8'), /^portico: edge 3/);
  const client = new RawClient(socket.port);
  client.send(request);
  await until('request', () => worker.taken.length === 1);
  edge.send({ type: 'report', askId: 5 });
  const { askId, status } = await edge.hears('status');
  assert.equal(askId, 5);
  assert.equal(status.connections, 1);
  assert.equal(status.requestsInFlight, 1);
  assert.deepEqual(status.workers, [{ id: 1, inFlight: 1, upgraded: 0, served: 0 }]);
  edge.send({ type: 'drain', deadlineMs: 10_000 });
  edge.send({ type: 'withdraw', workerId: 1 });
  assert.equal((await edge.hears('withdrawn')).workerId, 1);
  worker.taken[0]?.reply('last words');
  const response = await client.response();
  assert.equal(response.body, 'last words');
  assert.equal(await client.ended(), 'fin');
  client.leave();
  assert.equal(await edge.exited, 0);
});

test('settings that will not do are refused and the former ones stay', async (t) => {
  const { socket, edge } = await serving(t, echo);
  const client = new RawClient(socket.port);
  assert.equal((await client.send(request).response()).body, 'GET / ');
  edge.send({
    type: 'configure',
    config: { ...socket.config, forwardedAllowIps: ['nonsense'] },
    tls: noTlsFiles,
  });
  assert.match((await edge.hears('refused')).reason, /nonsense/);
  const file = join(repositoryRoot, 'no-such-dir', '\0', 'error.log');
  const unfit = { errorLogfile: file, static: [staticMount({ prefix: '/', dir: repositoryRoot })] };
  edge.send({ type: 'configure', config: { ...socket.config, ...unfit }, tls: noTlsFiles });
  await edge.hears('refused');
  assert.equal((await client.send(request).response()).body, 'GET / ');
  const longer = { ...socket.config, static: [staticMount({ prefix: '/', dir: repositoryRoot })] };
  edge.send({ type: 'configure', config: longer, tls: noTlsFiles });
  await edge.hears('ready');
  const license = 'GET /LICENSE HTTP/1.1\r\nHost: test\r\n\r\n';
  assert.match((await client.send(license).response()).body, /MIT/);
  client.leave();
});

test('an edge that is killed is replaced on the same socket and nobody is refused', async (t) => {
  const socket = publicSocket();
  const worker = await workerFactory(t)(echo);
  const first = await startEdge(t);
  await introduce(first, socket);
  first.send({ type: 'admit', worker: worker.address });
  assert.equal((await new RawClient(socket.port).send(request).response()).status, 200);
  first.child.kill('SIGKILL');
  assert.equal(await first.exited, 'SIGKILL');
  // Nobody accepts now: these wait in the kernel.
  const waiting = Array.from({ length: 20 }, () => new RawClient(socket.port).send(request));
  const second = await startEdge(t);
  await introduce(second, socket);
  second.send({ type: 'admit', worker: worker.address });
  for (const client of waiting) {
    assert.equal((await client.response()).body, 'GET / ');
    client.leave();
  }
});

test('an edge whose arbiter has died finishes what is open and leaves', async (t) => {
  const { socket, edge, worker } = await serving(t, () => {});
  const client = new RawClient(socket.port).send(request);
  await until('request', () => worker.taken.length === 1);
  edge.child.disconnect();
  await until('log line', () => edge.log().includes('the arbiter is gone'));
  worker.taken[0]?.reply('finished');
  assert.equal((await client.response()).body, 'finished');
  client.leave();
  assert.equal(await edge.exited, 0);
});

test('an edge whose arbiter dies while it loads does not stay', async (t) => {
  const child = spawn(process.execPath, [join(repositoryRoot, 'dist/main.js')], {
    env: { ...process.env, PORTICO_ROLE: 'edge', PORTICO_SLOT: '3' },
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  t.after(() => child.kill('SIGKILL'));
  child.disconnect();
  const deadline = AbortSignal.timeout(20_000);
  const [code] = await once(child, 'exit', { signal: deadline });
  assert.equal(code, 0);
});

test('INT, QUIT, HUP, USR1 and USR2 are left to the arbiter, TERM drains', async (t) => {
  const socket = publicSocket();
  const edge = await startEdge(t);
  await introduce(edge, socket);
  for (const signal of ['SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const)
    edge.child.kill(signal);
  const worker = await workerFactory(t)(echo);
  edge.send({ type: 'admit', worker: worker.address });
  const client = new RawClient(socket.port);
  assert.equal((await client.send(request).response()).status, 200);
  client.leave();
  assert.doesNotMatch(edge.log(), /Debugger/);
  edge.child.kill('SIGTERM');
  assert.equal(await edge.exited, 0);
});

test('a drain of 0 is now, whatever is open', async (t) => {
  const { socket, edge, worker } = await serving(t, () => {});
  const client = new RawClient(socket.port).send(request);
  await until('request', () => worker.taken.length === 1);
  edge.send({ type: 'drain', deadlineMs: 60_000 });
  edge.send({ type: 'drain', deadlineMs: 0 });
  assert.equal(await edge.exited, 0);
  await client.ended();
});
