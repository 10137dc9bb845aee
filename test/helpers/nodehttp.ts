// Runs one handler twice, through node:http over a socket and through the adapter, and compares
// what its client and what the handler itself saw.

import assert from 'node:assert/strict';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import type { Fields, HttpVersion } from '../../src/http/exchange.ts';
import {
  type NodeHttpOptions,
  nodeHttpOptions,
  serveNodeHttp,
} from '../../src/nodehttp/adapter.ts';
import { type FakeExchange, fakeExchange } from './exchange.ts';
import { type DifferenceId, differences } from './nodehttp-differences.ts';
import { until } from './until.ts';

export interface CaseRequest {
  readonly method?: string;
  readonly target?: string;
  readonly version?: HttpVersion;
  /** Beside Host and what frames the content. */
  readonly fields?: Fields;
  /** Content: whole, or sent by the handler through `client.send()`. */
  readonly content?: string | 'later';
  readonly trailers?: Fields;
  readonly expectsContinue?: boolean;
  /** The client goes when the first content of the response arrives. */
  readonly leavesOnContent?: boolean;
}

export interface Client {
  send(chunk: string): void;
  end(): void;
  leave(): void;
}

export interface CaseContext {
  /** Notes what the handler saw; compared in order. */
  note(...what: unknown[]): void;
  /** Notes these events of request and response as they come. */
  watch(request: http.IncomingMessage, response: http.ServerResponse, events?: string[]): void;
  readonly client: Client;
  readonly server: http.Server;
}

export interface Case {
  readonly request?: CaseRequest;
  readonly serverOptions?: http.ServerOptions;
  /** Of the adapter, where they are not those of the test's server. */
  readonly options?: NodeHttpOptions;
  readonly prepare?: (server: http.Server, context: CaseContext) => void;
  /** Parts that are known to differ, with the reason in nodehttp-differences.ts. */
  readonly differs?: {
    readonly parts: readonly (keyof Seen)[];
    readonly why: DifferenceId;
    /** Node lines on which it does; all unless said. */
    readonly on?: readonly number[];
  };
  handler(
    request: http.IncomingMessage,
    response: http.ServerResponse,
    context: CaseContext,
  ): unknown;
}

interface Seen {
  informed: unknown[];
  status: string;
  fields: Fields;
  content: string;
  trailers: Fields;
  whole: boolean;
  notes: string[];
}

const major = Number(process.versions.node.split('.')[0]);

/** Declares a test that the handler cannot tell the adapter from node:http, nor its client. */
export function conforms(name: string, spec: Case): void {
  const differs = spec.differs?.on?.includes(major) === false ? undefined : spec.differs;
  const title = differs ? `${name} (known difference: ${differs.why})` : name;
  test(title, async () => {
    const genuine = await inTime(overSocket(spec), 'node:http');
    const adapted = await inTime(overExchange(spec), 'the adapter');
    const differing = differs?.parts ?? [];
    for (const part of differing) {
      assert.ok(differences[differs!.why]);
      assert.notDeepEqual(adapted[part], genuine[part], `${part} does not differ any more`);
    }
    const rest = (seen: Seen) =>
      Object.fromEntries(
        Object.entries(seen).filter(([part]) => !differing.includes(part as keyof Seen)),
      );
    assert.deepEqual(rest(adapted), rest(genuine));
  });
}

/** Fails with what was noted so far, and lets the process end. */
async function inTime(run: Run, who: string): Promise<Seen> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`${who} did not come to an end: ${JSON.stringify(run.seen)}`));
    }, 10_000);
  });
  try {
    await Promise.race([run.over, late]);
    return run.seen;
  } finally {
    clearTimeout(timer);
    await run.stop();
  }
}

interface Run {
  readonly seen: Seen;
  readonly over: Promise<void>;
  stop(): Promise<void> | void;
}

function contextFor(notes: string[], client: Client, server: http.Server): CaseContext {
  const note = (...what: unknown[]) => {
    notes.push(what.map((item) => (typeof item === 'string' ? item : show(item))).join(' '));
  };
  return {
    note,
    client,
    server,
    watch(request, response, events = everyEvent) {
      for (const event of events) {
        if (event.startsWith('request '))
          request.on(event.slice(8), (error) => note(event, codeOf(error)));
        else response.on(event.slice(9), (error) => note(event, codeOf(error)));
      }
    },
  };
}

const everyEvent = [
  'request end',
  'request aborted',
  'request error',
  'request close',
  'response prefinish',
  'response finish',
  'response error',
  'response close',
];

function show(item: unknown): string {
  if (item instanceof Error) return codeOf(item);
  return JSON.stringify(item) ?? 'undefined';
}

export function codeOf(error: unknown): string {
  return error instanceof Error ? ((error as NodeJS.ErrnoException).code ?? error.message) : '';
}

/** Calls `act` and says what it threw. */
export function thrown(act: () => unknown): string {
  try {
    act();
    return 'nothing';
  } catch (error) {
    return codeOf(error);
  }
}

export const turns = async (count: number): Promise<void> => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
};

// ── node:http over a socket ──

function overSocket(spec: Case): Run {
  const seen: Seen = emptySeen();
  const agent = new http.Agent({ keepAlive: true });
  const server = http.createServer({ keepAliveTimeout: 60_000, ...spec.serverOptions });
  let request: http.ClientRequest | null = null;
  const client: Client = {
    send: (chunk) => void request!.write(chunk),
    end: () => void request!.end(),
    leave: () => void request!.destroy(),
  };
  const context = contextFor(seen.notes, client, server);
  const response = rememberResponse(server, spec, context);
  const run = async (): Promise<void> => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    await new Promise<void>((resolve) => {
      request = ask(spec.request ?? {}, port, agent, seen, resolve);
    });
    await until('the response to close', () => response()?.closed ?? true);
    await turns(20);
  };
  return {
    seen,
    over: run(),
    async stop() {
      agent.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Sets the server's listeners; the function returned tells the response once there is one. */
function rememberResponse(
  server: http.Server,
  spec: Case,
  context: CaseContext,
): () => http.ServerResponse | null {
  let response: http.ServerResponse | null = null;
  const remember = (_request: http.IncomingMessage, made: http.ServerResponse): void => {
    response = made;
  };
  server.on('request', remember);
  server.on('request', (req, res) => void spec.handler(req, res, context));
  spec.prepare?.(server, context);
  if (server.listenerCount('checkContinue') > 0) server.prependListener('checkContinue', remember);
  return () => response;
}

function ask(
  spec: CaseRequest,
  port: number,
  agent: http.Agent,
  seen: Seen,
  over: () => void,
): http.ClientRequest {
  const request = http.request({
    port,
    host: '127.0.0.1',
    agent,
    method: spec.method ?? 'GET',
    path: spec.target ?? '/',
    headers: framedFields(spec) as unknown as http.OutgoingHttpHeaders,
    setHost: false,
  });
  if (spec.version === '1.0') asVersion10(request);
  request.on('information', ({ statusCode, rawHeaders }) => {
    seen.informed.push([statusCode, rawHeaders]);
  });
  request.on('error', over);
  request.on('close', over);
  request.on('response', (response) => {
    seen.status = `${response.statusCode} ${response.statusMessage}`;
    seen.fields = endToEnd(response.rawHeaders);
    response.setEncoding('latin1');
    response.on('data', (chunk) => {
      seen.content += chunk;
      if (spec.leavesOnContent) request.destroy();
    });
    response.on('error', () => {});
    response.on('close', () => {
      seen.whole = response.complete;
      seen.trailers = response.rawTrailers;
      over();
    });
  });
  if (spec.trailers) request.addTrailers(pairsOf(spec.trailers));
  const { content } = spec;
  if (spec.expectsContinue) {
    request.flushHeaders();
    request.on('continue', () => content !== 'later' && request.end(content));
  } else if (content === 'later') request.flushHeaders();
  else request.end(content);
  return request;
}

/** Node's client speaks 1.1 only; the start line is changed before it goes out. */
function asVersion10(request: http.ClientRequest): void {
  const internals = request as unknown as { _header: string };
  internals._header = internals._header.replace('HTTP/1.1', 'HTTP/1.0');
}

function framedFields(spec: CaseRequest): Fields {
  const fields = ['Host', 'localhost', ...(spec.fields ?? [])];
  const { content } = spec;
  if (spec.expectsContinue) fields.push('Expect', '100-continue');
  if (content === 'later' || spec.trailers) fields.push('Transfer-Encoding', 'chunked');
  else if (content !== undefined) fields.push('Content-Length', String(Buffer.byteLength(content)));
  return fields;
}

function pairsOf(fields: Fields): [string, string][] {
  return Array.from({ length: fields.length / 2 }, (_, i) => [fields[2 * i]!, fields[2 * i + 1]!]);
}

// ── The adapter ──

function overExchange(spec: Case): Run {
  const seen: Seen = emptySeen();
  const asked = spec.request ?? {};
  const exchange = exchangeFor(asked);
  const client: Client = {
    send: (chunk) => setImmediate(() => exchange.sendData(chunk)),
    end: () => setImmediate(() => exchange.sendEnd()),
    leave: () => setImmediate(() => exchange.clientLeaves()),
  };
  const server = http.createServer({ ...spec.serverOptions });
  const context = contextFor(seen.notes, client, server);
  const response = rememberResponse(server, spec, context);
  if (asked.leavesOnContent) void exchange.responded.then(client.leave);
  // Timeouts of sockets do not keep a process alive.
  const alive = setInterval(() => {}, 1000);
  serveNodeHttp(
    exchange,
    (req, res) => server.emit('request', req, res),
    spec.options ?? nodeHttpOptions(server),
  );
  const run = async (): Promise<void> => {
    const answer = await exchange.over;
    await until('the response to close', () => response()?.closed ?? true);
    await turns(20);
    assert.deepEqual(exchange.violations, []);
    seen.informed = answer.informed.map((head) => [head.status, head.fields]);
    if (answer.status > 0)
      seen.status = `${answer.status} ${answer.reason || http.STATUS_CODES[answer.status]}`;
    seen.fields = endToEnd(answer.fields);
    seen.content = answer.content.toString('latin1');
    seen.trailers = answer.trailers;
    seen.whole = answer.whole;
  };
  return { seen, over: run(), stop: () => clearInterval(alive) };
}

function exchangeFor(asked: CaseRequest): FakeExchange {
  return fakeExchange({
    ...(asked.method ? { method: asked.method } : {}),
    ...(asked.target ? { target: asked.target } : {}),
    ...(asked.version ? { version: asked.version } : {}),
    ...(asked.content === undefined ? {} : { content: asked.content }),
    ...(asked.trailers ? { trailers: asked.trailers } : {}),
    ...(asked.expectsContinue ? { expectsContinue: true } : {}),
    // What Node's client adds.
    fields: [...framedFields(asked), 'Connection', 'keep-alive'],
  });
}

function emptySeen(): Seen {
  return {
    informed: [],
    status: '',
    fields: [],
    content: '',
    trailers: [],
    whole: false,
    notes: [],
  };
}

/** Without what the edge decides: connection and framing fields, and the Date it adds. */
function endToEnd(fields: Fields): Fields {
  const dropped = ['date', 'connection', 'keep-alive', 'transfer-encoding'];
  return pairsOf(fields)
    .filter(([name]) => !dropped.includes(name.toLowerCase()))
    .flat();
}
