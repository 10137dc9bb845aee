// Frameworks and middleware, unmodified, answer through the adapter as through node:http.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, test } from 'node:test';
import { getRequestListener } from '@hono/node-server';
import compression from 'compression';
import express from 'express';
import fastify from 'fastify';
import { Hono } from 'hono';
import Koa from 'koa';
import serveStatic from 'serve-static';
import { nodeHttpOptions, serveNodeHttp } from '../../src/nodehttp/adapter.ts';
import { fakeExchange } from '../helpers/exchange.ts';
import { type CaseRequest, conforms } from '../helpers/nodehttp.ts';

type Listener = (request: http.IncomingMessage, response: http.ServerResponse) => unknown;

const json = JSON.stringify({ name: 'käse', list: [1, 2, 3] });
const postJson: CaseRequest = {
  method: 'POST',
  target: '/echo?x=1',
  fields: ['Content-Type', 'application/json'],
  content: json,
};
const requests: Record<string, CaseRequest> = {
  'a page': { target: '/', fields: ['X-Forwarded-For', '9.9.9.9'] },
  'JSON in and out': postJson,
  'JSON that is malformed': { ...postJson, content: '{"a":' },
  'a stream': { target: '/stream' },
  'a HEAD request': { method: 'HEAD', target: '/' },
  'an unknown path': { target: '/nowhere' },
  'a handler that throws': { target: '/fail' },
  'a redirect': { target: '/old' },
  cookies: { target: '/cookies' },
};

/** One app for the genuine and the adapted run: state that a request leaves behind shows up. */
function framework(name: string, listener: Listener): void {
  for (const [what, request] of Object.entries(requests))
    conforms(`${name}: ${what}`, {
      request,
      options: nodeHttpOptions(http.createServer(listener as http.RequestListener)),
      handler: (message, response) => listener(message, response),
    });
}

for (const [name, make] of [
  ['Express 5', express],
  ['Express 4', createRequire(import.meta.url)('express4') as typeof express],
] as const) {
  const app = make();
  app.set('env', 'production');
  app.get('/', (request, response) => {
    response.type('html').send(`<p>${request.protocol} ${request.hostname} ${request.ip}</p>`);
  });
  app.post('/echo', make.json(), (request, response) => {
    response.status(201).json({ body: request.body, query: request.query, url: request.url });
  });
  app.get('/stream', (_request, response) => {
    Readable.from(['a', 'b', 'c']).pipe(response);
  });
  app.get('/fail', () => {
    throw new Error('no');
  });
  app.get('/old', (_request, response) => response.redirect(302, '/new'));
  app.get('/cookies', (_request, response) => {
    response.cookie('a', '1').cookie('b', '2').send('ok');
  });
  app.use((error: Error, _request: unknown, response: express.Response, _next: unknown) => {
    response.status(500).send(error.name);
  });
  framework(name, app);
}

const koa = new Koa();
koa.silent = true;
koa.use(async (context) => {
  if (context.path === '/')
    context.body = `${context.protocol} ${context.hostname} ${context.ip} ${context.writable}`;
  else if (context.path === '/stream') context.body = Readable.from(['a', 'b', 'c']);
  else if (context.path === '/fail') throw new Error('no');
  else if (context.path === '/old') context.redirect('/new');
  else if (context.path === '/cookies') {
    context.cookies.set('a', '1');
    context.cookies.set('b', '2');
    context.body = 'ok';
  } else if (context.path === '/echo') {
    let text = '';
    for await (const piece of context.req) text += piece;
    context.status = 201;
    context.body = { text, query: context.query };
  }
});
framework('Koa 3', koa.callback());

const fast = fastify();
fast.get('/', async (request) => `${request.protocol} ${request.hostname} ${request.ip}`);
fast.post('/echo', async (request, reply) => {
  reply.code(201);
  return { body: request.body, query: request.query };
});
fast.get('/stream', async () => Readable.from(['a', 'b', 'c']));
fast.get('/fail', async () => {
  throw new Error('no');
});
fast.get('/old', (_request, reply) => reply.redirect('/new'));
fast.get('/cookies', async (_request, reply) => {
  reply.header('set-cookie', 'a=1').header('set-cookie', 'b=2');
  return 'ok';
});
await fast.ready();
framework('Fastify 5', (request, response) => fast.routing(request, response));

const hono = new Hono();
hono.get('/', (context) => context.html(`<p>${context.req.url}</p>`));
hono.post('/echo', async (context) => {
  const body = await context.req.json().catch(() => 'malformed');
  return context.json({ body, query: context.req.query() }, 201);
});
hono.get('/stream', () => new Response(Readable.toWeb(Readable.from(['a', 'b'])) as never));
hono.get('/fail', () => {
  throw new Error('no');
});
hono.onError((_error, context) => context.text('failed', 500));
hono.get('/old', (context) => context.redirect('/new'));
hono.get('/cookies', (context) => {
  context.header('set-cookie', 'a=1');
  context.header('set-cookie', 'b=2', { append: true });
  return context.text('ok');
});
framework('Hono 4', getRequestListener(hono.fetch));

// ── Middleware that reaches deep into the response ──

const compress = compression({ threshold: 0 });

conforms('compression: end(content)', {
  request: { fields: ['Accept-Encoding', 'gzip'] },
  handler(request, response) {
    compress(request as never, response as never, () => {
      response.setHeader('Content-Type', 'text/plain');
      response.end('compressible '.repeat(500));
    });
  },
});

conforms('compression: several writes', {
  request: { fields: ['Accept-Encoding', 'gzip'] },
  handler(request, response) {
    compress(request as never, response as never, () => {
      response.setHeader('Content-Type', 'text/plain');
      response.setHeader('Content-Length', 65_000);
      for (let i = 0; i < 5; i++) response.write('compressible '.repeat(1000));
      response.end();
    });
  },
});

const dir = mkdtempSync(join(tmpdir(), 'portico-nodehttp-'));
after(() => rmSync(dir, { recursive: true }));
writeFileSync(join(dir, 'a.txt'), '0123456789');
writeFileSync(join(dir, 'big.bin'), Buffer.alloc(1_000_000, 'ab'));
const statics = serveStatic(dir);

for (const [what, request] of Object.entries({
  'a file': { target: '/a.txt' },
  'a large file': { target: '/big.bin' },
  'a range': { target: '/a.txt', fields: ['Range', 'bytes=2-5'] },
  'a range that is not there': { target: '/a.txt', fields: ['Range', 'bytes=100-'] },
  'a HEAD request': { method: 'HEAD', target: '/a.txt' },
  'a file not changed': { target: '/a.txt', fields: ['If-None-Match', '*'] },
  'a missing file': { target: '/none' },
} satisfies Record<string, CaseRequest>))
  conforms(`serve-static: ${what}`, {
    request,
    handler(req, response) {
      statics(req, response, (error) => {
        response.statusCode = error?.status ?? 404;
        response.end('none');
      });
    },
  });

test("an Express app's requests have its prototypes from the start", async () => {
  const app = express();
  Object.defineProperty(app.request, 'shout', { get: () => 'HEY' });
  app.get('/', (request, response) => {
    response.send((request as never as { shout: string }).shout);
  });
  const options = nodeHttpOptions(http.createServer(app));
  assert.notEqual(options.Request, http.IncomingMessage);
  const exchange = fakeExchange();
  let prototype: unknown = null;
  serveNodeHttp(
    exchange,
    (request, response) => {
      prototype = Object.getPrototypeOf(request);
      app(request as never, response as never);
    },
    options,
  );
  const seen = await exchange.over;
  assert.equal(prototype, app.request);
  assert.equal(seen.content.toString(), 'HEY');
});

test('an Express app whose prototypes Node cannot construct on still works', async () => {
  const app = express();
  Object.defineProperty(app.request, 'socket', { get: () => null, configurable: true });
  const options = nodeHttpOptions(http.createServer(app));
  assert.equal(options.Request, http.IncomingMessage);
  app.get('/', (_request, response) => void response.send('ok'));
  const exchange = fakeExchange();
  serveNodeHttp(exchange, app as Listener, options);
  assert.equal((await exchange.over).status, 200);
});
