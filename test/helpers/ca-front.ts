// A CA that misbehaves as a test says: an https server in front of Pebble, or of nothing, that sees every
// request and may change every answer. It also offers renewal information, which Debian's Pebble lacks.

import { once } from 'node:events';
import type { IncomingHttpHeaders } from 'node:http';
import { createServer, request } from 'node:https';
import type { Pebble, TestTls } from './pebble.ts';
import { testTls } from './pebble.ts';
import type { Owner } from './portico.ts';

export interface Asked {
  readonly method: string;
  readonly path: string;
  /** What was signed; null for what is not signed. */
  readonly payload: Readonly<Record<string, unknown>> | null;
  readonly headers: IncomingHttpHeaders;
}

export interface Told {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: string;
}

/** Null: what Pebble says. 'silence': no answer at all. */
type Script = (
  asked: Asked,
  forward: () => Promise<Told>,
) => Promise<Told | null | 'silence'> | Told | null | 'silence';

export interface Front {
  readonly directoryUrl: string;
  readonly origin: string;
  readonly tls: TestTls;
  readonly asked: Asked[];
  script: Script;
}

export function json(status: number, value: unknown, headers: Told['headers'] = {}): Told {
  const nonce = Buffer.from(String(Math.random())).toString('base64url');
  return {
    status,
    headers: { 'Content-Type': 'application/json', 'Replay-Nonce': nonce, ...headers },
    body: typeof value === 'string' ? value : JSON.stringify(value),
  };
}

export function problem(status: number, type: string, detail: string, headers = {}): Told {
  return json(status, { type: `urn:ietf:params:acme:error:${type}`, detail, status }, headers);
}

export async function startFront(
  t: Owner,
  pebble: Pebble | null,
  script: Script = () => null,
): Promise<Front> {
  const tls = await testTls();
  const server = createServer({ cert: tls.certPem, key: tls.keyPem }, (incoming, outgoing) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk) => chunks.push(chunk));
    incoming.on('end', async () => {
      const body = Buffer.concat(chunks);
      const { method = '', url: path = '', headers } = incoming;
      const one: Asked = { method, path, payload: payloadOf(body), headers };
      front.asked.push(one);
      const forward = () => passOn(pebble!, one, body);
      try {
        const told = (await front.script(one, forward)) ?? (await forward());
        if (told === 'silence') return;
        for (const [name, value] of Object.entries(told.headers))
          if (value !== undefined && !/^(content-length|connection|transfer-enc)/i.test(name))
            outgoing.setHeader(name, value as string);
        outgoing.writeHead(told.status).end(method === 'HEAD' ? undefined : told.body);
      } catch {
        outgoing.destroy();
      }
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(async () => {
    server.closeAllConnections();
    server.close();
  });
  const origin = `https://127.0.0.1:${(server.address() as { port: number }).port}`;
  const front: Front = { directoryUrl: `${origin}/dir`, origin, tls, asked: [], script };
  return front;
}

function payloadOf(body: Buffer): Asked['payload'] {
  try {
    const { payload } = JSON.parse(body.toString()) as { payload: string };
    return JSON.parse(Buffer.from(payload, 'base64url').toString() || '{}');
  } catch {
    return null;
  }
}

/** With the Host as it came: Pebble makes its addresses of that. */
function passOn(pebble: Pebble, { method, path, headers }: Asked, body: Buffer): Promise<Told> {
  return new Promise((done, fail) => {
    const asked = request(
      new URL(path, pebble.directoryUrl),
      { method, headers, ca: pebble.tls.caPem, agent: false },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk) => chunks.push(chunk));
        answer.on('end', () =>
          done({
            status: answer.statusCode ?? 0,
            headers: answer.headers,
            body: Buffer.concat(chunks).toString(),
          }),
        );
      },
    );
    asked.on('error', fail);
    asked.end(body);
  });
}
