// Starts a real worker process and plays its arbiter and its edge.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import type { TestContext } from 'node:test';
import type { Config } from '../../src/config/config.ts';
import { type Failure, failure } from '../../src/errors/failure.ts';
import type { ClientFacts, Fields } from '../../src/http/exchange.ts';
import { type Channel, channelToWorker } from '../../src/ipc/channel.ts';
import type { FromWorker, ToWorker } from '../../src/ipc/messages.ts';
import { connectLink } from '../../src/link/edge-end.ts';
import type { Link, LinkObserver, LinkStream } from '../../src/link/link.ts';
import { testConfig } from './config.ts';
import { repositoryRoot } from './portico.ts';
import { Watchers } from './watchers.ts';

export const appsDir = join(repositoryRoot, 'test/fixtures/apps');

export interface WorkerOptions {
  readonly config?: Partial<Config>;
  readonly maxRequests?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** Default: the fixtures of apps. */
  readonly chdir?: string;
  /** Default: a new temporary directory. */
  readonly socketDir?: string;
}

export interface WorkerProcess {
  readonly pid: number;
  readonly dir: string;
  readonly messages: readonly FromWorker[];
  readonly exited: Promise<number | NodeJS.Signals>;
  send(message: ToWorker): void;
  /** The next message of the type, or one that came already; rejects when the worker ends first. */
  heard<T extends FromWorker['type']>(type: T): Promise<Extract<FromWorker, { type: T }>>;
  /** Resolves when what the worker printed matches. */
  logged(pattern: RegExp): Promise<RegExpMatchArray>;
  log(): string;
  signal(name: NodeJS.Signals): void;
  /** Closes the arbiter's end of the channel, as its death does. */
  disconnect(): void;
  connect(socketPath?: string): Promise<Link>;
}

/** What a test waits for has this long. Boots are slow where tests of others run beside. */
const deadlineMs = 20_000;

/** Starts a worker with `MODULE[:EXPORT]` and waits for nothing. */
export function spawnWorker(
  t: TestContext,
  app: string,
  options: WorkerOptions = {},
): WorkerProcess {
  const dir = mkdtempSync(join(tmpdir(), 'portico-worker-'));
  const child = spawn(process.execPath, [join(repositoryRoot, 'dist/main.js')], {
    env: { ...withoutNodeEnv(), ...options.env, PORTICO_ROLE: 'worker' },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  });
  const messages: FromWorker[] = [];
  let printed = '';
  const watchers = new Watchers();
  const channel = channelToWorker(child.stdio[3] as Duplex, {
    onMessage(message) {
      messages.push(message);
      if (message.type === 'started') configure(channel, app, dir, options);
      watchers.tell();
    },
    onNoise: (what) => {
      printed += `noise on the channel: ${what}\n`;
    },
  });
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
      watchers.tell();
    });
  }
  let over = false;
  const exited = once(child, 'close').then(([code, signal]) => {
    over = true;
    watchers.tell();
    return (signal ?? code) as number | NodeJS.Signals;
  });
  const links: Link[] = [];
  t.after(async () => {
    for (const link of links) link.destroy(failure('SHUTTING_DOWN'));
    channel.close();
    await stop(child, exited);
    rmSync(dir, { recursive: true, force: true });
    t.diagnostic(`worker printed:\n${printed.slice(-4000)}`);
  });
  const waitFor = <T>(find: () => T | null | undefined, what: string): Promise<T> => {
    const report = () => {
      const heard = messages.map(({ type }) => type).join(', ');
      return `waiting for ${what}; heard ${heard}; it printed:\n${printed}`;
    };
    const findOrEnd = () => {
      const found = find();
      if ((found === null || found === undefined) && over)
        throw new Error(`the worker ended, ${report()}`);
      return found;
    };
    return watchers.until(findOrEnd, { deadlineMs, report });
  };
  const heard: WorkerProcess['heard'] = (type) =>
    waitFor(() => messages.find((message) => message.type === type), `"${type}"`) as never;
  return {
    pid: child.pid as number,
    dir,
    messages,
    exited,
    send: channel.send,
    heard,
    logged: (pattern) => waitFor(() => printed.match(pattern), String(pattern)),
    log: () => printed,
    signal: (name) => process.kill(child.pid as number, name),
    disconnect: () => channel.close(),
    async connect(socketPath) {
      const path = socketPath ?? (await heard('ready')).sockets[0]!;
      const link = await openLink(path);
      links.push(link);
      return link;
    },
  };
}

/** Starts a worker, waits until it is ready, and connects. */
export async function startWorker(
  t: TestContext,
  app: string,
  options: WorkerOptions = {},
): Promise<{ worker: WorkerProcess; link: Link }> {
  const worker = spawnWorker(t, app, options);
  await worker.heard('ready');
  return { worker, link: await worker.connect() };
}

function configure(
  channel: Channel<ToWorker>,
  app: string,
  dir: string,
  { config, maxRequests = 0, chdir = appsDir, socketDir = dir }: WorkerOptions,
): void {
  const [module = '', name = null] = app.split(/:(.*)/s, 2);
  channel.send({
    type: 'configure',
    config: { ...plainConfig, module, export: name, chdir, ...config },
    assignment: {
      id: 7,
      app: 'app',
      slot: 2,
      socketBase: join(socketDir, 'worker-7'),
      maxRequests,
    },
  });
}

/** NODE_ENV of the test run would hide what a worker makes of its absence. */
function withoutNodeEnv(): NodeJS.ProcessEnv {
  const { NODE_ENV: _, NODE_TEST_CONTEXT: __, ...env } = process.env;
  return env;
}

function openLink(path: string): Promise<Link> {
  return new Promise((resolve, reject) => {
    const link: Link = connectLink({
      path,
      onUp: () => resolve(link),
      onDown: (reason) => reject(new Error(`link down: ${reason?.detail ?? 'drained'}`)),
    });
  });
}

async function stop(child: ChildProcess, exited: Promise<unknown>): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  await exited;
}

export interface Question {
  readonly method?: string;
  readonly target?: string;
  readonly fields?: Fields;
  readonly body?: string | Buffer;
  readonly client?: Partial<ClientFacts>;
  readonly expectsContinue?: boolean;
}

export interface Answer {
  readonly status: number;
  readonly fields: Fields;
  readonly body: Buffer;
  readonly informs: readonly number[];
  /** Null when the answer came whole. */
  readonly failure: Failure | null;
  text(): string;
  json(): Record<string, unknown>;
  /** Values of a field, in order. */
  values(name: string): string[];
}

/** Sends a request and collects the whole answer. Never rejects: see `failure`. */
export function ask(link: Link, question: Question | string = {}): Promise<Answer> {
  return open(link, question).answer;
}

export interface OpenRequest {
  readonly stream: LinkStream;
  readonly answer: Promise<Answer>;
  /** Resolves with the status when the head is here. */
  readonly head: Promise<number>;
  /** Bytes of content here so far. */
  received(): number;
  /** Credit is given for content only after this. */
  resume(): void;
}

/** Opens a request. With `paused` the answer's content is not consumed before resume(). */
export function open(
  link: Link,
  question: Question | string = {},
  { paused = false, unfinished = false } = {},
): OpenRequest {
  const asked = typeof question === 'string' ? { target: question } : question;
  const body = Buffer.from(asked.body ?? '');
  const hasBody = asked.body !== undefined || unfinished;
  const chunks: Buffer[] = [];
  const informs: number[] = [];
  let isPaused = paused;
  let status = 0;
  let fields: Fields = [];
  let unconsumed = 0;
  let finish: (failure: Failure | null) => void = () => {};
  let begun: (status: number) => void = () => {};
  const head = new Promise<number>((resolve) => {
    begun = resolve;
  });
  const answer = new Promise<Answer>((resolve) => {
    finish = (failure) => {
      const whole = Buffer.concat(chunks);
      const values = (name: string): string[] =>
        fields.filter((_, at) => at % 2 === 1 && fields[at - 1]?.toLowerCase() === name);
      resolve({
        status,
        fields,
        body: whole,
        informs,
        failure,
        text: () => whole.toString(),
        json: () => JSON.parse(whole.toString()) as Record<string, unknown>,
        values,
      });
    };
  });
  const observer: LinkObserver = {
    onInform: (code) => informs.push(code),
    onResponse(code, _reason, received) {
      status = code;
      fields = received;
      begun(code);
    },
    onData(chunk) {
      chunks.push(Buffer.from(chunk));
      if (isPaused) unconsumed += chunk.length;
      else stream.consumed(chunk.length);
    },
    onEnd: () => finish(null),
    onConsumed: () => {},
    onFailed: (failure) => finish(failure),
  };
  const stream: LinkStream = link.open(
    {
      request: {
        method: asked.method ?? (hasBody ? 'POST' : 'GET'),
        target: asked.target ?? '/',
        version: '1.1',
        fields: [
          'Host',
          'app.example',
          ...(hasBody && !unfinished ? ['Content-Length', String(body.length)] : []),
          ...(unfinished ? ['Transfer-Encoding', 'chunked'] : []),
          ...(asked.fields ?? []),
        ],
      },
      client: { ...someClient, ...asked.client },
      requestId: 'request-1',
      bodyLength: unfinished ? 'unknown' : body.length,
      expectsContinue: asked.expectsContinue ?? false,
    },
    observer,
  );
  if (!unfinished) {
    if (body.length > 0) stream.write(body);
    if (hasBody) stream.end([]);
  }
  return {
    stream,
    answer,
    head,
    received: () => chunks.reduce((sum, chunk) => sum + chunk.length, 0),
    resume() {
      isPaused = false;
      stream.consumed(unconsumed);
      unconsumed = 0;
    },
  };
}

const someClient: ClientFacts = {
  address: '203.0.113.9',
  port: 50_000,
  peerAddress: '203.0.113.9',
  localAddress: '127.0.0.1',
  localPort: 8000,
  scheme: 'http',
  tls: null,
};

const plainConfig = testConfig({
  bind: [{ kind: 'tcp', host: '127.0.0.1', port: 8000, tls: false }],
  ...{ module: null, workers: 1, workerConnections: 1000 },
  ...{ gracefulTimeoutMs: 30_000, logLevel: 'debug' },
});
