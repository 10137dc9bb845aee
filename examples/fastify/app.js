// Fastify 5 on Portico. Start: node dist/main.js --workers 2 examples/fastify/app.js

import { Readable } from 'node:stream';
import Fastify from 'fastify';
import { lines, page } from '../page.js';

// Portico's edge sets X-Forwarded-*: with trustProxy, request.ip and request.protocol come from it.
const app = Fastify({ trustProxy: true });

app.addContentTypeParser(
  'application/x-www-form-urlencoded',
  { parseAs: 'string' },
  async (_request, body) => Object.fromEntries(new URLSearchParams(body)),
);

app.get('/', async (_request, reply) =>
  reply.type('text/html; charset=utf-8').send(page('Fastify')),
);

app.get('/api/hello', async (request) => ({
  hello: request.query.name ?? 'world',
  ip: request.ip,
  pid: process.pid,
}));

app.post('/api/echo', async (request, reply) => reply.code(201).send({ echo: request.body }));

app.get('/api/stream', async (_request, reply) =>
  reply.type('text/plain; charset=utf-8').send(Readable.from(lines())),
);

app.get('/error', async () => {
  throw new Error('an error on purpose');
});

// Portico waits for app.ready() itself, and calls app.close() after the last request.
export default app;
